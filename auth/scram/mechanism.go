package scram

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"
)

// A Hash is the hash function of a mechanism. The numbers are part of how
// verifiers are stored; they never change.
type Hash uint8

// The hashes, from weak to strong.
const (
	SHA1   Hash = 1 // RFC 5802
	SHA256 Hash = 2 // RFC 7677
	SHA512 Hash = 3 // registered with IANA beside the other two
)

// Hashes are all there are, strongest first: the order in which they are
// announced.
var Hashes = [...]Hash{SHA512, SHA256, SHA1}

const plusSuffix = "-PLUS"

// String is the name of the mechanism without channel binding.
func (h Hash) String() string {
	switch h {
	case SHA1:
		return "SCRAM-SHA-1"
	case SHA256:
		return "SCRAM-SHA-256"
	case SHA512:
		return "SCRAM-SHA-512"
	}
	return "SCRAM-UNKNOWN"
}

// Mechanism is the mechanism's name, with channel binding or without.
func (h Hash) Mechanism(plus bool) string {
	if plus {
		return h.String() + plusSuffix
	}
	return h.String()
}

// Size is the length of the hash's values in bytes; 0 if there is no such hash.
func (h Hash) Size() int {
	switch h {
	case SHA1:
		return sha1.Size
	case SHA256:
		return sha256.Size
	case SHA512:
		return sha512.Size
	}
	return 0
}

// New makes the hash function. It panics if there is no such hash.
func (h Hash) New() hash.Hash {
	switch h {
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	case SHA512:
		return sha512.New()
	}
	panic("scram: unknown hash")
}

// ParseMechanism takes a mechanism's name apart. Names are upper-case (RFC 4422
// §3.1).
func ParseMechanism(name string) (h Hash, plus bool, ok bool) {
	base, plus := strings.CutSuffix(name, plusSuffix)
	for _, h := range Hashes {
		if base == h.String() {
			return h, plus, true
		}
	}
	return 0, false, false
}
