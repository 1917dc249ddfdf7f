package backup

import (
	"errors"
	"fmt"
	"time"

	"parley.im/parley/store/keys"
	"parley.im/parley/store/people"
	"parley.im/parley/store/sqlite"
	"parley.im/parley/store/sqlite/conn"
)

// A burial destroys in a restored account what was destroyed since the copy was made.
type burial struct {
	data, keys string           // databases
	people     string           // ""  where the copy has none
	erased     map[string]int64 // visitors, and when
	shredded   []int64
	ended      map[int64]int64 // conversations that live on: up to which number records are gone
	newest     int64           // ordinal that is known to have been given
	keysAsOf   time.Time       // secrets that were made before that are among the keys

	gone map[int64]bool // conversations
}

// The numbers of ordinals that a restored account leaves out: what was appended after
// the copy had some of them, and none is used again. The engine counts times by whole
// spans of ordinals.
const (
	spanSize = 1024
	leap     = 16 << 20
)

// run does all of it before anybody sees the account. The files are brought up to this
// program's schema first.
func (b *burial) run() (shredded int, err error) {
	db, err := conn.Open(conn.Config{Path: b.data, Cache: 8 << 10})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	if err := sqlite.Upgrade(db); err != nil {
		return 0, err
	}
	k, err := conn.Open(conn.Config{Path: b.keys})
	if err != nil {
		return 0, err
	}
	defer k.Close()
	if err := keys.Upgrade(k); err != nil {
		return 0, err
	}
	have, err := secrets(k)
	if err != nil {
		return 0, err
	}
	b.gone = make(map[int64]bool)
	err = db.InTx(func() error {
		before, err := setRows(db)
		if err != nil {
			return err
		}
		if err := b.find(db, have); err != nil {
			return err
		}
		if err := b.bury(db); err != nil {
			return err
		}
		if err := b.dismiss(db, have); err != nil {
			return err
		}
		r := sqlite.Restored{Gone: b.ended, Lost: func(id, generation, made int64) bool { return b.lost(have, id, generation, made) }}
		if err := r.Settle(db); err != nil {
			return err
		}
		// The ledger that came with the rows still tells whether they are those that were
		// copied, unless some of its rows were just destroyed; then another one is begun.
		if after, err := setRows(db); err != nil || after != before {
			if err := errors.Join(err, db.Exec("DELETE FROM ledger")); err != nil {
				return err
			}
		}
		return b.skip(db)
	})
	if err != nil {
		return 0, err
	}
	if err := b.forget(db, k, have); err != nil {
		return 0, err
	}
	if err := b.settlePeople(k, have); err != nil {
		return 0, fmt.Errorf("people: %w", err)
	}
	if err := keys.DropLedger(k); err != nil {
		return 0, err
	}
	for _, file := range []*conn.Conn{db, k} {
		if _, _, err := file.Checkpoint(conn.Truncate); err != nil {
			return 0, err
		}
	}
	return len(b.gone), nil
}

// lost says whether a generation's secret is no more. One that is younger than the keys
// may be found yet.
func (b *burial) lost(have map[keys.ID]bool, id, generation, made int64) bool {
	return !have[keys.ID{Owner: keys.OfConversation, Number: id, Generation: generation}] && made < b.keysAsOf.UnixMilli()
}

// forget destroys the secrets that the data's conversations do not have, or no more: where
// the keys are older than the data, the engine would find that they came back, and where
// they are younger, they stand where new ones belong. Those of conversations that the data
// does not know are left to the engine, which gives their numbers to nobody else.
func (b *burial) forget(db, k *conn.Conn, have map[keys.ID]bool) error {
	there, live := make(map[int64]bool), make(map[keys.ID]bool)
	if err := db.Query("SELECT id FROM conversation", nil, func(r conn.Row) error {
		there[r.Int(0)] = true
		return nil
	}); err != nil {
		return err
	}
	if err := db.Query("SELECT conversation, generation FROM generation WHERE gone = 0", nil, func(r conn.Row) error {
		live[keys.ID{Owner: keys.OfConversation, Number: r.Int(0), Generation: r.Int(1)}] = true
		return nil
	}); err != nil {
		return err
	}
	return k.InTx(func() error {
		for id := range have {
			if id.Owner != keys.OfConversation || live[id] || !there[id.Number] {
				continue
			}
			if err := k.Exec("DELETE FROM secret WHERE owner = ? AND number = ? AND generation = ?",
				int(id.Owner), id.Number, id.Generation); err != nil {
				return err
			}
		}
		return nil
	})
}

