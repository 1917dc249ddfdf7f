package sqlite

import (
	"crypto/sha256"
	"database/sql/driver"
	"errors"
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// sealedMax is how large a buffer for sealed records is kept from one to the next.
const sealedMax = 64 << 10

// A writer is what the account's one writer goroutine works with. Nobody else
// touches it.
type writer struct {
	a       *Account
	db      *conn.Conn // nil while at rest
	newest  int64      // the last ordinal given
	span    span       // the times since the last row of that table
	repeats repeats
	failed  error // of the last transaction

	// The transaction under way.
	now     int64
	args    []driver.NamedValue // of the statement for a record
	sealed  []byte              // and what it holds
	spans   []span              // spans that are complete
	touched []*conversation
	changes []*contactChange
	marks   int // added to repeats
	before  struct {
		newest int64
		span   span
	}
}

// writeLoop decides groups until the queue is closed and empty.
func (a *Account) writeLoop(w *writer) {
	defer close(a.decided)
	for {
		g := <-a.free
		o := a.queue.take(g)
		if len(g.items) > 0 || o.flush {
			w.decide(g)
		}
		if o.flush && a.deliveries.rearm(a.flushDeliveries) {
			a.queue.flag(&a.queue.flush)
		}
		if o.rest {
			w.rest()
		}
		a.decided <- g
		if o.end {
			w.end()
			return
		}
	}
}

// decide commits a group, or each of its items alone if that fails.
func (w *writer) decide(g *group) {
	if w.a.cfg.Commits != nil {
		w.a.cfg.Commits <- struct{}{}
		defer func() { <-w.a.cfg.Commits }()
	}
	before := w.newest
	if err := w.commit(g.items); err != nil {
		w.oneByOne(g.items, err)
	}
	w.a.report(w.failed)
	g.grown = w.newest != before
	w.publish()
	if w.db != nil {
		w.a.keeper.look(w.db)
	}
}

// oneByOne tries each item of a group that failed in a transaction of its own.
// Where there is no room, it is not tried again for records before room was seen.
func (w *writer) oneByOne(items []item, err error) {
	full := false
	for i := range items {
		it := &items[i]
		switch {
		case it.err != nil:
			continue
		case len(items) == 1 || full && it.batch != nil:
			it.err = err
		default:
			it.err = errors.Join(w.commit(items[i:i+1]), it.err)
			full = errors.Is(it.err, store.ErrFull)
		}
	}
}

// commit decides items in one transaction. An item's own fault is left in the item;
// the error answered is everybody's, and then nothing was kept.
func (w *writer) commit(items []item) error {
	w.failed = w.try(items)
	return w.failed
}

func (w *writer) try(items []item) error {
	if err := w.open(); err != nil {
		return refused(err)
	}
	w.a.gate.RLock()
	defer w.a.gate.RUnlock()
	w.begin()
	saved, err := w.transact(items)
	if err != nil {
		w.db.Rollback()
		w.undo()
		reconsider(items)
		return refused(err)
	}
	w.keep()
	w.a.deliveries.keep(saved)
	return nil
}

func (w *writer) transact(items []item) (saved []savedDelivery, err error) {
	if err := w.db.Exec("BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	for i := range items {
		if err := w.apply(&items[i]); err != nil {
			return nil, err
		}
	}
	if err := w.flush(); err != nil {
		return nil, err
	}
	if saved, err = w.a.deliveries.write(w.db); err != nil {
		return nil, err
	}
	if err := w.a.ledger.write(w.db, w.a.cfg.Keys.Field()); err != nil {
		return nil, err
	}
	return saved, w.db.Exec("COMMIT")
}

// apply does one item's work.
func (w *writer) apply(it *item) error {
	switch {
	case it.batch == nil:
		return w.other(it)
	case it.err != nil:
		return nil
	}
	for i := range it.batch.Ops {
		c := it.batch.Ops[i].Conversation.(*conversation)
		switch {
		case c.shredded.Load():
			it.err = fmt.Errorf("append to a shredded conversation: %w", store.ErrNotFound)
			return nil
		case w.a.cfg.Sealed && c.sealing.Load().box == nil:
			it.err = fmt.Errorf("append without a secret: %w", store.ErrUnavailable)
			return nil
		}
	}
	if it.write != nil {
		if err := w.other(it); err != nil || it.err != nil {
			return err
		}
	}
	if it.contact != nil {
		if err := w.change(it); err != nil || it.err != nil {
			return err
		}
	}
	for i := range it.batch.Ops {
		if err := w.append(&it.batch.Ops[i], it.repeatAt(i)); err != nil {
			return err
		}
	}
	return nil
}

// other runs a write that is not a record, so that its failure undoes only itself.
func (w *writer) other(it *item) error {
	if err := w.flush(); err != nil { // it may look at the log
		return err
	}
	if err := w.db.Exec("SAVEPOINT item"); err != nil {
		return err
	}
	ledger := w.a.ledger.state
	if it.err = reason(it.write.do(w.db)); it.err != nil {
		w.a.ledger.state = ledger
		if err := w.db.Exec("ROLLBACK TO item"); err != nil {
			return errors.Join(it.err, err)
		}
	}
	if err := w.db.Exec("RELEASE item"); err != nil || it.err != nil || it.write.then == nil {
		return err
	}
	return it.write.then(w)
}

// append numbers and seals one record.
func (w *writer) append(op *store.Op, mark int64) error {
	if mark != 0 {
		if s, ok := w.repeats.find(mark, w.now); ok {
			op.Ordinal, op.N, op.Repeated = store.Ordinal(s.ordinal), s.n, true
			return nil
		}
	}
	c := op.Conversation.(*conversation)
	h := w.touch(c)
	w.newest++
	h.n++
	prev := h.last
	h.last = w.newest
	if h.first == 0 {
		h.first = w.newest
	}
	if op.Kind != store.KindMessage {
		h.others++
	}
	op.Ordinal, op.N, op.Repeated = store.Ordinal(w.newest), h.n, false
	at := op.At.UnixMilli()
	generation := w.seal(c, op, at)
	h.hash = chained(h.hash, w.sealed)
	if mark != 0 {
		w.repeats.add(mark, seen{ordinal: w.newest, n: h.n, at: w.now})
		w.marks++
	}
	w.count(at)
	return w.row(op, prev, at, generation, mark)
}

// touch notes what the conversation's header was before this transaction.
func (w *writer) touch(c *conversation) *header {
	if !c.touched {
		c.touched, c.before = true, c.header
		w.touched = append(w.touched, c)
	}
	c.dirty = true
	return &c.header
}

// seal makes what is kept of a record.
func (w *writer) seal(c *conversation, op *store.Op, at int64) (generation int64) {
	s := c.sealing.Load()
	if s.box == nil {
		w.sealed = append(w.buffer(), op.Data...)
		return 0
	}
	place := seal.Place{Kind: uint8(op.Kind), N: op.N, Actor: int64(op.Actor), At: at}
	w.sealed = s.box.Seal(w.buffer(), op.Data, &place)
	return s.generation
}

// buffer is what the last record was sealed in, empty and not nil.
func (w *writer) buffer() []byte {
	if w.sealed == nil || cap(w.sealed) > sealedMax {
		w.sealed = make([]byte, 0, 1024)
	}
	return w.sealed[:0]
}

// chained is a running hash with one more sealed record.
func chained(hash [32]byte, sealed []byte) [32]byte {
	var both [64]byte
	copy(both[:32], hash[:])
	record := sha256.Sum256(sealed)
	copy(both[32:], record[:])
	return sha256.Sum256(both[:])
}

// count keeps track of the times within each span of ordinals.
func (w *writer) count(at int64) {
	w.span.add(at)
	if w.newest%spanSize == 0 {
		w.span.first = w.newest - spanSize + 1
		w.spans = append(w.spans, w.span)
		w.span = span{}
	}
}

func (w *writer) begin() {
	w.now = w.a.now().UnixMilli()
	w.before.newest, w.before.span = w.newest, w.span
	w.repeats.expire(w.now)
}

// keep makes what the transaction changed in memory final.
func (w *writer) keep() {
	w.a.views.admitted(w.changes)
	w.a.views.changed(w.touched...)
	w.a.ledger.keep()
	for _, c := range w.touched {
		c.touched = false
	}
	w.finish()
}

// undo forgets what the transaction changed in memory.
func (w *writer) undo() {
	for _, c := range w.touched {
		c.header, c.touched, c.dirty = c.before, false, false
	}
	w.repeats.undo(w.marks)
	w.newest, w.span = w.before.newest, w.before.span
	w.a.ledger.state = w.a.ledger.kept
	w.finish()
}

func (w *writer) finish() {
	clear(w.touched)
	clear(w.changes)
	w.touched, w.changes, w.marks, w.spans = w.touched[:0], w.changes[:0], 0, w.spans[:0]
}

// open opens the writer's connection if it is at rest.
func (w *writer) open() error {
	if w.db != nil {
		return nil
	}
	db, err := conn.Open(conn.Config{Path: w.a.path, Cache: writerCache})
	if err != nil {
		return err
	}
	if err := w.a.ledger.watch(db); err != nil {
		return errors.Join(err, db.Close())
	}
	w.db = db
	return nil
}

// rest closes the connection of an account that nobody uses.
func (w *writer) rest() {
	w.repeats.expire(w.a.now().UnixMilli())
	w.sealed, w.args, w.touched, w.changes = nil, nil, nil, nil
	if w.db == nil {
		return
	}
	if err := w.db.Close(); err != nil {
		w.a.log.Warn("store did not close", "err", err)
	}
	w.db = nil
}

// end saves what is only in memory, and closes.
func (w *writer) end() {
	for w.a.deliveries.pending() {
		if err := w.commit(nil); err != nil {
			w.a.log.Error("delivery cursors are not saved", "err", err)
			break
		}
	}
	w.rest()
}

// refused is why a transaction failed: there is no room, or something else is out of
// order.
func refused(err error) error {
	if err = reason(err); errors.Is(err, store.ErrFull) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// reason gives what SQLite says the store's own words.
func reason(err error) error {
	switch {
	case err == nil || errors.Is(err, store.ErrFull):
		return err
	case conn.NoRoom(err):
		return fmt.Errorf("%w: %v", store.ErrFull, err)
	}
	return err
}
