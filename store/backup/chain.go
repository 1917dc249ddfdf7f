package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"time"

	"filippo.io/age"

	"parley.im/parley/store/sqlite/conn"
)

// A chain is what the maker knows of one source's pieces so far, so that the next one
// holds what has changed. It is kept in the spool: when it is lost, the next piece is a
// full one.
type chain struct {
	Kind    Kind
	Account string
	Begun   time.Time
	Mark    []byte // names its chunks
	SQL     string // hash of what makes the tables
	Schema  int
	Newest  int64
	State   string // hash of all lists of chunks
	Pieces  []Piece

	known     map[name]bool // chunks that the chain has
	signature string        // of the files when they were read last; not kept
	asOf      time.Time     // what was kept before is in it; not kept
}

// A maker makes the pieces of one source at one time.
type maker struct {
	ctx        context.Context
	src        source
	spool      *spool
	recipients []age.Recipient
	now        time.Time
}

// errMoved says that a file was replaced while what belongs to it was read.
var errMoved = errors.New("the account's key was replaced meanwhile, or its audit log put aside")

// movedTries is how often a reading is begun anew for that; a key is replaced once a
// week, and an audit log put aside once a month.
const movedTries = 5

// extend makes the next piece, a full one if that is asked for or nothing else will do,
// and answers the chain with it; the same chain, if nothing has changed.
func (m *maker) extend(c *chain, full bool) (*chain, error) {
	for range movedTries - 1 {
		next, err := m.try(c, full)
		if !errors.Is(err, errMoved) {
			return next, err
		}
	}
	return m.try(c, full)
}

func (m *maker) try(c *chain, full bool) (next *chain, err error) {
	signature := m.src.signature(m.now)
	if c != nil && !full && signature != "" && signature == c.signature {
		c.asOf = m.now
		return c, nil
	}
	var db *conn.Conn
	if m.src.db != "" {
		if db, err = conn.Open(conn.Config{Path: m.src.db, ReadOnly: true, Cache: 256}); err != nil {
			return nil, err
		}
		defer db.Close()
	}
	next, h, err := m.begin(c, db, full)
	if err != nil {
		return nil, err
	}
	p := &pieceFile{hash: sha256.New()}
	if p.file, err = m.spool.create(); err != nil {
		return nil, err
	}
	defer p.drop()
	r, err := m.write(p, h, next, db)
	if err != nil {
		return nil, err
	}
	if h.Seq > 0 && r.records == 0 && len(r.added) == 0 && r.state() == c.State {
		c.signature, c.asOf = signature, m.now
		return c, nil
	}
	next.add(r, Piece{
		Name: pieceName(m.src.kind, m.src.account, stamp(next.Begun), h.Seq, h.Time),
		Size: p.size, SHA256: hex.EncodeToString(p.hash.Sum(nil)), Time: h.Time, Newest: r.newest,
	})
	if err := m.spool.keep(p, next); err != nil {
		return nil, err
	}
	next.signature, next.asOf = signature, m.now
	return next, nil
}

// begin decides whether the next piece is an increment, and makes its header.
func (m *maker) begin(c *chain, db *conn.Conn, full bool) (*chain, *header, error) {
	next := &chain{Kind: m.src.kind, Account: m.src.account, Begun: m.now, known: make(map[name]bool)}
	var sql []string
	if db != nil {
		statements, version, err := schemaOf(db)
		if err != nil {
			return nil, nil, err
		}
		sql, next.Schema = statements, int(version)
		text, err := json.Marshal(sql)
		if err != nil {
			return nil, nil, err
		}
		next.SQL = shortHash(text)
	}
	h := &header{Format: pieceFormat, Kind: m.src.kind, Account: m.src.account, Time: m.now}
	if c != nil && !full && c.SQL == next.SQL && c.Schema == next.Schema {
		copied := *c
		copied.Pieces = append([]Piece(nil), c.Pieces...)
		next = &copied
		last := next.Pieces[len(next.Pieces)-1]
		h.Seq, h.Previous = len(next.Pieces), last.SHA256
		h.Time = after(m.now, last.Time)
	} else {
		if c != nil {
			next.Begun = after(m.now, c.Pieces[len(c.Pieces)-1].Time)
		}
		h.Time, h.SQL = next.Begun, sql
		next.Mark = make([]byte, sha256.Size)
		rand.Read(next.Mark)
	}
	h.Chain, h.Mark, h.Schema = stamp(next.Begun), next.Mark, next.Schema
	return next, h, nil
}

