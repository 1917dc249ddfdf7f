package scram

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"fmt"
)

// Keys are what a server needs of a password for one hash: enough to check a
// proof and to prove itself, not enough to sign in elsewhere (RFC 5802 §3).
// The zero value is a stand-in: trying it takes as long and never succeeds.
type Keys struct {
	Stored []byte
	Server []byte
}

// real says whether these are keys of that hash, not a stand-in.
func (k Keys) real(h Hash) bool {
	return len(k.Stored) == h.Size() && len(k.Server) == h.Size()
}

// Derive makes the keys of a password, which has to be prepared (SASLprep)
// already. It takes as long as the iterations ask for.
func Derive(h Hash, password string, salt []byte, iterations int) (Keys, error) {
	// RFC 5802 §3: SaltedPassword := Hi(Normalize(password), salt, i), and Hi is
	// PBKDF2 with HMAC and an output as long as the hash's (RFC 5802 §2.2).
	salted, err := pbkdf2.Key(h.New, password, salt, iterations, h.Size())
	if err != nil {
		return Keys{}, fmt.Errorf("derive keys for %s: %w", h, err)
	}
	client := mac(h, salted, []byte("Client Key"))
	stored := h.New()
	stored.Write(client)
	return Keys{
		Stored: stored.Sum(nil),
		Server: mac(h, salted, []byte("Server Key")),
	}, nil
}

func mac(h Hash, key, message []byte) []byte {
	m := hmac.New(h.New, key)
	m.Write(message)
	return m.Sum(nil)
}
