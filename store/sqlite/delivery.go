package sqlite

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// Delivery cursors change with each acknowledgement. They are gathered and saved with
// a commit that is due anyway, but not with each; where none comes, within a second:
// deliveryAfter leaves half of that to the writer. What a crash forgets is offered
// again, with the same ids.
const (
	deliveryAfter = 500 * time.Millisecond
	deliverySlice = 256 // cursors in one transaction
)

// deliveries holds what is not saved yet.
type deliveries struct {
	mu    sync.Mutex
	dirty map[store.AgentID]*store.Delivery
	due   bool // the timer has fired
	timer *time.Timer
	saved time.Time // when some were saved last
	ended bool
}

// A savedDelivery is one that the transaction under way saves.
type savedDelivery struct {
	agent store.AgentID
	d     *store.Delivery
}

// SaveDelivery keeps d with the next commit, or within a second.
func (a *Account) SaveDelivery(agent store.AgentID, d store.Delivery) {
	a.used.Store(true)
	a.deliveries.mu.Lock()
	defer a.deliveries.mu.Unlock()
	if a.deliveries.dirty == nil {
		a.deliveries.dirty = make(map[store.AgentID]*store.Delivery)
	}
	d.Acked = append([]store.Ordinal(nil), d.Acked...)
	a.deliveries.dirty[agent] = &d
	a.deliveries.arm(a.flushDeliveries)
}

// arm starts the timer if there is something to save and it does not run. d.mu is
// held.
func (d *deliveries) arm(flush func()) {
	if d.timer == nil && !d.ended && len(d.dirty) > 0 {
		d.timer = time.AfterFunc(deliveryAfter, flush)
	}
}

// flushDeliveries is what the timer does: it wakes the writer.
func (a *Account) flushDeliveries() {
	a.deliveries.mu.Lock()
	a.deliveries.timer, a.deliveries.due = nil, true
	a.deliveries.mu.Unlock()
	a.queue.flag(&a.queue.flush)
}

// Delivery is how far the agent has received.
func (a *Account) Delivery(ctx context.Context, agent store.AgentID) (store.Delivery, error) {
	a.deliveries.mu.Lock()
	if d := a.deliveries.dirty[agent]; d != nil {
		defer a.deliveries.mu.Unlock()
		return store.Delivery{Cursor: d.Cursor, Acked: append([]store.Ordinal(nil), d.Acked...)}, nil
	}
	a.deliveries.mu.Unlock()
	var d store.Delivery
	err := a.read(ctx, func(db *conn.Conn) error {
		_, err := db.One("SELECT cursor, acked FROM delivery WHERE agent = ?", []any{int64(agent)}, func(r conn.Row) {
			d = store.Delivery{Cursor: store.Ordinal(r.Int(0)), Acked: unpackOrdinals(r.Blob(1))}
		})
		return err
	})
	if err != nil {
		return store.Delivery{}, fmt.Errorf("delivery to agent %d: %w", agent, err)
	}
	return d, nil
}

// write saves some, when it is time, in the writer's transaction.
func (d *deliveries) write(db *conn.Conn) ([]savedDelivery, error) {
	saved := d.some()
	for _, s := range saved {
		// An agent may have been deleted meanwhile.
		if err := db.Exec(`INSERT OR REPLACE INTO delivery (agent, cursor, acked)
			SELECT id, ?, ?
			FROM agent
			WHERE id = ?`, int64(s.d.Cursor), packOrdinals(s.d.Acked), int64(s.agent)); err != nil {
			return nil, err
		}
	}
	return saved, nil
}

func (d *deliveries) some() (saved []savedDelivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.dirty) == 0 || !d.due && time.Since(d.saved) < deliveryAfter {
		return nil
	}
	for agent, delivery := range d.dirty {
		if saved = append(saved, savedDelivery{agent, delivery}); len(saved) == deliverySlice {
			break
		}
	}
	return saved
}

// keep forgets those that are saved, unless they changed meanwhile.
func (d *deliveries) keep(saved []savedDelivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range saved {
		if d.dirty[s.agent] == s.d {
			delete(d.dirty, s.agent)
		}
	}
	if len(saved) > 0 {
		d.saved = time.Now()
	}
	if len(d.dirty) == 0 && d.timer != nil && d.timer.Stop() {
		d.timer = nil
	}
}

// rearm ends a round of saving: what is left is for the next one.
func (d *deliveries) rearm(flush func()) (more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.due {
		return false
	}
	if len(d.dirty) >= deliverySlice {
		return true
	}
	d.due = false
	d.arm(flush)
	return false
}

func (d *deliveries) forget(agent store.AgentID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.dirty, agent)
}

// end stops the timer; all that is left is due now.
func (d *deliveries) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended, d.due = true, true
	if d.timer != nil {
		d.timer.Stop()
	}
}

func (d *deliveries) pending() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.dirty) > 0
}

// packOrdinals writes ascending ordinals as their differences.
func packOrdinals(all []store.Ordinal) []byte {
	b := []byte{}
	last := store.Ordinal(0)
	for _, o := range all {
		b = binary.AppendUvarint(b, uint64(o-last))
		last = o
	}
	return b
}

func unpackOrdinals(b []byte) (all []store.Ordinal) {
	last := store.Ordinal(0)
	for len(b) > 0 {
		n, w := binary.Uvarint(b)
		if w <= 0 {
			return nil // known less far: offered again
		}
		last += store.Ordinal(n)
		all, b = append(all, last), b[w:]
	}
	return all
}
