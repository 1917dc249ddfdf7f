package sqlite

import (
	"errors"
	"sync"

	"parley.im/parley/store"
)

// pipeline is how many groups there are: one that the writer works on, one that is
// dispatched, and what may wait between them. When all are taken the writer waits
// for those who are told.
const pipeline = 4

// dispatchLoop tells what was decided, in the order in which it was.
func (a *Account) dispatchLoop() {
	for g := range a.decided {
		batches := 0
		for i := range g.items {
			a.tell(&g.items[i])
			if g.items[i].batch != nil {
				batches++
			}
		}
		if f := a.onGroup.Load(); f != nil && batches > 0 {
			(*f)()
		}
		if g.grown {
			a.watchers.notify()
		}
		g.clear()
		a.free <- g
	}
}

// OnGroup registers what the dispatcher calls after the Dones of a group.
func (a *Account) OnGroup(f func()) { a.onGroup.Store(&f) }

func (a *Account) tell(it *item) {
	switch {
	case it.batch == nil && it.write.done != nil:
		it.write.done <- it.err
		return
	case it.batch == nil:
		if it.err != nil && !errors.Is(it.err, store.ErrNotFound) { // she was deleted meanwhile
			a.log.Warn("not kept", "err", it.err)
		}
		return
	}
	it.batch.Err = it.err
	it.batch.Done(it.batch)
}

// watchers are told that the log has grown.
type watchers struct {
	mu  sync.Mutex
	all map[*watcher]struct{}
}

type watcher struct{ ch chan<- struct{} }

// Watch registers a channel that gets a value, without waiting, after each group
// that was committed. The func ends it.
func (a *Account) Watch(ch chan<- struct{}) (stop func()) {
	w := &watcher{ch}
	a.watchers.mu.Lock()
	defer a.watchers.mu.Unlock()
	if a.watchers.all == nil {
		a.watchers.all = make(map[*watcher]struct{})
	}
	a.watchers.all[w] = struct{}{}
	return func() {
		a.watchers.mu.Lock()
		defer a.watchers.mu.Unlock()
		delete(a.watchers.all, w)
	}
}

func (w *watchers) notify() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w := range w.all {
		select {
		case w.ch <- struct{}{}:
		default:
		}
	}
}
