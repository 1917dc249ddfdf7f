package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"parley.im/parley/store"
)

const (
	// A client that isn't used for longer than tokenLifetime asks for the password again
	// (XEP-0484 §4.2); one that is used gets a new token after a week, so that a stolen
	// one is worth less each time.
	tokenLifetime = 21 * 24 * time.Hour
	tokenRotation = 7 * 24 * time.Hour

	// maxTokenClients is how many clients of an agent's can have tokens. Another one
	// takes the place of the one unused longest.
	maxTokenClients = 16

	// usedEvery is how exactly it is known when a client was here last: a client that
	// reconnects all day costs one write an hour.
	usedEvery = time.Hour

	// maxClient bounds the id of a user-agent in bytes; a UUID has 36.
	maxClient = 64
)

// A slot holds one token. The zero value is an empty one.
//
// The secret itself is kept, since it is the key of the HMACs on both sides: a hash of
// it would be as good as the token to whoever steals it. The store seals it with a
// secret of the agent's, which lies elsewhere, in every profile (store.Own).
type slot struct {
	mechanism hashedToken // the only one it is good for (XEP-0484 §3.4)
	secret    string
	expiry    time.Time
	origin    origin // what she had signed in with
}

// issued is when the token was made.
func (s *slot) issued() time.Time { return s.expiry.Add(-tokenLifetime) }

// An origin names a credential as it was at some time: a changed password keeps its id
// (ChangePassword), but not its time and its verifier.
type origin [sha256.Size]byte

func originOf(c store.Credential) origin {
	b := binary.AppendVarint(nil, c.ID)
	b = binary.AppendVarint(b, c.Created.UnixMilli()) // all that the store keeps of it
	return sha256.Sum256(append(b, c.Verifier...))
}

// find is the one of the credentials that the token came from, if it is still there
// (rule 15: a password's change ends its tokens).
func (o origin) find(list []store.Credential) (store.Credential, bool) {
	for _, c := range list {
		if originOf(c) == o {
			return c, true
		}
	}
	return store.Credential{}, false
}

// The slots of a client (XEP-0484 §5.1).
const (
	slotNew     = iota // issued, not used yet
	slotCurrent        // the last one used
)

// A clientTokens is what one client of an agent's may sign in with. On disk it is the
// version in a byte, the time of the last use in seconds as a uvarint, and both slots:
// the mechanism's number in a byte, 0 if the slot is empty, and else the expiry in
// seconds as a uvarint, the origin, and the secret after its length.
type clientTokens struct {
	client string
	used   time.Time // see usedEvery
	slots  [2]slot
}

const tokensVersion = 1

var errTokens = errors.New("not a client's tokens")

func (t *clientTokens) encode() []byte {
	b := []byte{tokensVersion}
	b = binary.AppendUvarint(b, uint64(t.used.Unix()))
	for _, s := range t.slots {
		b = append(b, byte(s.mechanism))
		if s.mechanism == noToken {
			continue
		}
		b = binary.AppendUvarint(b, uint64(s.expiry.Unix()))
		b = append(b, s.origin[:]...)
		b = binary.AppendUvarint(b, uint64(len(s.secret)))
		b = append(b, s.secret...)
	}
	return b
}

// parseTokens undoes encode. Nothing points into b afterwards.
func parseTokens(client string, b []byte) (clientTokens, error) {
	t := clientTokens{client: client}
	if len(b) == 0 || b[0] != tokensVersion {
		return t, fmt.Errorf("%w: unknown version", errTokens)
	}
	ok := true
	number := func() (n uint64) {
		var w int
		if n, w = binary.Uvarint(b); w <= 0 {
			n, w, ok = 0, 0, false
		}
		b = b[w:]
		return n
	}
	take := func(n uint64) (taken []byte) {
		if n > uint64(len(b)) {
			n, ok = 0, false
		}
		taken, b = b[:n], b[n:]
		return taken
	}
	b = b[1:]
	t.used = time.Unix(int64(number()), 0)
	for i := range t.slots {
		s := &t.slots[i]
		kind := take(1)
		if !ok || kind[0] == byte(noToken) {
			continue
		}
		s.mechanism, s.expiry = hashedToken(kind[0]), time.Unix(int64(number()), 0)
		copy(s.origin[:], take(uint64(len(s.origin))))
		s.secret = string(take(number()))
	}
	if !ok || len(b) > 0 {
		return clientTokens{}, errTokens
	}
	return t, nil
}

