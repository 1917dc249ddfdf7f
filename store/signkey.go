package store

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"strings"
)

// A SignKey is an ed25519 key that signs what is sent to an endpoint, in the form that
// Standard Webhooks has for it: "whsk_" and, in base64, the key of RFC 8032 §5.1.5 and
// its public key behind it. Empty is none.
type SignKey string

// NewSignKey makes a key. It comes from nothing else that there is.
func NewSignKey() SignKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // rand.Reader never fails
	}
	return SignKey("whsk_" + base64.StdEncoding.EncodeToString(key))
}

// Public is what receivers verify with, "whpk_" and base64; "" if k is no key.
func (k SignKey) Public() string {
	key := k.key()
	if key == nil {
		return ""
	}
	return "whpk_" + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

// Sign is the signature of a text; nil if k is no key.
func (k SignKey) Sign(text []byte) []byte {
	key := k.key()
	if key == nil {
		return nil
	}
	return ed25519.Sign(key, text)
}

// key is nil if k is not one whose halves belong together: a signature by others would
// give the key away.
func (k SignKey) key() ed25519.PrivateKey {
	text, ok := strings.CutPrefix(string(k), "whsk_")
	b, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(b) != ed25519.PrivateKeySize {
		return nil
	}
	key := ed25519.NewKeyFromSeed(b[:ed25519.SeedSize])
	if !key.Equal(ed25519.PrivateKey(b)) {
		return nil
	}
	return key
}
