package backup

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"parley.im/parley/store/seal"
)

// Copies are sealed to public keys, and who can write to a target can seal to them just as
// well. So a manifest, which names all pieces by their hashes, is signed with a key made of
// the root key: HMAC-SHA256 over its text without the signatures, which come last in it.
// While the root key is replaced there are two. Programs that know of no signatures pass
// them by.

// A signature says by whose root key a manifest was made.
type signature struct {
	By  string `json:"by"` // tells which, and nothing else of it
	MAC string `json:"mac"`
}

// signatures of a text by some root keys.
func signaturesOf(text []byte, roots []seal.Key) []signature {
	list := make([]signature, len(roots))
	for i := range roots {
		key := roots[i].Copies()
		sum := func(what []byte) string {
			mac := hmac.New(sha256.New, key[:])
			mac.Write(what)
			return hex.EncodeToString(mac.Sum(nil))
		}
		list[i] = signature{By: sum([]byte("by"))[:16], MAC: sum(text)}
		key.Wipe()
	}
	return list
}

var (
	signedEnd  = []byte("\n}\n")
	signatures = []byte(",\n \"signatures\": ")
)

// sign puts signatures at the end of a manifest's text.
func sign(text []byte, roots []seal.Key) ([]byte, error) {
	if len(roots) == 0 {
		return text, nil
	}
	list, err := json.Marshal(signaturesOf(text, roots))
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{bytes.TrimSuffix(text, signedEnd), signatures, list, signedEnd}, nil), nil
}

// split undoes sign. What the manifest says is read from what was signed alone.
func split(text []byte) (signed []byte, list []signature, err error) {
	i := bytes.LastIndex(text, signatures)
	if i < 0 {
		return text, nil, nil
	}
	end, ok := bytes.CutSuffix(text[i+len(signatures):], signedEnd)
	if !ok {
		return nil, nil, errManifest
	}
	return bytes.Join([][]byte{text[:i], signedEnd}, nil), list, json.Unmarshal(end, &list)
}

// ErrUnsigned says that a copy is not known to be the server's own: it was made by an
// earlier version of the program, with another root key, or by somebody else.
var ErrUnsigned = errors.New("bears no signature of this root key")

var errForged = errors.New("was not written by the server: it was changed, or made by somebody else")

// madeBy says whether a manifest was signed by one of some root keys.
func (m *Manifest) madeBy(roots []seal.Key) error {
	err := ErrUnsigned
	for _, want := range signaturesOf(m.signed, roots) {
		for _, s := range m.signatures {
			switch {
			case s.By != want.By:
			case hmac.Equal([]byte(s.MAC), []byte(want.MAC)):
				return nil
			default:
				err = errForged
			}
		}
	}
	return err
}

// check says whether a copy is to be taken.
func (r *Restore) check(name string, m *Manifest) error {
	if len(r.Roots) == 0 {
		return nil
	}
	err := m.madeBy(r.Roots)
	if err == nil || r.Unsigned && errors.Is(err, ErrUnsigned) {
		return nil
	}
	return fmt.Errorf("%s: the copy of %s of %s %w", name, m.Kind, stamp(m.Time), err)
}
