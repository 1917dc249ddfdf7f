package contact

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/people"
	"parley.im/parley/xmppd/desk"
)

// An Eraser destroys all that is kept of an account's visitors: who they are, and their contacts.
type Eraser struct {
	Store  store.Account
	People *people.People
	Live   *Contacts // those that go on; nil where no server runs
	Now    func() time.Time
}

// erased is the event. Contacts are those that were destroyed, by their addresses; after a restart in between,
// those since.
type erased struct {
	Visitor  string   `json:"visitor"`
	Contacts []string `json:"contacts,omitempty"`
	By       string   `json:"by"`
}

// settled is how long after an erasure a contact may come that was about to be opened then.
const settled = 10 * time.Minute

// Erase erases a visitor, and answers how many contacts that destroyed. Of one of whom nothing is kept it is
// ErrNotFound; what is held stops it (ErrConflict), and then nothing happens. It is durable before anything
// goes: what a crash leaves of the visitor goes at the next start, or in a copy that is restored.
func (e *Eraser) Erase(ctx context.Context, visitor string) (contacts int, err error) {
	if err := e.may(ctx, visitor); err != nil {
		return 0, err
	}
	ctx = context.WithoutCancel(ctx) // whoever hangs up stops nothing
	if err := e.People.Erase(ctx, visitor); err != nil {
		return 0, err
	}
	gone, err := e.destroy(ctx, visitor)
	if err == nil {
		err = e.told(ctx, visitor, gone)
	}
	return len(gone), err
}

// may says whether there is somebody to erase, and nothing in the way.
func (e *Eraser) may(ctx context.Context, visitor string) error {
	_, err := e.People.Show(ctx, visitor)
	// Whose row can't be read is erased like any other.
	nobody := errors.Is(err, store.ErrNotFound)
	if err != nil && !nobody && !errors.Is(err, store.ErrTampered) {
		return err
	}
	if err := e.held(ctx, 0, "the account"); err != nil {
		return err
	}
	for q := (store.ContactQuery{Visitor: visitor, Max: pageSize}); ; {
		some, err := e.Store.Contacts(ctx, q)
		if err != nil {
			return err
		}
		for i := range some {
			if err := e.held(ctx, some[i].ID, "contact "+some[i].Address); err != nil {
				return err
			}
			nobody, q.Before = false, some[i].ID
		}
		if len(some) < pageSize {
			break
		}
	}
	if nobody {
		return store.ErrNotFound
	}
	return nil
}

func (e *Eraser) held(ctx context.Context, id store.ConversationID, what string) error {
	until, err := e.Store.Held(ctx, id)
	if err == nil && until.After(e.Now()) {
		err = fmt.Errorf("%s is held until %s: %w", what, until.UTC().Format(time.DateOnly), store.ErrConflict)
	}
	return err
}

// destroy destroys a visitor's contacts, those that go on as well, and answers their addresses.
func (e *Eraser) destroy(ctx context.Context, visitor string) (gone []string, err error) {
	for {
		some, err := e.Store.Contacts(ctx, store.ContactQuery{Visitor: visitor, Max: pageSize})
		if err != nil || len(some) == 0 {
			return gone, err
		}
		for i := range some {
			if e.Live != nil && some[i].Live {
				_, err := Wait(func(done desk.Done) { e.Live.Erase(some[i].ID, done) })
				if err != nil && !errors.Is(err, desk.ErrUnknown) && !errors.Is(err, desk.ErrClosed) {
					return gone, err
				}
			}
			if err := e.Store.Shred(ctx, some[i].ID); err != nil {
				return gone, err
			}
			gone = append(gone, some[i].Address)
		}
	}
}

func (e *Eraser) told(ctx context.Context, visitor string, gone []string) error {
	if err := tell(ctx, e.Store, store.KindVisitorErased, 0, e.Now(), erased{visitor, gone, string(desk.System)}); err != nil {
		return err
	}
	return e.People.Told(visitor)
}

// Resume ends what was begun: after a crash, after a copy was restored, and where a contact came just then.
func (e *Eraser) Resume(ctx context.Context) error {
	list, err := e.People.Unfinished()
	if err != nil {
		return err
	}
	var faults []error
	for _, u := range list {
		gone, err := e.destroy(ctx, u.ID)
		if err == nil && (!u.Told || len(gone) > 0) {
			err = e.told(ctx, u.ID, gone)
		}
		if err == nil && e.Now().Sub(u.At) >= settled {
			err = e.People.Done(u.ID)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("erase visitor %s: %w", u.ID, err))
		}
	}
	return errors.Join(faults...)
}
