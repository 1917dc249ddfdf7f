package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
)

// Overhead is what sealing adds to a value: the nonce before it and the tag after.
const Overhead = 12 + 16

// formatVersion is the first byte of all additional data.
const formatVersion = 1

// ErrOpen says that a sealed value is not what was sealed, or not in its place.
var ErrOpen = errors.New("sealed value does not open")

// A Place is where a sealed value stands; it opens nowhere else. What is the same
// for all values of a Box (account, conversation, generation) is the Box's.
type Place struct {
	Kind  uint8
	N     int64
	Actor int64
	At    int64  // the record's time in milliseconds
	Field string // which value of the record; empty is the record itself
}

// A Box seals and opens the values of one conversation and generation. Its
// ciphers are made once. It is safe for concurrent use.
type Box struct {
	generation int64
	head       []byte // the additional data up to the conversation
	secret     Key
	message    cipher.AEAD
	field      atomic.Pointer[cipher.AEAD] // made at its first use
}

// NewBox makes the Box of a conversation's secret.
func NewBox(secret *Key, account string, conversation, generation int64) *Box {
	head := append(make([]byte, 0, 2+1+2+len(account)+2+8), 0, 1, formatVersion)
	head = appendPart(head, account)
	head = appendNumber(head, conversation)
	return &Box{
		generation: generation,
		head:       head,
		secret:     *secret,
		message:    newAEAD(secret.sub(useMessage)),
	}
}

// Generation is the generation of the secret.
func (b *Box) Generation() int64 { return b.generation }

// String is "[secret]".
func (b *Box) String() string { return secretText }

// GoString is "[secret]".
func (b *Box) GoString() string { return secretText }

// Seal appends plain, sealed for its place, to dst.
func (b *Box) Seal(dst, plain []byte, p *Place) []byte {
	aad := scratch.Get().(*[]byte)
	*aad = b.additional((*aad)[:0], p)
	dst = b.cipher(p).Seal(dst, nil, plain, *aad)
	scratch.Put(aad)
	return dst
}

// Open appends what was sealed for this place to dst.
func (b *Box) Open(dst, sealed []byte, p *Place) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, ErrOpen
	}
	aad := scratch.Get().(*[]byte)
	*aad = b.additional((*aad)[:0], p)
	plain, err := b.cipher(p).Open(dst, nil, sealed, *aad)
	scratch.Put(aad)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// cipher picks the sub-key: records have one, their fields another.
func (b *Box) cipher(p *Place) cipher.AEAD {
	if p.Field == "" {
		return b.message
	}
	if c := b.field.Load(); c != nil {
		return *c
	}
	c := newAEAD(b.secret.sub(useField))
	b.field.Store(&c)
	return c
}

// additional appends what binds a value to its place.
func (b *Box) additional(dst []byte, p *Place) []byte {
	dst = append(dst, b.head...)
	dst = append(dst, 0, 1, p.Kind)
	dst = appendNumber(dst, p.N)
	dst = appendNumber(dst, p.Actor)
	dst = appendPart(dst, p.Field)
	dst = appendNumber(dst, b.generation)
	return appendNumber(dst, p.At)
}

// scratch holds buffers for additional data, which would else be allocated for
// each value.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

func appendPart(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

func appendNumber(dst []byte, n int64) []byte {
	dst = append(dst, 0, 8)
	return binary.BigEndian.AppendUint64(dst, uint64(n))
}

func newAEAD(key Key) cipher.AEAD {
	defer key.Wipe()
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("seal: " + err.Error()) // only for keys of another length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("seal: " + err.Error())
	}
	return aead
}
