package scram

import (
	"crypto/hmac"
	"crypto/subtle"
)

// match tries every candidate, real or not, and picks without branching on what
// fits: the index of the first that does, or -1, and its server key, or a key of
// zeros.
func match(h Hash, message, proof []byte, candidates []Keys) (index int, server []byte) {
	size := h.Size()
	zero := make([]byte, size)
	server = make([]byte, size)
	client, sum := make([]byte, size), make([]byte, 0, size)
	hash, found := h.New(), 0
	for i, k := range candidates {
		real := 1
		if !k.real(h) {
			k, real = Keys{zero, zero}, 0
		}
		// RFC 5802 §3: ClientSignature := HMAC(StoredKey, AuthMessage), and
		// ClientProof := ClientKey XOR ClientSignature.
		m := hmac.New(h.New, k.Stored)
		m.Write(message)
		sum = m.Sum(sum[:0])
		subtle.XORBytes(client, proof, sum)
		hash.Reset()
		hash.Write(client)
		sum = hash.Sum(sum[:0])
		fits := subtle.ConstantTimeCompare(sum, k.Stored) & real & (1 ^ found)
		subtle.ConstantTimeCopy(fits, server, k.Server)
		index = subtle.ConstantTimeSelect(fits, i, index)
		found |= fits
	}
	return subtle.ConstantTimeSelect(found, index, -1), server
}
