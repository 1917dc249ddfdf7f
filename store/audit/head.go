package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// A Head is how far a log went at a time, signed. Whoever keeps it outside can prove later
// that the log was cut or written anew.
type Head struct {
	Account   string `json:"account"`
	At        string `json:"at"`   // as records have it
	Hash      string `json:"hash"` // of record N, in hexadecimal
	N         int64  `json:"n"`
	Ordinal   int64  `json:"ordinal"` // of the newest record of the account's own log
	Key       string `json:"key"`     // ed25519, in hexadecimal
	Signature string `json:"signature"`
}

// text is what is signed: a line that says what it is, and canonical JSON.
func (h *Head) text() []byte {
	b := []byte("parley-audit-head-1\n")
	b = appendString(append(b, `{"account":`...), h.Account)
	b = appendString(append(b, `,"at":`...), h.At)
	b = appendString(append(b, `,"hash":`...), h.Hash)
	return fmt.Appendf(b, `,"n":%d,"ordinal":%d}`, h.N, h.Ordinal)
}

// Sign makes the head of the log as it is now.
func (l *Log) Sign(key ed25519.PrivateKey, ordinal int64) Head {
	n, hash := l.Head()
	h := Head{Account: l.cfg.Account, At: l.cfg.Now().UTC().Format(timeForm), Hash: hash.String(), N: n, Ordinal: ordinal}
	h.Key = hex.EncodeToString(key.Public().(ed25519.PublicKey))
	h.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(key, h.text()))
	return h
}

var errSignature = errors.New("the signature is not of this key")

// Check says whether the key has signed the head.
func (h *Head) Check(key ed25519.PublicKey) error {
	s, err := base64.StdEncoding.DecodeString(h.Signature)
	if err != nil || !ed25519.Verify(key, h.text(), s) {
		return fmt.Errorf("head of record %d: %w", h.N, errSignature)
	}
	return nil
}
