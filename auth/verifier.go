package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"parley.im/parley/auth/scram"
)

const (
	verifierVersion = 1
	saltSize        = 16
)

var errVerifier = errors.New("not a verifier")

// Verifier makes what the store keeps of a password or a device's secret
// (store.Credential.Verifier), for all the hashes that the account allows. It takes
// as long as the iteration count asks for, on the caller's core. It doesn't ask
// whether the password is good: CheckPassword does.
func (a *Account) Verifier(ctx context.Context, name, password string) ([]byte, error) {
	name, err := PrepareName(name)
	if err != nil {
		return nil, err
	}
	if password, err = preparePassword(password); err != nil {
		return nil, err
	}
	c, err := a.keepCost(ctx)
	if err != nil {
		return nil, err
	}
	v := verifier{generation: c.generation, iterations: c.iterations}
	for _, h := range a.options.Load().hashes {
		v.keys[h], err = scram.Derive(h, password, a.saltFor(h, name, c.generation), c.iterations)
		if err != nil {
			return nil, err
		}
	}
	return v.encode(), nil
}

// saltFor is the salt of a name, whether there is such an agent or not. Each part
// carries its length, so that no two salts share an input.
func (a *Account) saltFor(h scram.Hash, name string, generation uint64) []byte {
	b := make([]byte, 0, 64)
	for _, part := range [...]string{h.String(), name} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	b = binary.AppendUvarint(b, generation)
	m := hmac.New(sha256.New, a.salt)
	m.Write(b)
	return m.Sum(nil)[:saltSize]
}

// A verifier is a stored credential taken apart. On disk it is the version in a byte,
// generation and iterations as uvarints, and for each hash its number in a byte,
// StoredKey and ServerKey.
type verifier struct {
	generation uint64
	iterations int
	keys       [4]scram.Keys // by hash; zero where the hash was not allowed
}

func (v verifier) encode() []byte {
	b := []byte{verifierVersion}
	b = binary.AppendUvarint(b, v.generation)
	b = binary.AppendUvarint(b, uint64(v.iterations))
	for _, h := range scram.Hashes {
		if k := v.keys[h]; k.Stored != nil {
			b = append(b, byte(h))
			b = append(b, k.Stored...)
			b = append(b, k.Server...)
		}
	}
	return b
}

// parseVerifier undoes encode. The keys point into b.
func parseVerifier(b []byte) (v verifier, err error) {
	if len(b) == 0 || b[0] != verifierVersion {
		return v, fmt.Errorf("%w: unknown version", errVerifier)
	}
	b = b[1:]
	generation, n := binary.Uvarint(b)
	if n <= 0 {
		return v, errVerifier
	}
	b = b[n:]
	iterations, n := binary.Uvarint(b)
	if n <= 0 || iterations > 1<<31-1 {
		return v, errVerifier
	}
	b = b[n:]
	v.generation, v.iterations = generation, int(iterations)
	for len(b) > 0 {
		h := scram.Hash(b[0])
		size := h.Size()
		if size == 0 || len(b) < 1+2*size {
			return verifier{}, errVerifier
		}
		v.keys[h] = scram.Keys{Stored: b[1 : 1+size], Server: b[1+size : 1+2*size]}
		b = b[1+2*size:]
	}
	return v, nil
}
