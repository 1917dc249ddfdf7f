package sqlite

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base32"
	"encoding/binary"
	"fmt"

	"parley.im/parley/store"
)

// archiveIDs makes ids of ordinals and back: one AES block of (ordinal, viewer) under a
// key of the account's. So they can't be guessed, differ for each viewer, need no index,
// and stay good when the record is gone.
type archiveIDs struct{ block cipher.Block }

func newArchiveIDs(key []byte) (*archiveIDs, error) {
	block, err := aes.NewCipher(key)
	return &archiveIDs{block}, err
}

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ArchiveID is the id under which viewer knows the record.
func (a *Account) ArchiveID(viewer store.AgentID, o store.Ordinal) string {
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:8], uint64(o))
	binary.BigEndian.PutUint64(b[8:], uint64(viewer))
	a.ids.block.Encrypt(b[:], b[:])
	return idEncoding.EncodeToString(b[:])
}

// ParseArchiveID undoes ArchiveID.
func (a *Account) ParseArchiveID(viewer store.AgentID, id string) (store.Ordinal, error) {
	b, err := idEncoding.DecodeString(id)
	if err != nil || len(b) != aes.BlockSize || idEncoding.EncodeToString(b) != id {
		return 0, fmt.Errorf("archive id: %w", store.ErrNotFound)
	}
	a.ids.block.Decrypt(b, b)
	o := store.Ordinal(binary.BigEndian.Uint64(b[:8]))
	if store.AgentID(binary.BigEndian.Uint64(b[8:])) != viewer || o < 1 {
		return 0, fmt.Errorf("archive id: %w", store.ErrNotFound)
	}
	return o, nil
}
