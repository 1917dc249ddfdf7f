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
	_, err := k.change(ctx, address, func(id store.ConversationID, done desk.Done) { k.Rate(id, r, done) }, func(c *desk.Contact) (*desk.Change, error) {
		return c.Rated(r, k.config.Now())
	})
	return err
}

// ReviseLate is Revise for a contact, by its address, that may be finalized. It returns what the contact is then.
func (k *Contacts) ReviseLate(ctx context.Context, address string, by desk.Party, check func(*desk.Contact) error, list []desk.Revision) (*desk.Contact, error) {
	return k.change(ctx, address, func(id store.ConversationID, done desk.Done) { k.Revise(id, by, check, list, done) }, func(c *desk.Contact) (*desk.Change, error) {
		return c.Revised(by, check, list, k.config.Now())
	})
}

// NoteLate is Note of somebody who is no agent, for a contact, by its address, that may be finalized. It returns what the contact is then.
func (k *Contacts) NoteLate(ctx context.Context, address string, by desk.Party, text string) (*desk.Contact, error) {
	return k.change(ctx, address, func(id store.ConversationID, done desk.Done) { k.Note(id, by, 0, text, done) }, func(c *desk.Contact) (*desk.Change, error) {
		return c.Noted(by, text, k.config.Now())
	})
}

// change changes a contact by way of the desk, or where it is kept once the desk knows it no more, with what late says is to be kept.
func (k *Contacts) change(ctx context.Context, address string, live func(store.ConversationID, desk.Done), late func(*desk.Contact) (*desk.Change, error)) (*desk.Contact, error) {
	for try := 0; ; try++ {
		c, err := k.Show(ctx, address)
		if err != nil {
			return nil, err
		}
		var ch *desk.Change
		if c.State != desk.Finalized {
			ch, err = Wait(func(done desk.Done) { live(c.ID, done) })
		} else if ch, err = late(c); err != nil {
			return nil, err
		} else if ch != nil && ch.Is != c {
			err = k.late(ctx, ch)
		}
		again := errors.Is(err, store.ErrConflict) || errors.Is(err, desk.ErrUnknown) || errors.Is(err, desk.ErrClosed)
		switch {
		case err == nil && ch == nil:
			return c, nil
		case err == nil:
			return ch.Is, nil
		case !again || try == lateTries:
			return nil, err
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
