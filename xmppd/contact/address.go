package contact

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// addressLength is the length of a visitor's local part: 50 bits that nobody guesses soon.
const addressLength = 10

var addressCode = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewAddress makes the local part of a contact's JID. There is no name in it: names can be
// erased, addresses can't.
func NewAddress() string {
	var random [7]byte
	_, _ = rand.Read(random[:]) // it never fails
	return addressCode.EncodeToString(random[:])[:addressLength]
}

// IsAddress says whether local can be the local part of a contact, one that is gone perhaps.
func IsAddress(local string) bool {
	return len(local) == addressLength && strings.Trim(local, "abcdefghijklmnopqrstuvwxyz234567") == ""
}
