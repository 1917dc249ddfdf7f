package main

import (
	"context"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/people"
	"parley.im/parley/xmppd/contact"
)

// eraser erases visitors of an account.
func (a *account) eraser() *contact.Eraser {
	e := &contact.Eraser{Store: a.store, People: a.people, Now: a.inst.now}
	if a.inst.live != nil {
		e.Live = a.inst.live.Contacts(a.id)
	}
	return e
}

// peopleAtOnce is how many people are looked at in one reading.
const peopleAtOnce = 256

// forgetPeople forgets the visitors of whom nothing is kept any more: who they are is kept as long
// as the last of what they said, and no longer.
func (a *account) forgetPeople(ctx context.Context, now time.Time) error {
	keep := a.keeps()
	if a.people == nil || keep == 0 {
		return nil
	}
	before := now.Add(-keep) // what began later is kept still
	if held, err := a.store.Held(ctx, 0); err != nil || held.After(now) {
		return err
	}
	for after := (people.Person{}); ; {
		list, err := a.people.Unseen(before, after, peopleAtOnce)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, after = range list {
			some, err := a.store.Contacts(ctx, store.ContactQuery{Visitor: after.ID, Max: 1})
			if err != nil {
				return err
			}
			if len(some) == 0 {
				if _, err := a.people.Forget(ctx, after.ID, before); err != nil {
					return err
				}
			}
		}
	}
}
