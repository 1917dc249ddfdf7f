package seal

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
)

// KeySize is the length of every key here, in bytes.
const KeySize = 32

// A Key is 32 secret bytes. It prints as "[secret]", whatever the verb.
type Key [KeySize]byte

// The uses that a secret's sub-keys are for. The names are part of the format on
// disk.
const (
	useMessage = "msg"
	useField   = "field"
	useCommit  = "commit"
	useCopies  = "copies"
	useIndex   = "index"
)

const secretText = "[secret]"

// NewKey makes a key from crypto/rand.
func NewKey() Key {
	var k Key
	// crypto/rand.Read never fails: it ends the program instead.
	_, _ = rand.Read(k[:])
	return k
}

// KeyFrom copies 32 bytes into a Key.
func KeyFrom(b []byte) (Key, error) {
	var k Key
	if len(b) != KeySize {
		return k, fmt.Errorf("a key is %d bytes, not %d", KeySize, len(b))
	}
	copy(k[:], b)
	return k, nil
}

// Wipe overwrites the key.
func (k *Key) Wipe() { clear(k[:]) }

// sub is the sub-key for one use.
func (k *Key) sub(use string) Key {
	b, err := hkdf.Key(sha256.New, k[:], nil, use, KeySize)
	if err != nil {
		panic("seal: " + err.Error()) // only for lengths that no constant here has
	}
	defer clear(b)
	return Key(b)
}

// Commitment is kept beside what the key seals and tells, without telling the
// key, whether a key is the one.
func (k *Key) Commitment() [32]byte { return k.sub(useCommit) }

// Copies is the sub-key by which the maker of copies is known.
func (k *Key) Copies() Key { return k.sub(useCopies) }

// Index is the sub-key that blind indexes are made with.
func (k *Key) Index() Key { return k.sub(useIndex) }

// Format writes "[secret]" for every verb.
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, secretText) }

// String is "[secret]".
func (k Key) String() string { return secretText }

// GoString is "[secret]".
func (k Key) GoString() string { return secretText }

// LogValue is "[secret]".
func (k Key) LogValue() slog.Value { return slog.StringValue(secretText) }

// MarshalText writes "[secret]", so that no encoder writes the key by accident.
func (k Key) MarshalText() ([]byte, error) { return []byte(secretText), nil }
