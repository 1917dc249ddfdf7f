package sqlite

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// boxesMax is how many ciphers are kept for reading.
const boxesMax = 512

// boxOf names a secret's cipher.
type boxOf struct {
	number, generation int64
}

// boxes keeps the ciphers that were used lately.
type boxes struct {
	mu  sync.Mutex
	all map[boxOf]*seal.Box
}

func (b *boxes) get(of boxOf) *seal.Box {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all[of]
}

func (b *boxes) put(of boxOf, box *seal.Box) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = make(map[boxOf]*seal.Box)
	}
	for other := range b.all { // any one makes room
		if len(b.all) < boxesMax {
			break
		}
		delete(b.all, other)
	}
	b.all[of] = box
}

// forget drops all generations of a conversation or agent.
func (b *boxes) forget(number int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for of := range b.all {
		if of.number == number {
			delete(b.all, of)
		}
	}
}

func (b *boxes) rest() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = nil
}

// box is the cipher of a conversation's generation. A secret that is gone, or was
// never there, is ErrNotFound.
func (a *Account) box(ctx context.Context, id store.ConversationID, generation int64) (*seal.Box, error) {
	if box := a.boxes.get(boxOf{int64(id), generation}); box != nil {
		return box, nil
	}
	var commitment []byte
	err := a.read(ctx, func(db *conn.Conn) error {
		_, err := db.One(`SELECT commitment
			FROM generation
			WHERE conversation = ? AND generation = ?`, []any{int64(id), generation},
			func(r conn.Row) { commitment = r.Blob(0) })
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.loadBox(ctx, id, generation, commitment)
}

// loadBox gets a secret and compares it with what is kept beside the data, since
// AES-GCM does not commit to its key.
func (a *Account) loadBox(ctx context.Context, id store.ConversationID, generation int64, commitment []byte) (*seal.Box, error) {
	of := boxOf{int64(id), generation}
	if box := a.boxes.get(of); box != nil {
		return box, nil
	}
	k, err := a.cfg.Keys.Get(ctx, keys.ID{Owner: keys.OfConversation, Number: int64(id), Generation: generation})
	if err != nil {
		return nil, fmt.Errorf("secret of conversation %d: %w", id, err)
	}
	defer k.Wipe()
	if c := k.Commitment(); subtle.ConstantTimeCompare(c[:], commitment) != 1 {
		return nil, fmt.Errorf("secret of conversation %d is another one than sealed it: %w", id, store.ErrTampered)
	}
	box := seal.NewBox(&k, a.cfg.Account, int64(id), generation)
	a.boxes.put(of, box)
	return box, nil
}

// agentBox is the cipher of an agent's secret.
func (a *Account) agentBox(ctx context.Context, id store.AgentID) (*seal.Box, error) {
	of := boxOf{int64(id), 1}
	if box := a.agents.get(of); box != nil {
		return box, nil
	}
	k, err := a.cfg.Keys.Get(ctx, agentSecret(id))
	if err != nil {
		return nil, fmt.Errorf("secret of agent %d: %w", id, err)
	}
	defer k.Wipe()
	box := newAgentBox(&k, a.cfg.Account, id)
	a.agents.put(of, box)
	return box, nil
}

func agentSecret(id store.AgentID) keys.ID {
	return keys.ID{Owner: keys.OfAgent, Number: int64(id), Generation: 1}
}

// newAgentBox takes the agent's negative id for a conversation, which none has.
func newAgentBox(k *seal.Key, account string, id store.AgentID) *seal.Box {
	return seal.NewBox(k, account, -int64(id), 1)
}

// locked says whether err means that a secret can't be had, now or ever.
func locked(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrTampered)
}
