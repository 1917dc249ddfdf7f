package store

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
)

func TestSignKey(t *testing.T) {
	a, b := NewSignKey(), NewSignKey()
	public, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(a.Public(), "whpk_"))
	if err != nil || len(public) != ed25519.PublicKeySize {
		t.Fatalf("public key %q: %v", a.Public(), err)
	}
	text := []byte("evt_1.1614265330.{}")
	if !ed25519.Verify(public, text, a.Sign(text)) || ed25519.Verify(public, text, b.Sign(text)) {
		t.Error("the public key does not tell its own signatures from others")
	}
}

// Halves that do not belong together would give the private one away with the second signature.
func TestSignKeysThatAreNone(t *testing.T) {
	good, other := string(NewSignKey()), string(NewSignKey())
	for name, k := range map[string]string{
		"nothing": "", "no prefix": strings.TrimPrefix(good, "whsk_"), "no base64": "whsk_*", "too short": good[:len(good)-8],
		"the public one": NewSignKey().Public(), "two halves of two": good[:48] + other[48:],
	} {
		if k := SignKey(k); k.Sign([]byte("x")) != nil || k.Public() != "" {
			t.Errorf("%s signs", name)
		}
	}
}
