package sqlite

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync/atomic"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// A row that is sealed tells when it was changed, but an older state of it was sealed just
// as well. So the account keeps a ledger: for each table of what somebody has set, the sum
// of a keyed hash of each of its rows, sealed, in the same transaction as every change. An
// older ledger together with older rows is noticed by its version, which the writer and,
// once a minute, the key database remember (anchor.go).
//
// The writer's connection has triggers, which are its own and not the file's: they keep the
// sums whatever the statement, also where rows go with those that they belong to. Nothing
// of it is on a message's way; rows that change with each (records, headers, deliveries,
// cursors, attempts) are held by other means, or hold nothing that is decided by.

// A coveredTable is one whose rows are summed.
type coveredTable struct {
	table   string
	agent   string // the column that says whose a row is; "" is nobody's
	columns string
	what    string // it holds, for people
}

// covered are the tables of the ledger. Their order and columns are part of what is summed:
// new ones come last, and another change of them needs another ledgerForm.
var covered = []coveredTable{
	{"agent", "id", "name role disabled made", "name or role"},
	{"credential", "agent", "id scope made sealed", "credentials"},
	{"own", "agent", "part slot sealed", "contacts, tokens or preferences"},
	{"member", "agent", "conversation first_n last_n hidden", "conversations"},
	{"endpoint", "", "id url events secret made disabled why options", "webhooks"},
	{"api_key", "", "id made sealed", "API keys"},
	{"secret", "", "name sealed", "the account's secrets"},
	{"setting", "", "name value", "settings"},
	{"contact", "", "conversation version generation", "visitors' contacts"},
}

// ledgerSums is how many sums a table has. An agent's rows are in one that she shares only
// where there are more agents than that, so that who is affected can be told.
const ledgerSums = 32

type sums [9][ledgerSums]uint64 // of covered

const ledgerForm = 1

var ledgerPlace = seal.Place{Field: "ledger"}

// A ledgerState is what changes of a ledger.
type ledgerState struct {
	version int64
	broken  bool // an older one was found in its place, or none
	sums    sums
}

// A ledger belongs to the writer, but for what is atomic.
type ledger struct {
	key   [sha256.Size]byte
	state ledgerState // with the transaction under way
	kept  ledgerState
	mac   hash.Hash
	buf   []byte

	version atomic.Int64
	broken  atomic.Bool
}

func newLedger(key []byte) *ledger {
	l := &ledger{key: [sha256.Size]byte(key)}
	l.mac = hmac.New(sha256.New, l.key[:])
	return l
}

// attach gives a connection the function that adds a row to the sums, or takes it out.
func (l *ledger) attach(db *conn.Conn) error { return db.Func("ledger", l.add) }

func (l *ledger) add(sign, table, agent int64, columns ...any) (int64, error) {
	b := binary.BigEndian.AppendUint64(append(l.buf[:0], byte(table)), uint64(agent))
	for _, c := range columns {
		switch c := c.(type) {
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 1), uint64(c))
		case string:
			b = append(binary.AppendUvarint(append(b, 2), uint64(len(c))), c...)
		case []byte:
			b = append(binary.AppendUvarint(append(b, 3), uint64(len(c))), c...)
		case nil: // no column may be NULL: it is an empty blob
			b = append(b, 3, 0)
		default:
			return 0, fmt.Errorf("a column is a %T", c)
		}
	}
	l.mac.Reset()
	l.mac.Write(b)
	l.buf = l.mac.Sum(b)
	n := binary.BigEndian.Uint64(l.buf[len(b):])
	l.state.sums[table][agent%ledgerSums] += uint64(sign) * n
	return 0, nil
}

// watch makes the triggers.
func (l *ledger) watch(db *conn.Conn) error {
	if err := l.attach(db); err != nil {
		return err
	}
	// What a REPLACE takes away counts as deleted only so.
	script := "PRAGMA recursive_triggers = ON;\n"
	for i, c := range covered {
		of := strings.ReplaceAll(strings.TrimSpace(c.agent+" "+c.columns), " ", ", ")
		for _, t := range [][3]string{
			{"added", "INSERT", c.call(i, 1, "NEW.")},
			{"removed", "DELETE", c.call(i, -1, "OLD.")},
			{"changed", "UPDATE OF " + of, c.call(i, -1, "OLD.") + ", " + c.call(i, 1, "NEW.")},
		} {
			script += fmt.Sprintf("CREATE TEMP TRIGGER ledger_%s_%s AFTER %s ON main.%s BEGIN SELECT %s; END;\n", t[0], c.table, t[1], c.table, t[2])
		}
	}
	return db.Script(script)
}

