package contact

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// visitorCode is how visitors' internal ids are written.
var visitorCode = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// What visitors' internal ids begin with: of those who did not say who they are, and of those
// whom a shop vouches for.
const (
	Stranger = "v_"
	Known    = "p_"
)

// visitorSize is how much chance an id has, in bytes.
const visitorSize = 15

// NewVisitor makes an internal id, of which nothing can be derived.
func NewVisitor(kind string) string {
	var random [visitorSize]byte
	_, _ = rand.Read(random[:]) // it never fails
	return VisitorOf(kind, random[:])
}

// VisitorOf is the internal id that is made of chance, or of a keyed hash.
func VisitorOf(kind string, of []byte) string {
	return kind + visitorCode.EncodeToString(of[:visitorSize])
}

// IsVisitor says whether a text can be a visitor's internal id.
func IsVisitor(id string) bool {
	code, stranger := strings.CutPrefix(id, Stranger)
	if !stranger {
		var known bool
		if code, known = strings.CutPrefix(id, Known); !known {
			return false
		}
	}
	raw, err := visitorCode.DecodeString(code)
	return err == nil && len(raw) == visitorSize
}
