package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"parley.im/parley/store"
)

// A Token is what a client may sign in with instead of a password.
type Token struct {
	Secret string    // 26 letters and digits of ASCII, 130 random bits
	Expiry time.Time // in whole seconds, UTC
}

// IssueToken makes a token for one client of an agent's and returns when it is durable:
// client is the id of its user-agent (XEP-0388 §2.3), mechanism one of those that
// FastMechanisms announced to it, credential what she signed in with. It is
// good for 21 days, for that client and that mechanism, and as long as the credential
// counts and is not changed. A token that the client got before and hasn't used yet is
// good no more; the one that it used last stays good until the new one is used.
//
// Of more than 16 clients the one unused longest, to the hour, loses its tokens.
//
// IssueToken returns ErrMechanism for a mechanism that there is not, ErrMalformed for
// an id that none is, and ErrDenied if the credential has been changed since the sign-in
// or counts no more.
func (a *Account) IssueToken(ctx context.Context, client, mechanism string, credential store.Credential) (Token, error) {
	m := parseHashedToken(mechanism)
	switch {
	case m == noToken:
		return Token{}, ErrMechanism
	case !isClient(client):
		return Token{}, fmt.Errorf("%w: id of the user-agent", ErrMalformed)
	}
	agent, from := credential.Agent, originOf(credential)
	mu := a.tokens.of(agent)
	mu.Lock()
	defer mu.Unlock()
	usable, err := a.credentials(ctx, agent)
	if err != nil {
		return Token{}, err
	}
	if _, there := from.find(usable); !there {
		return Token{}, fmt.Errorf("credential counts no more: %w", ErrDenied)
	}
	now := a.now()
	s := slot{
		mechanism: m,
		secret:    rand.Text(), // draft-schmaus-kitten-sasl-ht-09 §5: 128 bits at least
		expiry:    now.Add(tokenLifetime).Truncate(time.Second).UTC(),
		origin:    from,
	}
	change, err := a.withToken(ctx, agent, client, s, usable, now)
	if err != nil {
		return Token{}, err
	}
	if err := a.store.KeepOwn(ctx, change...); err != nil {
		return Token{}, fmt.Errorf("keep token: %w", err)
	}
	return Token{Secret: s.secret, Expiry: s.expiry}, nil
}

// withToken is what changes when a client gets a token: its own row, and those of
// clients that have to make room, first of all those whose tokens are good for nothing any
// more. (They are kept as long as there is room: who comes with one is told that it has
// expired, and is taken for nobody who guesses.)
func (a *Account) withToken(ctx context.Context, agent store.AgentID, client string, s slot, usable []store.Credential, now time.Time) ([]store.Own, error) {
	own := clientTokens{client: client}
	type other struct {
		clientTokens
		dead bool
	}
	var others []other
	var change []store.Own
	err := a.store.OwnOf(ctx, agent, store.OwnTokens, func(name string, value []byte) error {
		t, err := parseTokens(name, value)
		if err != nil {
			return err
		}
		pruned := t
		pruned.prune(usable, now)
		if name == client {
			own = pruned
		} else {
			others = append(others, other{t, pruned.empty()})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up tokens: %w", err)
	}
	slices.SortFunc(others, func(x, y other) int {
		if x.dead != y.dead {
			if x.dead {
				return 1
			}
			return -1
		}
		return y.used.Compare(x.used)
	})
	for len(others) >= maxTokenClients {
		last := others[len(others)-1].clientTokens
		last.slots = [2]slot{}
		change, others = append(change, last.own(agent)), others[:len(others)-1]
	}
	// XEP-0484 §3.5: the token used last stays, in case the client doesn't get the new
	// one; one that was never used goes.
	own.slots[slotNew], own.used = s, now
	return append(change, own.own(agent)), nil
}

// credentials are those that an agent may sign in with now.
func (a *Account) credentials(ctx context.Context, id store.AgentID) (list []store.Credential, err error) {
	err = a.usable(ctx, id, *a.current.Load(), func(c store.Credential, _ verifier) { list = append(list, c) })
	return list, err
}

// isClient says whether that may be the id of a user-agent. It is to be a UUID
// (XEP-0388 §2.3); what matters here is that it is short, and the same each time.
func isClient(id string) bool {
	for _, c := range []byte(id) {
		if c < 0x21 || c > 0x7E {
			return false
		}
	}
	return id != "" && len(id) <= maxClient
}