// after is now or, if the clock went back, a little later than what was before: names
// are in the order of what they name.
func after(now, before time.Time) time.Time {
	if least := before.Add(time.Millisecond); now.Before(least) {
		return least
	}
	return now
}

// write seals a piece into its file.
func (m *maker) write(p *pieceFile, h *header, next *chain, db *conn.Conn) (*reading, error) {
	var steady []byte
	var err error
	if m.src.steady {
		if steady, err = os.ReadFile(m.src.files[0].path); err != nil {
			return nil, err
		}
	}
	sealed, err := age.Encrypt(p, m.recipients...)
	if err != nil {
		return nil, err
	}
	r := &reading{
		out: newFrames(sealed), namer: newNamer(h.Mark), known: next.known, added: make(map[name]bool), after: next.Newest,
	}
	if err := r.out.writeJSON(frameHeader, h); err != nil {
		return nil, err
	}
	if db != nil {
		tables, hasLog, err := tablesOf(db)
		if err != nil {
			return nil, err
		}
		if err := r.database(m.ctx, db, tables, hasLog); err != nil {
			return nil, err
		}
	}
	files, err := m.src.all()
	if err != nil {
		return nil, err
	}
	if err := r.fileRows(m.ctx, files); err != nil {
		return nil, err
	}
	if later, err := m.src.all(); err != nil || !slices.Equal(files, later) {
		return nil, errors.Join(err, errMoved)
	}
	if m.src.steady {
		again, err := os.ReadFile(m.src.files[0].path)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(steady, again) {
			return nil, errMoved
		}
	}
	if err := r.finishPiece(); err != nil {
		return nil, err
	}
	return r, errors.Join(sealed.Close(), p.file.Sync())
}

// finishPiece writes what is known when all was read.
func (r *reading) finishPiece() error {
	rows := make(map[string]int64)
	for _, t := range r.tables {
		text, err := t.frame()
		if err != nil {
			return err
		}
		if err := r.out.write(frameTable, text); err != nil {
			return err
		}
		rows[t.Name] = t.rows
	}
	if err := r.out.write(frameShred, r.shred); err != nil {
		return err
	}
	if err := r.out.write(frameGone, r.gone); err != nil {
		return err
	}
	if err := r.out.writeJSON(frameEnd, end{Newest: r.newest, Records: r.records, Rows: rows}); err != nil {
		return err
	}
	return r.out.w.Flush()
}

// state is the hash of all lists of chunks: it changes when any row does.
func (r *reading) state() string {
	h := sha256.New()
	for _, t := range r.tables {
		fmt.Fprintf(h, "%s %d\n", t.Name, len(t.names))
		for i := range t.names {
			h.Write(t.names[i][:])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (c *chain) add(r *reading, p Piece) {
	known := make(map[name]bool, len(c.known)+len(r.added))
	for _, set := range []map[name]bool{c.known, r.added} {
		for n := range set {
			known[n] = true
		}
	}
	c.known, c.Newest, c.State, c.Pieces = known, r.newest, r.state(), append(c.Pieces, p)
}

// A pieceFile is a sealed piece while it is written.
type pieceFile struct {
	file *os.File
	hash hash.Hash
	size int64
}

// Write writes sealed bytes.
func (p *pieceFile) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.hash.Write(b[:n])
	p.size += int64(n)
	return n, err
}

// drop closes the file and removes it, unless it has been kept under another name.
func (p *pieceFile) drop() {
	_ = p.file.Close()
	_ = os.Remove(p.file.Name()) // it is there only if it was not kept
}

var _ io.Writer = (*pieceFile)(nil)
