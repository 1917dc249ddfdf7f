package sqlite

import (
	"context"
	"errors"
	"sync"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// laterAfter is how long what nobody waits for is gathered: however often it changes
// meanwhile, only the newest is written.
const laterAfter = time.Second

// later holds what agents have of their own and is to be kept later, of each name the
// newest.
type later struct {
	keeping sync.Mutex // held over what the timer does, a look for a key included; taken before mu

	mu    sync.Mutex // guards what follows
	all   map[laterName]store.Own
	timer *time.Timer
	ended bool
}

type laterName struct {
	agent store.AgentID
	part  store.Part
	name  string
}

// KeepOwnLater keeps it within a second or two. What fails is logged.
func (a *Account) KeepOwnLater(o store.Own) {
	l := &a.later
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	if l.all == nil {
		l.all = make(map[laterName]store.Own)
		l.timer = time.AfterFunc(laterAfter, a.keepLater)
	}
	l.all[laterName{o.Agent, o.Part, o.Name}] = o
}

// keepLater seals what was gathered, here, since a key may have to be waited for, which
// the writer must not, and hands it to the writer.
func (a *Account) keepLater() {
	l := &a.later
	l.keeping.Lock()
	defer l.keeping.Unlock()
	l.mu.Lock()
	all := l.all
	l.all = nil
	l.mu.Unlock()
	for _, o := range all {
		rows, err := a.sealOwn(context.Background(), []store.Own{o})
		switch {
		case errors.Is(err, store.ErrNotFound): // she was deleted meanwhile
		case err != nil:
			a.log.Warn("not kept", "err", err)
		default:
			a.updateLater(func(db *conn.Conn) error { return keepOwn(db, rows) })
		}
	}
}

// end stops the timer; the rest is to be kept now.
func (l *later) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.timer != nil {
		l.timer.Stop()
	}
}
