package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// Verify walks everything that is kept and answers what is not as it was written.
func (a *Account) Verify(ctx context.Context, whole bool) error {
	v := &verification{a: a, told: make(map[sumOf]bool)}
	for _, part := range []func(context.Context) error{
		func(ctx context.Context) error { return v.files(ctx, whole) },
		v.age, v.conversations, v.log, v.secrets, v.contacts, v.sentFiles, v.people, v.webhooks, v.others, v.answered, v.ledger,
	} {
		err := part(ctx)
		switch {
		case conn.Damaged(err) || errors.Is(err, store.ErrTampered):
			v.found(err)
		case err != nil:
			return fmt.Errorf("verify account %q: %w", a.cfg.Account, err)
		}
	}
	return errors.Join(v.faults...)
}

// A verification gathers what is affected.
type verification struct {
	a      *Account
	faults []error
	told   map[sumOf]bool // of whose rows something was said
}

// found adds a fault. Whatever it is, it counts as tampering.
func (v *verification) found(err error) {
	if err != nil && !errors.Is(err, store.ErrTampered) {
		err = fmt.Errorf("%w: %w", err, store.ErrTampered)
	}
	if err != nil {
		v.faults = append(v.faults, err)
	}
}

func (v *verification) say(format string, args ...any) {
	v.found(fmt.Errorf(format+": %w", append(args, store.ErrTampered)...))
}

// files asks SQLite, on a connection of its own: readers of the account must be short.
func (v *verification) files(_ context.Context, whole bool) error {
	if !whole {
		return nil
	}
	db, err := conn.Open(conn.Config{Path: v.a.path, ReadOnly: true, Cache: readerCache})
	if err != nil {
		return err
	}
	faults, err := db.Check()
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if len(faults) > 0 {
		v.say("%s is damaged: %s", v.a.path, strings.Join(faults, "; "))
	}
	if faults, err = v.a.cfg.Keys.Check(); len(faults) > 0 {
		v.say("the key database is damaged: %s", strings.Join(faults, "; "))
	}
	return err
}

// age asks whether one of the files was put back to an older state.
func (v *verification) age(ctx context.Context) error {
	if noticed := v.a.noticed.Load(); noticed != nil {
		v.found(*noticed)
	}
	faults, err := v.a.rolledBack(ctx)
	for _, fault := range faults {
		v.found(fault)
	}
	return err
}

// verifyAtOnce is how many conversations are asked for at a time.
const verifyAtOnce = 1000

// conversations compares each conversation's records with its header.
func (v *verification) conversations(ctx context.Context) error {
	for after := store.ConversationID(0); ; {
		some, err := v.a.Conversations(ctx, after, verifyAtOnce)
		if err != nil || len(some) == 0 {
			return err
		}
		for _, s := range some {
			if after = s.ID; s.Shredded {
				continue
			}
			err := v.a.Transcript(ctx, s.ID, func(*store.Entry) error { return nil })
			switch {
			case err == nil || errors.Is(err, store.ErrNotFound): // shredded meanwhile
			case errors.Is(err, store.ErrTampered) || conn.Damaged(err):
				v.found(err)
			default:
				return err
			}
		}
	}
}

// A tally counts what is affected of one kind, and names the first few.
type tally struct {
	what  string
	count int
	named []string
}

func (t *tally) add(name string) {
	if t.count++; len(t.named) < tellWrong {
		t.named = append(t.named, name)
	}
}

// tell makes a fault of it, if anything is affected.
func (t *tally) tell(v *verification) {
	if t.count == 0 {
		return
	}
	names := strings.Join(t.named, ", ")
	if t.count > len(t.named) {
		names += ", …"
	}
	v.say("%s (%d): %s", t.what, t.count, names)
}