// call is how SQL calls the function for a row.
func (c *coveredTable) call(table, sign int, row string) string {
	agent := "0"
	if c.agent != "" {
		agent = row + c.agent
	}
	return fmt.Sprintf("ledger(%d, %d, %s, %s%s)", sign, table, agent, row, strings.ReplaceAll(c.columns, " ", ", "+row))
}

// count sums the rows that there are.
func (l *ledger) count(db *conn.Conn) error {
	l.state.sums = sums{}
	for i, c := range covered {
		if err := db.Exec("SELECT " + c.call(i, 1, "") + " FROM " + c.table); err != nil {
			return err
		}
	}
	return nil
}

// read answers the ledger that a file holds; ErrNotFound if there is none.
func (a *Account) readLedger(db *conn.Conn) (*ledger, error) {
	var sealed []byte
	if found, err := db.One("SELECT sealed FROM ledger", nil, func(r conn.Row) { sealed = r.Blob(0) }); err != nil || !found {
		return nil, errors.Join(err, store.ErrNotFound)
	}
	b, err := a.cfg.Keys.Field().Open(nil, sealed, &ledgerPlace)
	if err != nil || len(b) == 0 || b[0] != ledgerForm {
		return nil, store.ErrTampered
	}
	b = b[1:]
	l := newLedger(b[:sha256.Size])
	b = b[sha256.Size:]
	l.state.version = int64(binary.BigEndian.Uint64(b))
	l.state.broken = b[8] != 0
	// Before there was a table it had no sums, as it has now that it is empty.
	all := make([]byte, binary.Size(l.state.sums))
	if copied := copy(all, b[9:]); copied != len(b)-9 {
		return nil, store.ErrTampered
	}
	if _, err := binary.Decode(all, binary.BigEndian, &l.state.sums); err != nil {
		return nil, store.ErrTampered
	}
	return l, nil
}

// write keeps the ledger if the transaction has changed it.
func (l *ledger) write(db *conn.Conn, field *seal.Box) error {
	if l.state == l.kept {
		return nil
	}
	l.state.version = l.kept.version + 1
	b := append([]byte{ledgerForm}, l.key[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(l.state.version))
	b = append(b, 0)
	if l.state.broken {
		b[len(b)-1] = 1
	}
	b, err := binary.Append(b, binary.BigEndian, &l.state.sums)
	if err != nil {
		return err
	}
	return db.Exec("INSERT OR REPLACE INTO ledger (id, sealed) VALUES (1, ?)", field.Seal(nil, b, &ledgerPlace))
}

// keep makes what the transaction changed final.
func (l *ledger) keep() {
	if l.state != l.kept {
		l.kept = l.state
		l.version.Store(l.kept.version)
		l.broken.Store(l.kept.broken)
	}
}

// openLedger reads the ledger, or begins one, and compares it with what the key database
// knows. What it finds wrong stays in it until that is accepted.
func (a *Account) openLedger(db *conn.Conn) error {
	anchor, err := a.cfg.Keys.Anchor()
	if err != nil && !errors.Is(err, store.ErrTampered) { // which is told of in its place
		return err
	}
	l, err := a.readLedger(db)
	missing := errors.Is(err, store.ErrNotFound)
	switch {
	case err == nil:
		l.kept = l.state
		if l.kept.version < anchor.Ledger {
			l.kept.version, l.state.broken = anchor.Ledger, true
		}
	case missing || errors.Is(err, store.ErrTampered):
		key := make([]byte, sha256.Size)
		_, _ = rand.Read(key) // never fails
		l = newLedger(key)
		l.kept.version, l.state.broken = anchor.Ledger, anchor.Ledger > 0 || !missing
		if err := errors.Join(l.attach(db), l.count(db)); err != nil {
			return err
		}
	default:
		return err
	}
	a.ledger = l
	if err := db.InTx(func() error { return l.write(db, a.cfg.Keys.Field()) }); err != nil {
		return err
	}
	l.kept = l.state
	l.version.Store(l.kept.version)
	l.broken.Store(l.kept.broken)
	a.ledgered.Store(anchor.Ledger)
	return l.watch(db)
}

// acceptLedger takes the rows as they are from here on.
func (a *Account) acceptLedger(db *conn.Conn) error {
	a.ledger.state.broken = false
	return a.ledger.count(db)
}
