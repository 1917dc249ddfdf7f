package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// bury writes the tombstones of some portions, and says of which conversations. From
// here on nobody sees these records, and what is begun is ended. Holds are looked at
// here, so that one which came in time holds.
func (a *Account) bury(ctx context.Context, portions []*portion) (begun []store.ConversationID, err error) {
	err = a.updateAnd(ctx, func(db *conn.Conn) error {
		if err := keepNewest(db); err != nil {
			return err
		}
		for _, p := range portions {
			if err := p.bury(db, a); err != nil {
				return err
			}
		}
		return nil
	}, func(w *writer) error {
		for _, p := range portions {
			if err := p.shorten(w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, p := range portions {
		if !p.dropped {
			begun = append(begun, p.c.id)
		}
		a.views.changed(p.c)
	}
	return begun, nil
}

func (p *portion) bury(db *conn.Conn, a *Account) error {
	id := int64(p.c.id)
	held, err := heldUntil(db, p.c.id)
	if err != nil {
		return err
	}
	same, err := db.Number("SELECT 1 FROM conversation WHERE id = ? AND shredded = 0 AND gone = ?", id, p.from)
	if err != nil {
		return err
	}
	if p.dropped = same == 0 || a.holds(held); p.dropped {
		return nil
	}
	if err := db.Exec("UPDATE conversation SET gone = ?, base = ? WHERE id = ?", p.to, p.hash[:], id); err != nil {
		return err
	}
	if n := p.records[0]; n > 0 { // what was not sealed is told of, too
		if err := db.Exec(`INSERT OR REPLACE INTO generation (conversation, generation, made, commitment, gone, records)
			VALUES (?, 0, 0, x'', 1, ?)`, id, n); err != nil {
			return err
		}
	}
	for g, n := range p.records {
		if g == 0 {
			continue
		}
		if err := db.Exec("UPDATE generation SET records = records + ? WHERE conversation = ? AND generation = ?", n, id, g); err != nil {
			return err
		}
	}
	for _, g := range p.secrets {
		if err := db.Exec("UPDATE generation SET gone = 1, commitment = x'' WHERE conversation = ? AND generation = ?", id, g); err != nil {
			return err
		}
		if err := db.Exec("UPDATE conversation SET generation = 0 WHERE id = ? AND generation = ?", id, g); err != nil {
			return err
		}
	}
	return nil
}

// shorten changes what the writer knows of the conversation.
func (p *portion) shorten(w *writer) error {
	if p.dropped {
		return nil
	}
	h := w.touch(p.c)
	h.others -= p.others
	h.first = 0
	rest := chain{id: p.c.id, n: h.n, last: h.last, gone: p.to, dying: true}
	for block := blockOf(p.to + 1); block <= rest.blocks() && h.first == 0; block++ {
		records, err := rest.read(w.db, block, noValues)
		if err != nil {
			return err
		}
		if len(records) > 0 {
			h.first = int64(records[0].entry.Ordinal)
		}
	}
	return nil
}

// clear deletes the rows of records whose tombstone is there, in slices, and tells of it.
func (x *expiration) clear(ctx context.Context, id store.ConversationID) error {
	if err := x.a.freshen(ctx, x.a.journal); err != nil {
		return err
	}
	if err := x.a.dropCopies(ctx, id); err != nil {
		return err
	}
	for more := true; more; {
		var busy time.Duration
		var told []store.Op
		var s store.Shredding
		err := x.a.updateAnd(ctx, func(db *conn.Conn) (err error) {
			began := time.Now()
			defer func() { busy = time.Since(began) }()
			told = nil
			if more, err = clearSlice(db, id, began); err != nil || more {
				return err
			}
			told, s, err = x.a.end(db, id)
			return err
		}, func(w *writer) error {
			return w.tellAll(told)
		})
		if err != nil {
			return err
		}
		x.forecast.Slowest = max(x.forecast.Slowest, busy)
		if !more && x.done != nil && len(told) > 0 {
			x.done(s)
		}
		if err := rest(ctx, busy); err != nil {
			return err
		}
	}
	return nil
}

// tellAll appends what the journal tells of.
func (w *writer) tellAll(told []store.Op) error {
	if len(told) > 0 && w.a.cfg.Sealed && w.a.journal.sealing.Load().box == nil {
		return fmt.Errorf("tell of it without a secret: %w", store.ErrUnavailable)
	}
	for i := range told {
		if err := w.append(&told[i], 0); err != nil {
			return err
		}
	}
	return nil
}

// dropCopies deletes the copies that were made before migrations, if they hold in clear
// what is to be destroyed. What is sealed opens nowhere any more.
func (a *Account) dropCopies(ctx context.Context, id store.ConversationID) error {
	var clear int64
	err := a.read(ctx, func(db *conn.Conn) (err error) {
		clear, err = db.Number("SELECT 1 FROM generation WHERE conversation = ? AND generation = 0 AND gone = 1", int64(id))
		return err
	})
	if err != nil || clear == 0 {
		return err
	}
	return conn.DropCopies(a.path, time.Time{})
}

// clearSlice deletes some rows, oldest first, and says whether there are more.
func clearSlice(db *conn.Conn, id store.ConversationID, began time.Time) (more bool, err error) {
	c := chain{id: id, dying: true}
	var to int64
	if _, err := db.One("SELECT n, last, cleared, gone FROM conversation WHERE id = ? AND shredded = 0", []any{int64(id)},
		func(r conn.Row) { c.n, c.last, c.gone, to = r.Int(0), r.Int(1), r.Int(2), r.Int(3) }); err != nil {
		return false, err
	}
	for n := range sliceBlocks {
		if c.gone >= to || n > 0 && time.Since(began) > expireSlice {
			break
		}
		block := blockOf(c.gone + 1)
		end := min(block*blockSize, to)
		if err := c.deleteUpTo(db, block, end); err != nil {
			return false, err
		}
		c.gone = end
	}
	return c.gone < to, db.Exec("UPDATE conversation SET cleared = ? WHERE id = ?", c.gone, int64(id))
}

// end notes that nothing is left of a conversation's generations whose secrets were
// destroyed, and answers the events that tell of it.
func (a *Account) end(db *conn.Conn, id store.ConversationID) (told []store.Op, s store.Shredding, err error) {
	s.Conversation = id
	var nature store.Nature
	if _, err := db.One("SELECT nature FROM conversation WHERE id = ?", []any{int64(id)}, func(r conn.Row) { nature = store.Nature(r.Int(0)) }); err != nil {
		return nil, s, err
	}
	if err := db.Query("SELECT generation, records FROM generation WHERE conversation = ? AND gone = 1 ORDER BY generation", []any{int64(id)},
		func(r conn.Row) error {
			if r.Int(0) > 0 {
				s.Secrets++
			}
			s.Records += r.Int(1)
			records := r.Int(1)
			op, err := a.ofKey(store.KindKeyShredded, id, nature, r.Int(0), &records)
			told = append(told, op)
			return err
		}); err != nil {
		return nil, s, err
	}
	return told, s, db.Exec("UPDATE generation SET gone = 2 WHERE conversation = ? AND gone = 1", int64(id))
}

// An aboutKey is what the journal says of a generation of a secret; nothing of what was
// said.
type aboutKey struct {
	Conversation struct {
		ID   string `json:"id"`
		Kind string `json:"kind"`
	} `json:"conversation"`
	Generation int64  `json:"generation"` // 0 is what was not sealed
	Records    *int64 `json:"records,omitempty"`
}

func (a *Account) ofKey(kind store.Kind, id store.ConversationID, nature store.Nature, generation int64, records *int64) (store.Op, error) {
	k := aboutKey{Generation: generation, Records: records}
	k.Conversation.ID, k.Conversation.Kind = strconv.FormatInt(int64(id), 10), kinds[nature]
	data, err := json.Marshal(k)
	return store.Op{Conversation: a.journal, Kind: kind, At: a.now(), Data: data}, err
}

var kinds = map[store.Nature]string{store.Journal: "journal", store.Direct: "direct", store.Support: "contact"}

// tellUnavailable has the journal say that a conversation's secret is not where it should
// be. Nobody waits for it.
func (a *Account) tellUnavailable(c *conversation, generation int64) {
	if a.journal == nil { // it is the journal's own
		return
	}
	op, err := a.ofKey(store.KindKeyUnavailable, c.id, c.nature, generation, nil)
	if err != nil {
		return
	}
	a.Append(&store.Batch{Ops: []store.Op{op}, Done: func(b *store.Batch) {
		if b.Err != nil {
			a.log.Warn("key.unavailable is not kept", "conversation", c.id, "err", b.Err)
		}
	}})
}
