package contact

import (
	"context"
	"errors"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// lateTries is how often somebody tries who is overtaken by another who says something of the same contact.
const lateTries = 5

// RateLate is Rate for a contact, by its address, that may be finalized: what the desk knows no more is changed where it is kept. When it ended, and
// so for how long it is kept, stays what it was.
func (k *Contacts) RateLate(ctx context.Context, address string, r desk.Rating) error {
	for try := 0; ; try++ {
		c, err := k.Show(ctx, address)
		if err != nil {
			return err
		}
		if c.State != desk.Finalized {
			_, err = Wait(func(done desk.Done) { k.Rate(c.ID, r, done) })
		} else if ch, refused := c.Rated(r, k.config.Now()); ch == nil {
			return refused
		} else {
			err = k.late(ctx, ch)
		}
		if again := errors.Is(err, store.ErrConflict) || errors.Is(err, desk.ErrUnknown) || errors.Is(err, desk.ErrClosed); !again || try == lateTries {
			return err
		}
	}
}

// Tell keeps an event of a contact that changes nothing of it, whether it is finalized or not.
func (k *Contacts) Tell(ctx context.Context, address string, e desk.Event) error {
	for try := 0; ; try++ {
		c, err := k.Show(ctx, address)
		if err != nil {
			return err
		}
		if c.State == desk.Finalized {
			return k.late(ctx, &desk.Change{Was: c, Is: c, Events: []desk.Event{e}})
		}
		_, err = Wait(func(done desk.Done) { k.Mark(c.ID, e, done) })
		if again := errors.Is(err, desk.ErrUnknown) || errors.Is(err, desk.ErrClosed); !again || try == lateTries {
			return err
		}
	}
}

// late keeps a change of a contact that is finalized. Nobody who follows contacts hears of it.
func (k *Contacts) late(ctx context.Context, ch *desk.Change) error {
	conv, err := k.store.OpenContact(ctx, ch.Is.ID)
	if err != nil {
		return err
	}
	b, err := k.batch(ch, conv)
	if err != nil {
		return err
	}
	kept := make(chan error, 1)
	b.Done = func(b *store.Batch) { kept <- b.Err }
	k.store.Append(b)
	return <-kept
}
