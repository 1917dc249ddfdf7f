package sqlite

import (
	"context"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// What was said goes in portions, as it was sealed: when the oldest of a generation has
// reached the limit the whole generation goes, so that nothing is kept longer. A
// generation lasts for a quarter of the time that records are kept, or a month; where
// one lasted longer (the account keeps records for a shorter time since), or where
// nothing is sealed, a portion is what such a generation would have held.

// A portion is what goes of a conversation.
type portion struct {
	c       *conversation
	from    int64           // n: those after it, ...
	to      int64           // ... up to this one
	hash    [32]byte        // running, at to
	others  int64           // records of these that are no messages
	records map[int64]int64 // by generation
	secrets []int64         // generations of which nothing is left
	more    bool            // of the same goes as well, the next time
	dropped bool            // by a hold, or since something else was done meanwhile
}

// A limit says what is old enough to go.
type limit struct {
	oldest int64 // milliseconds: what is older must go
	along  int64 // and with it what is older than this
}

func (a *Account) limitAt(now time.Time) limit {
	oldest := now.Add(-a.retention()).UnixMilli()
	return limit{oldest, oldest + a.secretAge().Milliseconds()}
}

// A lot is a generation as it is kept.
type lot struct {
	made int64
	gone bool
}

// old says whether a record goes, if all before it do.
func (l limit) old(r *record, lots map[int64]lot) bool {
	made := r.at
	if lot, ok := lots[r.generation]; ok && r.generation > 0 {
		made = lot.made
	}
	return r.at < l.oldest || r.at < l.along && (made < l.oldest || r.generation == 0)
}

// portion finds what goes of a conversation. Whoever appends to it from here on uses a
// generation that stays: see settleSecrets.
func (a *Account) portion(ctx context.Context, c *conversation, l limit) (*portion, error) {
	p := &portion{c: c, records: make(map[int64]int64)}
	ch := chain{id: c.id}
	lots := make(map[int64]lot)
	if err := a.read(ctx, func(db *conn.Conn) error {
		if _, err := db.One("SELECT n, last, gone, base FROM conversation WHERE id = ?", []any{int64(c.id)}, func(r conn.Row) {
			ch.n, ch.last, ch.gone = r.Int(0), r.Int(1), r.Int(2)
			copy(p.hash[:], r.Blob(3))
		}); err != nil {
			return err
		}
		return db.Query("SELECT generation, made, gone FROM generation WHERE conversation = ?", []any{int64(c.id)}, func(r conn.Row) error {
			lots[r.Int(0)] = lot{r.Int(1), r.Int(2) != 0}
			return nil
		})
	}); err != nil {
		return nil, err
	}
	p.from, p.to = ch.gone, ch.gone
	next, err := p.walk(ctx, a, &ch, l, lots)
	if err == nil {
		p.decide(a, l, lots, next)
	}
	return p, err
}

// walk goes through the records that go, not too many at a time, and answers the first
// that stays for now; nil if none does.
func (p *portion) walk(ctx context.Context, a *Account, ch *chain, l limit, lots map[int64]lot) (*record, error) {
	began := time.Now()
	for block := blockOf(ch.gone + 1); block <= ch.blocks(); block++ {
		var rs []record
		if err := a.read(ctx, func(db *conn.Conn) (err error) {
			rs, err = ch.read(db, block, allValues)
			return err
		}); err != nil {
			return nil, err
		}
		for i := range rs {
			r := &rs[i]
			if p.more = l.old(r, lots); !p.more || p.to-p.from >= expireRecords {
				return r, nil
			}
			p.hash = chained(p.hash, r.sealed)
			p.to = r.entry.N
			p.records[r.generation]++
			if r.entry.Kind != store.KindMessage {
				p.others++
			}
		}
		p.more = false
		if busy := time.Since(began); busy > expireSlice || block%sliceBlocks == 0 {
			if err := rest(ctx, busy); err != nil {
				return nil, err
			}
			began = time.Now()
		}
	}
	return nil, nil
}

// decide finds which secrets go with the records: those of generations that are old and
// of which nothing is left, whether or not anything ever was.
func (p *portion) decide(a *Account, l limit, lots map[int64]lot, next *record) {
	last := int64(0) // generation that goes
	for g := range p.records {
		last = max(last, g)
	}
	inUse := p.c.sealing.Load()
	for g, lot := range lots {
		if g == 0 || lot.gone || lot.made >= l.oldest || a.cfg.Sealed && inUse.box != nil && g >= inUse.generation {
			continue
		}
		if next == nil || next.generation > g || next.generation == 0 && g <= last {
			p.secrets = append(p.secrets, g)
		}
	}
}

// empty says whether nothing goes.
func (p *portion) empty() bool { return p.to == p.from && len(p.secrets) == 0 }
