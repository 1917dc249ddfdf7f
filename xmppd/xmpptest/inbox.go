package xmpptest

import (
	"sync"
	"time"
)

// patience is how long an expected thing may take. In a synctest bubble it is
// pretend time, which passes only when nobody has anything left to do.
const patience = 10 * time.Second

// A kind says what came over a connection.
type kind int

const (
	gotHeader  kind = iota // <stream:stream>
	gotElement             // a whole element of the stream
	gotText                // characters other than white space between elements
	gotEnd                 // </stream:stream>
	gotCut                 // the connection is gone
)

// An item is one thing that came.
type item struct {
	kind kind
	node *node  // header and element
	raw  string // as it came
}

// is says whether the item is an element of that name.
func (it item) is(space, local string) bool {
	return it.kind == gotElement && it.node.is(space, local)
}

// over says whether nothing follows in this stream.
func (it item) over() bool { return it.kind == gotEnd || it.kind == gotCut }

// An inbox holds what a reader got until the talk asks for it. It has no bound,
// so that a talk never holds up the server unless it wants to.
type inbox struct {
	wake chan struct{} // something came

	mu    sync.Mutex // guards what follows
	items []item
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (b *inbox) put(it item) {
	b.mu.Lock()
	b.items = append(b.items, it)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *inbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items)
}

// next takes the oldest item out; false means that none came in time.
func (b *inbox) next() (item, bool) {
	return b.take(0, func(item) bool { return true })
}

// take takes out the first item from place from on that fits, waiting for it.
// What ends a stream fits always, but stays.
func (b *inbox) take(from int, fits func(item) bool) (item, bool) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		if it, ok := b.pick(from, fits); ok {
			return it, true
		}
		select {
		case <-b.wake:
		case <-late.C:
			return item{}, false
		}
	}
}

func (b *inbox) pick(from int, fits func(item) bool) (item, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := from; i < len(b.items); i++ {
		it := b.items[i]
		if fits(it) {
			b.items = append(b.items[:i:i], b.items[i+1:]...)
			return it, true
		}
		if it.over() {
			return it, true
		}
	}
	return item{}, false
}