// own is what the store is to keep of them: nothing where both slots are empty.
func (t *clientTokens) own(agent store.AgentID) store.Own {
	o := store.Own{Agent: agent, Part: store.OwnTokens, Name: t.client}
	if !t.empty() {
		o.Value = t.encode()
	}
	return o
}

func (t *clientTokens) empty() bool {
	return t.slots[slotNew].mechanism == noToken && t.slots[slotCurrent].mechanism == noToken
}

// prune empties the slots whose tokens are good for nothing any more.
func (t *clientTokens) prune(usable []store.Credential, now time.Time) {
	for i := range t.slots {
		s := &t.slots[i]
		if _, there := s.origin.find(usable); !there || !now.Before(s.expiry) {
			*s = slot{}
		}
	}
}

// standIn is as long as a token.
const standIn = "AAAAAAAAAAAAAAAAAAAAAAAAAA"

// match tries a hashed token on both slots, and on stand-ins where one is empty or for
// another mechanism, without branching on what fits (XEP-0484 §5.1): the index of the
// slot, or -1, and what proves that the server knows the token.
func (t *clientTokens) match(m hashedToken, binding, proof []byte) (index int, reply []byte) {
	found, reply := 0, make([]byte, sha256.Size)
	for i, s := range t.slots {
		secret, real := s.secret, 1
		// XEP-0484 §3.4: a token asked for with channel binding is not to be used without.
		if s.mechanism != m {
			secret, real = standIn, 0
		}
		fits := subtle.ConstantTimeCompare(m.hash(secret, initiator, binding), proof) & real & (1 ^ found)
		subtle.ConstantTimeCopy(fits, reply, m.hash(secret, responder, binding))
		index = subtle.ConstantTimeSelect(fits, i, index)
		found |= fits
	}
	return subtle.ConstantTimeSelect(found, index, -1), reply
}

// holding is the slot that holds that very token, or -1.
func (t *clientTokens) holding(s slot) int {
	for i, other := range t.slots {
		if other.mechanism == s.mechanism && subtle.ConstantTimeCompare([]byte(other.secret), []byte(s.secret)) == 1 {
			return i
		}
	}
	return -1
}

// tokensOf are the tokens of one client; empty slots if it has none. Only that client's are
// looked at, whose id no stranger knows: how many others there are takes no time (rule 17).
func (a *Account) tokensOf(ctx context.Context, agent store.AgentID, client string) (clientTokens, error) {
	value, err := a.store.OwnNamed(ctx, agent, store.OwnTokens, client)
	if err != nil || value == nil {
		if err != nil {
			err = fmt.Errorf("look up tokens: %w", err)
		}
		return clientTokens{client: client}, err
	}
	return parseTokens(client, value)
}

// changeTokens has f change the tokens of one client as they are now, and keeps them
// if f says that there is something to keep.
func (a *Account) changeTokens(ctx context.Context, agent store.AgentID, client string, f func(*clientTokens) bool) error {
	mu := a.tokens.of(agent)
	mu.Lock()
	defer mu.Unlock()
	t, err := a.tokensOf(ctx, agent, client)
	if err != nil || !f(&t) {
		return err
	}
	if err := a.store.KeepOwn(ctx, t.own(agent)); err != nil {
		return fmt.Errorf("keep tokens: %w", err)
	}
	return nil
}

// tokenLocks are held between reading an agent's tokens and keeping what became of
// them; a few agents share each.
type tokenLocks [64]sync.Mutex

func (l *tokenLocks) of(agent store.AgentID) *sync.Mutex {
	return &l[uint64(agent)%uint64(len(l))]
}
