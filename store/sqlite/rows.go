package sqlite

import (
	"database/sql/driver"
	"strings"

	"parley.im/parley/store"
)

// Records are inserted rowsAtOnce with one statement: the crossings into C and the
// start of a statement cost as much as a row.
const (
	rowsAtOnce = 16
	rowWidth   = 9
)

const insertRow = `INSERT INTO log (ordinal, conversation, n, at, kind, actor, generation, repeat, sealed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

var insertRows = insertRow + strings.Repeat(",\n(?, ?, ?, ?, ?, ?, ?, ?, ?)", rowsAtOnce-1)

const updateHeader = `UPDATE conversation
SET first = ?, last = ?, n = ?, others = ?, hash = ?
WHERE id = ?`

// row adds a record to those that wait for the next statement.
func (w *writer) row(op *store.Op, at, generation, mark int64, sealed []byte) error {
	for _, v := range [...]int64{int64(op.Ordinal), int64(op.Conversation.ID()), op.N, at,
		int64(op.Kind), int64(op.Actor), generation, mark} {
		w.rows = append(w.rows, driver.NamedValue{Ordinal: len(w.rows) + 1, Value: v})
	}
	if sealed == nil {
		sealed = []byte{}
	}
	w.rows = append(w.rows, driver.NamedValue{Ordinal: len(w.rows) + 1, Value: sealed})
	if len(w.rows) < rowsAtOnce*rowWidth {
		return nil
	}
	err := w.db.Run(insertRows, w.rows, nil)
	w.drop()
	return err
}

// drop forgets the rows that wait.
func (w *writer) drop() {
	clear(w.rows)
	w.rows = w.rows[:0]
	if cap(w.arena) > groupBytes {
		w.arena = nil
	}
	w.arena = w.arena[:0]
}

// flush writes what the transaction has in memory: records, headers and spans.
func (w *writer) flush() error {
	for rows := w.rows; len(rows) > 0; rows = rows[rowWidth:] {
		one := rows[:rowWidth]
		for i := range one {
			one[i].Ordinal = i + 1
		}
		if err := w.db.Run(insertRow, one, nil); err != nil {
			return err
		}
	}
	w.drop()
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
