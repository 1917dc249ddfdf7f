package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/store"
	"parley.im/parley/store/backup"
)

// beForgetful in the environment, a configuration, makes the test binary one that keeps,
// destroys and copies at the same time, by a clock of its own, until it is killed.
const beForgetful = "PARLEY_TEST_FORGETFUL"

// forgetfulKeeps is how long it keeps what is said; its clock goes on by forgetfulStep after each
// message. What is sealed by one secret goes together, up to a quarter of the limit early.
const (
	forgetfulKeeps = 10 * 24 * time.Hour
	forgetfulStep  = forgetfulKeeps / 200
	forgetfulEarly = 60 // messages
	forgetfulAhead = 80 // messages while a copy is made: no secret lives for so short a time only
)

// A forgetfulness says lines on standard output: "said N", when number N is durable;
// "copied N GONE" when a copy is in all places that was begun after N was said and
// everything up to GONE was destroyed.
type forgetfulness struct {
	inst   *installation
	notes  store.Conversation
	anna   store.AgentID
	desk   *account
	clock  atomic.Int64 // milliseconds
	said   atomic.Int64
	gone   atomic.Int64
	copies *backup.Keeper
	room   chan struct{} // for messages while a copy is made
}

func forgetful(config string) error {
	f, err := conf.Load(config, nil)
	if err != nil {
		return err
	}
	x := &forgetfulness{room: make(chan struct{}, forgetfulAhead)}
	x.clock.Store(time.Now().UnixMilli())
	if x.inst, err = openInstallation(context.Background(), f, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		return err
	}
	x.inst.now = func() time.Time { return time.UnixMilli(x.clock.Load()) }
	if err := x.prepare(); err != nil {
		return err
	}
	var loops sync.WaitGroup
	failed := make(chan error, 3)
	for _, loop := range []func() error{x.talk, x.destroy, x.copy} {
		loops.Go(func() {
			for err := error(nil); err == nil; {
				if err = loop(); err != nil {
					failed <- err
				}
			}
		})
	}
	return <-failed // else it is killed
}

// prepare goes on where it was killed.
func (x *forgetfulness) prepare() (err error) {
	ctx := context.Background()
	if x.desk, err = x.inst.account(ctx, "desk"); err != nil {
		return err
	}
	anna, err := x.desk.store.Agent(ctx, "anna")
	if err != nil {
		return err
	}
	x.anna = anna.ID
	if x.notes, err = x.desk.store.Direct(ctx, x.anna, x.anna); err != nil {
		return err
	}
	numbers, at, err := forgetfulNumbers(ctx, x.desk, x.notes.ID())
	if err == nil && len(numbers) > 0 {
		x.said.Store(int64(numbers[len(numbers)-1]))
		x.gone.Store(int64(numbers[0]) - 1)
		x.clock.Store(at.UnixMilli())
	}
	return err
}

// forgetfulNumbers are those of the messages, and the time of the last. The newest may be
// locked: where it was killed when a copy of the data was in its place and that of the keys was
// not yet.
func forgetfulNumbers(ctx context.Context, a *account, id store.ConversationID) (list []int, at time.Time, err error) {
	locked := false
	err = a.store.Transcript(ctx, id, func(e *store.Entry) error {
		n := 0
		if e.Locked {
			locked = true
			return nil
		}
		if locked {
			return fmt.Errorf("record %d can be read, and one before it cannot", e.Ordinal)
		}
		if _, err := fmt.Sscanf(string(e.Data), "number %d", &n); err != nil {
			return fmt.Errorf("record %d is %q: %w", e.Ordinal, e.Data, err)
		}
		list, at = append(list, n), e.At
		return nil
	})
	if locked && errors.Is(err, store.ErrTampered) { // that they are locked is what it tells
		err = nil
	}
	return list, at, err
}

func (x *forgetfulness) talk() error {
	<-x.room
	n := x.said.Load() + 1
	done := make(chan error, 1)
	x.desk.store.Append(&store.Batch{
		Ops:  []store.Op{{Conversation: x.notes, Kind: store.KindMessage, Actor: x.anna, At: x.inst.now(), Data: fmt.Appendf(nil, "number %d", n)}},
		Done: func(b *store.Batch) { done <- b.Err },
	})
	if err := <-done; err != nil {
		return err
	}
	x.said.Store(n)
	x.clock.Add(forgetfulStep.Milliseconds())
	_, err := fmt.Println("said", n)
	return err
}

func (x *forgetfulness) destroy() error {
	ctx := context.Background()
	if _, err := x.desk.store.Expire(ctx, store.Expiry{Now: x.inst.now(), Done: func(store.Shredding) {}}); err != nil {
		return err
	}
	numbers, _, err := forgetfulNumbers(ctx, x.desk, x.notes.ID())
	if err == nil && len(numbers) > 0 {
		x.gone.Store(int64(numbers[0]) - 1)
	}
	return err
}

func (x *forgetfulness) copy() error {
	said, gone := x.said.Load(), x.gone.Load()
	for len(x.room) < cap(x.room) {
		x.room <- struct{}{}
	}
	if x.copies == nil {
		c, err := backupConfig(x.inst.config(), x.inst)
		if err != nil {
			return err
		}
		if x.copies, err = backup.New(*c); err != nil {
			return err
		}
	}
	ages, err := x.copies.Now(context.Background(), false)
	for _, a := range ages {
		if err == nil {
			err = a.Err
		}
	}
	if err == nil {
		_, err = fmt.Println("copied", said, gone)
	}
	return err
}
