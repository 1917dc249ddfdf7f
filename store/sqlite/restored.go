package sqlite

import (
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// A Restored is an account's file as it came out of a copy, which may hold records that
// had been destroyed: before the copy's last piece was made, since its first pieces have
// them, or after that.
type Restored struct {
	// Lost says whether a generation's secret was there, and is destroyed.
	Lost func(conversation, generation, made int64) bool
	// Gone are records that are known to have been destroyed, up to a number, by their
	// conversation.
	Gone map[int64]int64
}

// Settle does away with them, in the caller's transaction. What is destroyed by it is told
// by the journal when the account's first Expire ends what was begun.
func (r *Restored) Settle(db *conn.Conn) error {
	short, err := r.shortened(db)
	if err != nil {
		return err
	}
	if len(short) > 0 {
		if err := walkShortened(db, short); err != nil {
			return err
		}
	}
	for id, s := range short {
		if err := s.settle(db, id); err != nil {
			return fmt.Errorf("conversation %d: %w", id, err)
		}
	}
	for _, statement := range []string{
		`DELETE FROM log
			WHERE ordinal IN (SELECT l.ordinal FROM log l JOIN conversation c ON c.id = l.conversation WHERE l.n <= c.gone)`,
		"DELETE FROM place WHERE block * 16 <= (SELECT gone FROM conversation c WHERE c.id = place.conversation)",
		"UPDATE conversation SET cleared = gone WHERE cleared < gone",
		`UPDATE attempt SET answer = x'', generation = 0
			WHERE length(answer) > 0 AND NOT EXISTS (SELECT 1 FROM log WHERE ordinal = attempt.ordinal)`,
		"DELETE FROM retry WHERE NOT EXISTS (SELECT 1 FROM log WHERE ordinal = retry.ordinal)",
	} {
		if err := db.Exec(statement); err != nil {
			return err
		}
	}
	return nil
}

// A shortened is a conversation of which the file has more than there was.
type shortened struct {
	upTo    int64 // known to be gone
	from    int64 // gone already
	to      int64
	hash    [32]byte // running, at to
	others  int64    // records up to there that are no messages
	first   int64    // ordinal of what stays
	lost    map[int64]bool
	records map[int64]int64 // that go, by generation
	stay    map[int64]bool  // generations of which something stays
}

// shortened finds the conversations that are concerned.
func (r *Restored) shortened(db *conn.Conn) (map[int64]*shortened, error) {
	lost := make(map[int64]map[int64]bool)
	if err := db.Query("SELECT conversation, generation, made FROM generation WHERE generation > 0 AND gone = 0", nil, func(row conn.Row) error {
		if id, generation := row.Int(0), row.Int(1); r.Lost(id, generation, row.Int(2)) {
			if lost[id] == nil {
				lost[id] = make(map[int64]bool)
			}
			lost[id][generation] = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	short := make(map[int64]*shortened)
	err := db.Query("SELECT id, gone, base FROM conversation WHERE shredded = 0", nil, func(row conn.Row) error {
		id, from := row.Int(0), row.Int(1)
		if r.Gone[id] <= from && len(lost[id]) == 0 {
			return nil
		}
		s := &shortened{upTo: r.Gone[id], from: from, to: from, lost: lost[id], records: make(map[int64]int64), stay: make(map[int64]bool)}
		copy(s.hash[:], row.Blob(2))
		short[id] = s
		return nil
	})
	return short, err
}

// walkShortened goes through the log. What goes is always the beginning of a conversation:
// a secret that is missing in its middle was not destroyed by the server, and what it has
// sealed stays, locked.
func walkShortened(db *conn.Conn, short map[int64]*shortened) error {
	return db.Query("SELECT ordinal, conversation, n, kind, generation, sealed FROM log ORDER BY ordinal", nil, func(row conn.Row) error {
		s, n, generation := short[row.Int(1)], row.Int(2), row.Int(4)
		switch {
		case s == nil || n <= s.from:
		case s.first == 0 && (n <= s.upTo || s.lost[generation]):
			s.to, s.hash = n, chained(s.hash, row.Blob(5))
			s.records[generation]++
			if store.Kind(row.Int(3)) != store.KindMessage {
				s.others++
			}
		default:
			if s.first == 0 {
				s.first = row.Int(0)
			}
			s.stay[generation] = true
		}
		return nil
	})
}

// settle writes the tombstones.
func (s *shortened) settle(db *conn.Conn, id int64) error {
	if s.to > s.from {
		if err := db.Exec("UPDATE conversation SET gone = ?, base = ?, others = others - ?, first = ? WHERE id = ?",
			s.to, s.hash[:], s.others, s.first, id); err != nil {
			return err
		}
	}
	for generation, n := range s.records {
		statement := "UPDATE generation SET records = records + ?3 WHERE conversation = ?1 AND generation = ?2"
		if generation == 0 { // it was not sealed
			statement = `INSERT OR REPLACE INTO generation (conversation, generation, made, commitment, gone, records)
				VALUES (?1, ?2, 0, x'', 1, ?3)`
		}
		if err := db.Exec(statement, id, generation, n); err != nil {
			return err
		}
	}
	for generation := range s.lost {
		if s.stay[generation] {
			continue
		}
		if err := db.Exec("UPDATE generation SET gone = 1, commitment = x'' WHERE conversation = ? AND generation = ?", id, generation); err != nil {
			return err
		}
		if err := db.Exec("UPDATE conversation SET generation = 0 WHERE id = ? AND generation = ?", id, generation); err != nil {
			return err
		}
	}
	return nil
}
