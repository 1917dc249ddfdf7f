package backup_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"parley.im/parley/store"
)

// newContact begins a conversation of a visitor's, which has no contact yet.
func (p *place) newContact() store.Conversation {
	p.t.Helper()
	c, err := p.store.NewContact(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// step makes the next change of a contact, with a message, which the first agent sees.
func (p *place) step(c store.Conversation, k *store.Contact) {
	p.t.Helper()
	p.later(time.Second)
	if k.Version++; k.Version == 1 {
		k.ID, k.Address, k.Live, k.Visitor, k.Created = c.ID(), fmt.Sprint("a", c.ID()), true, "v1", p.clock()
	}
	k.Data = fmt.Appendf(nil, "data-%d-%d", k.ID, k.Version)
	done := make(chan error, 1)
	p.store.Append(&store.Batch{
		Ops:     []store.Op{{Conversation: c, Kind: store.KindMessage, At: p.clock(), Data: fmt.Appendf(nil, "said-%d-%d", k.ID, k.Version)}},
		Contact: &store.ContactChange{Contact: *k, Was: k.Version - 1, See: p.agents[:1], From: 1},
		Done:    func(b *store.Batch) { done <- b.Err },
	})
	if err := <-done; err != nil {
		p.t.Fatal(err)
	}
}

// Contacts come back as they were, at the end and at any time before. One that was
// shredded since does not, and one that was never begun is none.
func TestContactsComeBack(t *testing.T) {
	forSealedAndPlain(t, func(t *testing.T, sealed bool) {
		p := newPlace(t, sealed)
		one, other, late := p.newContact(), p.newContact(), p.newContact()
		var a, b, c store.Contact
		p.step(one, &a)
		p.step(other, &b)
		p.mustCopy(true) // while late is not begun
		p.step(one, &a)
		p.step(late, &c)
		unborn := p.newContact()
		p.mustCopy(false)
		before, then := p.clock(), a
		p.step(one, &a)
		if err := p.store.Shred(t.Context(), b.ID); err != nil {
			t.Fatal(err)
		}
		p.mustCopy(false)

		for _, test := range []struct {
			at   time.Time
			want store.Contact
			said string
		}{
			{time.Time{}, a, fmt.Sprintf("said-%d-1 said-%[1]d-2 said-%d-1 said-%[1]d-3", a.ID, c.ID)},
			{before, then, fmt.Sprintf("said-%d-1 said-%[1]d-2 said-%d-1", a.ID, c.ID)},
		} {
			q, _ := p.restore(test.at)
			list, err := q.store.Contacts(t.Context(), store.ContactQuery{Max: 10})
			if err != nil || len(list) != 2 || list[0].ID != c.ID {
				t.Fatalf("there are %+v, %v", list, err)
			}
			if got := list[1]; got.Version != test.want.Version || string(got.Data) != string(test.want.Data) || got.Address != a.Address {
				t.Errorf("the contact is %+v, want %+v", got, test.want)
			}
			if got := q.all(0); got != test.said {
				t.Errorf("Anna reads %q, want %q", got, test.said)
			}
			for _, id := range []store.ConversationID{b.ID, unborn.ID()} {
				if _, err := q.store.OpenContact(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("what was shredded or never begun is open: %v", err)
				}
			}
			again, err := q.store.OpenContact(t.Context(), a.ID)
			if err != nil {
				t.Fatal(err)
			}
			k := list[1]
			q.step(again, &k)
			q.whole("after it has gone on")
			if where := q.holding("data-"); sealed && len(where) > 0 {
				t.Errorf("what is known of contacts is in %v", where)
			}
		}
	})
}
