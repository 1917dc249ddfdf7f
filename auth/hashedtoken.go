package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"unicode/utf8"

	"parley.im/parley/auth/scram"
)

// A hashedToken is a mechanism of the HT family (draft-schmaus-kitten-sasl-ht-09 §2).
// The numbers are part of how tokens are stored; they never change. There is no UNIQ:
// tls-unique isn't defined for TLS 1.3 (RFC 8446 §C.5).
type hashedToken uint8

const (
	noToken    hashedToken = 0
	htExporter hashedToken = 1
	htEndPoint hashedToken = 2
	htNone     hashedToken = 3 // without channel binding
)

// hashedTokens are all there are, strongest first: the order in which they are
// announced.
var hashedTokens = [...]hashedToken{htExporter, htEndPoint, htNone}

func (m hashedToken) String() string {
	switch m {
	case htExporter:
		return "HT-SHA-256-EXPR"
	case htEndPoint:
		return "HT-SHA-256-ENDP"
	case htNone:
		return "HT-SHA-256-NONE"
	}
	return "HT-UNKNOWN"
}

// parseHashedToken finds a mechanism by its name; noToken if there is none.
func parseHashedToken(name string) hashedToken {
	for _, m := range hashedTokens {
		if m.String() == name {
			return m
		}
	}
	return noToken
}

// bindingType is the name of the mechanism's channel binding, "" if it has none.
func (m hashedToken) bindingType() string {
	switch m {
	case htExporter:
		return scram.BindExporter
	case htEndPoint:
		return scram.BindEndPoint
	}
	return ""
}

// binding is what the mechanism binds to on that connection.
func (m hashedToken) binding(ch scram.Channel) []byte {
	switch m {
	case htExporter:
		return ch.Exporter
	case htEndPoint:
		return ch.EndPoint
	}
	return nil
}

// Who makes a hash. They are different words, so that nobody can answer with what he
// was sent.
const (
	initiator = "Initiator"
	responder = "Responder"
)

// hash is HMAC(token, who || cb-data) (draft-schmaus-kitten-sasl-ht-09 §3.1, §3.3).
func (m hashedToken) hash(token, who string, binding []byte) []byte {
	h := hmac.New(sha256.New, []byte(token))
	h.Write([]byte(who))
	h.Write(binding)
	return h.Sum(nil)
}

// maxName is the longest name that there can be, in bytes (RFC 7622 §3.3).
const maxName = 1023

// parseInitiator reads the client's message: the name, a NUL, the hashed token
// (draft-schmaus-kitten-sasl-ht-09 §3.1), which may hold NULs itself.
func parseInitiator(msg []byte) (name string, proof []byte, err error) {
	before, proof, ok := bytes.Cut(msg, []byte{0})
	switch {
	case !ok:
		return "", nil, fmt.Errorf("%w: no NUL", ErrMalformed)
	case len(before) == 0 || len(before) > maxName || !utf8.Valid(before):
		return "", nil, fmt.Errorf("%w: no name", ErrMalformed)
	case len(proof) != sha256.Size:
		return "", nil, fmt.Errorf("%w: length of the hashed token", ErrMalformed)
	}
	return string(before), proof, nil
}
