package sqlite

import (
	"context"
	"errors"
	"sync"
	"time"

	"parley.im/parley/store/sqlite/conn"
)

// checkpointPages is how long the write-ahead log may grow before it is copied into
// the file: 8 MiB. A longer one lets pages that are written again and again be
// copied less often, and makes a start after a crash slower.
const checkpointPages = 2048

// longestPages is where the writer waits for the checkpoint, so that the log stays
// bounded whoever gets the processor; patience is for how long at most.
const (
	longestPages = 3 * checkpointPages
	patience     = time.Second
)

// probeEvery is how often an account that could not write tries again by itself.
const probeEvery = time.Second

// A keeper keeps the write-ahead log short, and closes what nobody uses.
type keeper struct {
	long    chan struct{} // holds one: the log is long
	shorter chan struct{} // holds one: a checkpoint has ended
	stop    chan struct{}

	mu    sync.Mutex
	probe *time.Timer // while the account can't write
	ended bool
}

// look is the writer's question, after each transaction, how long the log is.
func (k *keeper) look(db *conn.Conn) {
	pages, _, err := db.Checkpoint(conn.Look)
	if err != nil || pages < checkpointPages {
		return
	}
	select {
	case <-k.shorter: // an earlier one
	default:
	}
	select {
	case k.long <- struct{}{}:
	default:
	}
	if pages < longestPages {
		return
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-k.shorter:
	case <-k.stop:
	case <-t.C:
	}
}

// keepLoop is the keeper's goroutine.
func (a *Account) keepLoop() {
	var idle <-chan time.Time
	if a.cfg.Idle > 0 {
		t := time.NewTicker(a.cfg.Idle)
		defer t.Stop()
		idle = t.C
	}
	anchor := time.NewTicker(anchorEvery)
	defer anchor.Stop()
	for {
		select {
		case <-anchor.C:
			if err := a.anchor(context.Background()); err != nil {
				a.log.Warn("how far the log has come is not known elsewhere", "err", err)
			}
		case <-a.keeper.stop:
			return
		case <-a.keeper.long:
			if err := a.checkpoint(conn.Restart); err != nil {
				a.log.Warn("the write-ahead log stays long", "err", err)
			}
			select {
			case a.keeper.shorter <- struct{}{}:
			default:
			}
		case <-idle:
			if !a.used.Swap(false) {
				a.rest()
			}
		}
	}
}

// checkpoint copies the write-ahead log into the file while writers and readers go
// on, and then, as the last step for which they wait, what has come since.
func (a *Account) checkpoint(last conn.Mode) error {
	db, err := conn.Open(conn.Config{Path: a.path, Cache: 64})
	if err != nil {
		return err
	}
	defer db.Close()
	// Who else holds the file now will hold it longer than a writer should wait.
	if err := db.Script("PRAGMA busy_timeout = 0"); err != nil {
		return err
	}
	if _, _, err := db.Checkpoint(conn.Passive); err != nil {
		return err
	}
	a.gate.Lock()
	defer a.gate.Unlock()
	_, complete, err := db.Checkpoint(last)
	if err == nil && !complete {
		err = errRead
	}
	return err
}

var errRead = errors.New("somebody else reads the file")

// rest closes files and empties caches until they are needed again.
func (a *Account) rest() {
	a.pool.rest()
	a.open.rest()
	a.directory.forget()
	a.boxes.rest()
	a.agents.rest()
	a.spans.rest()
	a.views.forget()
	a.queue.flag(&a.queue.rest)
	a.cfg.Keys.Rest()
}

// report keeps what Err answers. While that is an error, a probe tries every second
// whether it holds, so that the account recovers without traffic.
func (a *Account) report(err error) {
	before := a.trouble.Load()
	switch {
	case err == nil && before == nil:
		return
	case err == nil:
		a.log.Info("the store takes writes again")
		a.trouble.Store(nil)
		return
	case before == nil:
		a.log.Error("the store can't write", "err", err)
	}
	a.trouble.Store(&err)
	a.keeper.again(func() { a.queue.put(item{write: &write{do: probe, done: make(chan error, 1)}}) })
}

// probe is a write that changes nothing but must reach the disk.
func probe(db *conn.Conn) error {
	return db.Exec("INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', '')")
}

// again does what in a second, once.
func (k *keeper) again(what func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.ended:
	case k.probe == nil:
		k.probe = time.AfterFunc(probeEvery, what)
	default:
		k.probe.Reset(probeEvery)
	}
}

// end stops the keeper for good.
func (k *keeper) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	if k.probe != nil {
		k.probe.Stop()
	}
	close(k.stop)
}