// settlePeople destroys who was erased since, and the secrets of those whom the copy does not have.
func (b *burial) settlePeople(k *conn.Conn, have map[keys.ID]bool) (err error) {
	there := make(map[int64]bool)
	if b.people != "" {
		db, err := conn.Open(conn.Config{Path: b.people})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		if err := people.Upgrade(db); err != nil {
			return err
		}
		if err := people.Settle(db, b.erased, func(secret keys.ID, made int64) bool { return !have[secret] && made < b.keysAsOf.UnixMilli() }); err != nil {
			return err
		}
		if there, err = people.Have(db); err != nil {
			return err
		}
		if _, _, err := db.Checkpoint(conn.Truncate); err != nil {
			return err
		}
	}
	return k.InTx(func() error {
		for id := range have {
			if id.Owner == keys.OfPerson && !there[id.Number] {
				if err := k.Exec("DELETE FROM secret WHERE owner = ? AND number = ?", int(id.Owner), id.Number); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// secrets are those that there still are.
func secrets(k *conn.Conn) (map[keys.ID]bool, error) {
	have := make(map[keys.ID]bool)
	err := k.Query("SELECT owner, number, generation FROM secret", nil, func(r conn.Row) error {
		have[keys.ID{Owner: keys.Owner(r.Int(0)), Number: r.Int(1), Generation: r.Int(2)}] = true
		return nil
	})
	return have, err
}

// find finds the conversations that are to go: those that the newest copy names, and
// those of which no secret is left, unless the newest copy knows that they live on. One
// whose secrets are younger than the keys stays, and stays locked.
func (b *burial) find(db *conn.Conn, have map[keys.ID]bool) error {
	named := make(map[int64]bool)
	for _, id := range b.shredded {
		named[id] = true
	}
	lost, kept := make(map[int64]bool), make(map[int64]bool)
	if err := db.Query("SELECT conversation, generation, made FROM generation WHERE generation > 0 AND gone = 0", nil, func(r conn.Row) error {
		if b.lost(have, r.Int(0), r.Int(1), r.Int(2)) {
			lost[r.Int(0)] = true
		} else {
			kept[r.Int(0)] = true
		}
		return nil
	}); err != nil {
		return err
	}
	// Those that were shredded when the copy was made may have records in it that were
	// read before.
	return db.Query("SELECT id, shredded FROM conversation WHERE nature <> 1", nil, func(r conn.Row) error {
		id := r.Int(0)
		if r.Int(1) != 0 || named[id] || lost[id] && !kept[id] && b.ended[id] == 0 {
			b.gone[id] = true
		}
		return nil
	})
}

// bury deletes what there is of them; their rows stay, as tombstones.
func (b *burial) bury(db *conn.Conn) error {
	// The newest ordinal is kept first, since it may be one of theirs.
	newest, err := newestOf(db)
	if err != nil {
		return err
	}
	if err := setNewest(db, newest); err != nil {
		return err
	}
	if len(b.gone) == 0 {
		return nil
	}
	if err := db.Exec("CREATE TEMP TABLE buried (id INTEGER PRIMARY KEY)"); err != nil {
		return err
	}
	for id := range b.gone {
		if err := db.Exec("INSERT INTO buried VALUES (?)", id); err != nil {
			return err
		}
	}
	for _, statement := range []string{
		"DELETE FROM log WHERE conversation IN (SELECT id FROM buried)",
		"DELETE FROM place WHERE conversation IN (SELECT id FROM buried)",
		"DELETE FROM member WHERE conversation IN (SELECT id FROM buried)",
		"DELETE FROM contact WHERE conversation IN (SELECT id FROM buried)",
		"DELETE FROM generation WHERE conversation IN (SELECT id FROM buried)",
		"UPDATE attempt SET answer = x'', generation = 0 WHERE conversation IN (SELECT id FROM buried)",
		"UPDATE conversation SET shredded = 2 WHERE id IN (SELECT id FROM buried)",
	} {
		if err := db.Exec(statement); err != nil {
			return err
		}
	}
	return db.Exec("DROP TABLE buried")
}

// dismiss deletes the agents whose secret is gone, as they had been deleted.
func (b *burial) dismiss(db *conn.Conn, have map[keys.ID]bool) error {
	var gone []int64
	if err := db.Query("SELECT id, made FROM agent", nil, func(r conn.Row) error {
		if secret := (keys.ID{Owner: keys.OfAgent, Number: r.Int(0), Generation: 1}); !have[secret] && r.Int(1) < b.keysAsOf.UnixMilli() {
			gone = append(gone, r.Int(0))
		}
		return nil
	}); err != nil {
		return err
	}
	for _, id := range gone {
		for _, statement := range []string{"DELETE FROM member WHERE agent = ?", "DELETE FROM agent WHERE id = ?"} {
			if err := db.Exec(statement, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// skip leaves out the ordinals that records after the copy may have had: their ids are
// known to clients and receivers of webhooks. So the log that goes on is also further than
// whatever the keys know of the one that was lost: nothing has to be accepted.
func (b *burial) skip(db *conn.Conn) error {
	newest, err := newestOf(db)
	if err != nil {
		return err
	}
	if rest := newest % spanSize; rest != 0 {
		first := newest - rest + 1
		if err := db.Exec(`INSERT OR REPLACE INTO span (first, earliest, latest)
			SELECT ?, min(at), max(at)
			FROM log
			WHERE ordinal >= ?
			HAVING count(*) > 0`, first, first); err != nil {
			return err
		}
		newest += spanSize - rest
	}
	known := (b.newest + spanSize - 1) / spanSize * spanSize
	if err := setNewest(db, max(newest, known)+leap); err != nil {
		return err
	}
	// Each ordinal up to there is a row of the log, or counts as destroyed.
	return db.Exec(`INSERT OR REPLACE INTO meta (name, value)
		SELECT 'destroyed', (SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'newest') - (SELECT count(*) FROM log)`)
}

// setRows counts the rows of a ledger's tables that are destroyed here.
func setRows(db *conn.Conn) (int64, error) {
	return db.Number("SELECT (SELECT count(*) FROM agent) + (SELECT count(*) FROM member) + (SELECT count(*) FROM contact)")
}

func newestOf(db *conn.Conn) (int64, error) {
	return db.Number(`SELECT max(
		coalesce((SELECT max(ordinal) FROM log), 0),
		coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'newest'), 0))`)
}

func setNewest(db *conn.Conn, newest int64) error {
	return db.Exec("INSERT OR REPLACE INTO meta (name, value) VALUES ('newest', CAST(? AS TEXT))", newest)
}
