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

// An Anchor is how far the account's log had come at some moment. It is kept here, in
// another file than the log and sealed, so that a log which was put back to an older
// state is noticed.
type Anchor struct {
	Ordinal int64     `json:"ordinal"`
	Hash    []byte    `json:"hash,omitempty"` // of that record; empty if it was destroyed already
	At      time.Time `json:"at"`
}

var placeAnchor = seal.Place{Field: "anchor"}

// Anchor answers the newest; the zero value if there is none yet.
func (a *Account) Anchor() (anchor Anchor, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	db, err := a.connect()
	if err != nil {
		return anchor, err
	}
	text := ""
	found, err := db.One("SELECT value FROM meta WHERE name = 'anchor'", nil, func(r conn.Row) { text = r.Text(0) })
	if err != nil || !found {
		return anchor, err
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		sealed, err = a.field.Open(nil, sealed, &placeAnchor)
	}
	if err == nil {
		err = json.Unmarshal(sealed, &anchor)
	}
	if err != nil {
		return Anchor{}, fmt.Errorf("what %s knows of the log: %w", a.dbPath(), store.ErrTampered)
	}
	return anchor, nil
}

// SetAnchor replaces it. What it tells of must be durable.
func (a *Account) SetAnchor(anchor Anchor) error {
	plain, err := json.Marshal(anchor)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	db, err := a.connect()
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(a.field.Seal(nil, plain, &placeAnchor))
	if err := db.InTx(func() error {
		return db.Exec("INSERT OR REPLACE INTO meta (name, value) VALUES ('anchor', ?)", text)
	}); err != nil {
		return reason(err)
	}
	a.commits++
	return nil
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
