package sqlite

import (
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// Append queues a batch and returns at once; b.Done is called later, by the
// dispatcher. When the account is closed, Append itself calls it.
func (a *Account) Append(b *store.Batch) {
	a.used.Store(true)
	it := item{batch: b, err: a.check(b)}
	if it.err == nil {
		it.contact, it.err = a.contactOf(b)
	}
	if it.err == nil {
		a.mark(&it)
	}
	if !a.queue.put(it) {
		b.Err = store.ErrUnavailable
		b.Done(b)
	}
}

// appendWith appends a batch and does another write in the same transaction: all of it, or
// nothing. It waits until that is durable.
func (a *Account) appendWith(b *store.Batch, do func(*conn.Conn) error) error {
	a.used.Store(true)
	decided := make(chan struct{})
	b.Done = func(*store.Batch) { close(decided) }
	it := item{batch: b, write: &write{do: do}, err: a.check(b)}
	if !a.queue.put(it) {
		return store.ErrUnavailable
	}
	<-decided
	return b.Err
}

// check finds what a programmer got wrong.
func (a *Account) check(b *store.Batch) error {
	for i := range b.Ops {
		c, ok := b.Ops[i].Conversation.(*conversation)
		if !ok || c.account != a {
			return fmt.Errorf("append to a conversation of another store: %w", store.ErrNotFound)
		}
		a.freshenSoon(c)
	}
	return nil
}

// mark computes by what the records would be known again, here, since the writer has
// more to do than all its callers.
func (a *Account) mark(it *item) {
	ops := it.batch.Ops
	if len(ops) == 1 {
		it.repeat = a.marker.of(&ops[0])
		return
	}
	for i := range ops {
		if ops[i].RepeatID != "" && it.repeats == nil {
			it.repeats = make([]int64, len(ops))
		}
		if it.repeats != nil {
			it.repeats[i] = a.marker.of(&ops[i])
		}
	}
}

// repeatAt is the mark of a batch's op i.
func (it *item) repeatAt(i int) int64 {
	switch {
	case len(it.batch.Ops) == 1:
		return it.repeat
	case it.repeats != nil:
		return it.repeats[i]
	}
	return 0
}
