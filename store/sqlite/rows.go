package sqlite

import (
	"database/sql/driver"

	"parley.im/parley/store"
)

const insertRow = `INSERT INTO log (ordinal, conversation, n, prev, at, kind, actor, generation, repeat, sealed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const insertPlace = `INSERT INTO place (conversation, block, ordinal)
VALUES (?, ?, ?)`

const updateHeader = `UPDATE conversation
SET first = ?, last = ?, n = ?, others = ?, hash = ?
WHERE id = ?`

// row writes one record. Statements for many rows at once are no faster: the driver
// binds and steps in one crossing into C.
func (w *writer) row(op *store.Op, prev, at, generation, mark int64) error {
	w.args = w.args[:0]
	for _, v := range [...]int64{int64(op.Ordinal), int64(op.Conversation.ID()), op.N, prev, at,
		int64(op.Kind), int64(op.Actor), generation, mark} {
		w.args = append(w.args, driver.NamedValue{Ordinal: len(w.args) + 1, Value: v})
	}
	w.args = append(w.args, driver.NamedValue{Ordinal: len(w.args) + 1, Value: w.sealed})
	if err := w.db.Run(insertRow, w.args, nil); err != nil {
		return err
	}
	if op.N%blockSize != 0 {
		return nil
	}
	return w.db.Exec(insertPlace, int64(op.Conversation.ID()), op.N/blockSize, int64(op.Ordinal))
}

// flush writes what else the transaction has in memory: headers and spans.
func (w *writer) flush() error {
	for _, c := range w.touched {
		if !c.dirty {
			continue
		}
		h := &c.header
		if err := w.db.Exec(updateHeader, h.first, h.last, h.n, h.others, h.hash[:], int64(c.id)); err != nil {
			return err
		}
		c.dirty = false
	}
	for _, s := range w.spans {
		if err := w.db.Exec(`INSERT OR REPLACE INTO span (first, earliest, latest)
			VALUES (?, ?, ?)`, s.first, s.earliest, s.latest); err != nil {
			return err
		}
	}
	w.spans = w.spans[:0]
	return nil
}
