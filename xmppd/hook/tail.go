package hook

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"parley.im/parley/store"
)

// A tail reads an account's log for all its workers and remembers the last
// stretch, so that endpoints that are equally far cost one reading between
// them.
type tail struct {
	store Store

	mu      sync.Mutex // guards what follows; held while reading, so that one reads for all
	from    store.Ordinal
	to      store.Ordinal
	entries []*store.Entry // all that follow from, up to and with to; never changed
}

// A stretch holds at most so many records, and not much more than so many bytes.
const (
	stretchMax   = 64
	stretchBytes = 256 << 10
)

var errEnough = errors.New("enough")

// read returns entries that follow after, and how far that has read the log:
// beyond the last entry where records were destroyed.
func (t *tail) read(ctx context.Context, after store.Ordinal) ([]*store.Entry, store.Ordinal, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if after < t.from || after >= t.to {
		if err := t.load(ctx, after); err != nil {
			return nil, after, err
		}
	}
	for i, e := range t.entries {
		if e.Ordinal > after {
			return t.entries[i:], t.to, nil
		}
	}
	return nil, t.to, nil
}

func (t *tail) load(ctx context.Context, after store.Ordinal) error {
	newest := t.store.Newest() // asked before reading: what comes later is read later
	var entries []*store.Entry
	size := 0
	err := t.store.Read(ctx, after, stretchMax, func(e *store.Entry) error {
		entries = append(entries, keep(e))
		if size += len(e.Data); size >= stretchBytes {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	to := after
	if len(entries) > 0 {
		to = entries[len(entries)-1].Ordinal
	}
	if err == nil && len(entries) < stretchMax {
		to = max(to, newest)
	}
	t.from, t.to, t.entries = after, to, entries
	return nil
}

// keep copies an entry out of the call that yields it.
func keep(e *store.Entry) *store.Entry {
	c := *e
	c.Data = bytes.Clone(e.Data)
	return &c
}
