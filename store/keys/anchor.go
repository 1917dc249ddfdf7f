package keys

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// An Anchor is how far the account's log, and what it keeps beside that, had come at some
// moment. It is kept here, in another file than they and sealed, so that they are noticed
// when they were put back to an older state.
type Anchor struct {
	Ordinal int64     `json:"ordinal"`
	Hash    []byte    `json:"hash,omitempty"` // of that record; empty if it was destroyed already
	At      time.Time `json:"at"`
	// Ledger is the version of the account's ledger. It has a row of its own, which a
	// restore takes away.
	Ledger int64 `json:"-"`
}

// A mark is a sealed value of the table meta.
type mark struct {
	name  string
	place seal.Place
}

var (
	markAnchor = mark{"anchor", seal.Place{Field: "anchor"}}
	markLedger = mark{"ledger", seal.Place{Field: "ledger"}}
)

// Anchor answers the newest; the zero value if there is none yet.
func (a *Account) Anchor() (anchor Anchor, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	db, err := a.connect()
	if err != nil {
		return anchor, err
	}
	err = a.marked(db, &markAnchor, &anchor)
	if err == nil {
		err = a.marked(db, &markLedger, &anchor.Ledger)
	}
	return anchor, err
}

// marked reads a value into to, which stays as it is if there is none.
func (a *Account) marked(db *conn.Conn, m *mark, to any) error {
	text := ""
	found, err := db.One("SELECT value FROM meta WHERE name = ?", []any{m.name}, func(r conn.Row) { text = r.Text(0) })
	if err != nil || !found {
		return err
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		plain, err = a.field.Open(nil, plain, &m.place)
	}
	if err == nil {
		err = json.Unmarshal(plain, to)
	}
	if err != nil {
		return fmt.Errorf("what %s knows of the log: %w", a.dbPath(), store.ErrTampered)
	}
	return nil
}

// SetAnchor replaces it. What it tells of must be durable.
func (a *Account) SetAnchor(anchor Anchor) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	db, err := a.connect()
	if err != nil {
		return err
	}
	if err := db.InTx(func() error {
		if err := a.mark(db, &markAnchor, anchor); err != nil {
			return err
		}
		return a.mark(db, &markLedger, anchor.Ledger)
	}); err != nil {
		return reason(err)
	}
	a.commits++
	return nil
}

func (a *Account) mark(db *conn.Conn, m *mark, value any) error {
	plain, err := json.Marshal(value)
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(a.field.Seal(nil, plain, &m.place))
	return db.Exec("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", m.name, text)
}

// DropLedger has a file that came out of a copy forget which ledger the data had: it was
// another data's.
func DropLedger(db *conn.Conn) error {
	return db.Exec("DELETE FROM meta WHERE name = ?", markLedger.name)
}

// Check answers what SQLite finds wrong with the file; nothing if it is whole.
func (a *Account) Check() (faults []string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	db, err := a.connect()
	if err != nil {
		return nil, err
	}
	return db.Check()
}
