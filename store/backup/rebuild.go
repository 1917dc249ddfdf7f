package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"filippo.io/age"

	"parley.im/parley/store/keys"
	"parley.im/parley/store/people"
	"parley.im/parley/store/sqlite"
	"parley.im/parley/store/sqlite/conn"
)

// A rebuild makes files again of a chain's pieces, which lie in files of their own.
type rebuild struct {
	chain      Chain
	paths      []string // of the pieces, in order
	identities []age.Identity
	db         string // path of the database to make; "" if there is none in the chain
	file       func(name string) (path string, ok bool)

	last    header // of the full piece
	need    map[name]bool
	tables  map[string]*table
	shred   []int64
	gone    map[int64]int64
	end     end
	conn    *conn.Conn
	inserts map[string]string
	rows    map[string]int64
	records int64
	pending int // bytes since the last commit
}

// commitAfter bounds what a transaction gathers.
const commitAfter = 32 << 20

// run makes the files. First it reads the last piece, which names all that is needed,
// and then all pieces in order.
func (r *rebuild) run() (err error) {
	if err := r.plan(); err != nil {
		return fmt.Errorf("%s: %w", r.chain.Pieces[len(r.paths)-1].Name, err)
	}
	if r.db != "" {
		if r.conn, err = conn.Open(conn.Config{Path: r.db, Create: true, Cache: 8 << 10}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.conn.Close()) }()
		// Chunks come in any order; what belongs together is looked at in the end.
		if err := r.conn.Script("PRAGMA foreign_keys = OFF"); err != nil {
			return err
		}
	}
	previous := ""
	for i, path := range r.paths {
		if err := r.piece(i, path, previous); err != nil {
			return fmt.Errorf("%s: %w", r.chain.Pieces[i].Name, err)
		}
		previous = r.chain.Pieces[i].SHA256
	}
	return r.compare()
}

// open unseals a piece and calls do with its frames.
func (r *rebuild) open(path string, do func(kind byte, content []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in, err := age.Decrypt(f, r.identities...)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return errors.New("is sealed to another identity than this one")
	}
	if err != nil {
		return err
	}
	return readFrames(&unsealed{in}, do)
}

// unsealed tells a piece whose seal was cut from one that ends early by itself.
type unsealed struct{ r io.Reader }

// Read reads on.
func (u *unsealed) Read(b []byte) (int, error) {
	n, err := u.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("is damaged: %w", err)
	}
	return n, err
}

// plan reads from the last piece which chunks are needed.
func (r *rebuild) plan() error {
	r.need, r.tables = make(map[name]bool), make(map[string]*table)
	return r.open(r.paths[len(r.paths)-1], func(kind byte, content []byte) (err error) {
		switch kind {
		case frameTable:
			t, err := parseTable(content)
			if err != nil {
				return err
			}
			r.tables[t.Name] = t
			for _, n := range t.names {
				r.need[n] = true
			}
		case frameShred:
			r.shred, err = parseShredded(content)
		case frameGone:
			r.gone, err = parseGone(content)
		case frameEnd:
			err = json.Unmarshal(content, &r.end)
		}
		return err
	})
}

// piece reads one piece into the files.
func (r *rebuild) piece(seq int, path, previous string) error {
	var h *header
	var namer *namer
	err := r.inTx(func() error {
		return r.open(path, func(kind byte, content []byte) (err error) {
			if kind == frameHeader {
				if h, err = r.header(content, seq, previous); err != nil {
					return err
				}
				namer = newNamer(h.Mark)
				if seq == 0 {
					return r.create(h)
				}
				return nil
			}
			switch {
			case h == nil:
				return errFrame
			case kind == frameLog:
				err = r.logRows(content)
			case kind == frameChunk:
				err = r.chunk(namer, content)
			}
			if err != nil {
				return err
			}
			return r.commitSome(len(content))
		})
	})
	return err
}

// header says whether a piece is the one that belongs here.
func (r *rebuild) header(content []byte, seq int, previous string) (*header, error) {
	h := new(header)
	if err := json.Unmarshal(content, h); err != nil {
		return nil, errFrame
	}
	if seq == 0 {
		r.last = *h
	}
	known := map[Kind]int{Data: sqlite.SchemaVersion(), Keys: keys.SchemaVersion(), People: people.SchemaVersion()}
	switch {
	case h.Format > pieceFormat:
		return nil, fmt.Errorf("it has format %d, this program knows %d: it %w", h.Format, pieceFormat, conn.ErrNewer)
	case h.Kind != settings && h.Schema > known[h.Kind]:
		return nil, fmt.Errorf("it has schema %d, this program knows %d: it %w", h.Schema, known[h.Kind], conn.ErrNewer)
	case h.Kind != r.chain.Kind || h.Account != r.chain.Account || h.Seq != seq || h.Chain != r.last.Chain ||
		h.Previous != previous || !bytes.Equal(h.Mark, r.last.Mark):
		return nil, fmt.Errorf("is another piece: number %d of the %s of account %q", h.Seq, h.Kind, h.Account)
	}
	return h, nil
}

// What makes tables; nothing else is taken from a piece.
var createForm = regexp.MustCompile(`(?is)^CREATE\s+(TABLE|(UNIQUE\s+)?INDEX)\s`)

func (r *rebuild) create(h *header) error {
	if r.conn == nil {
		return nil
	}
	for _, statement := range h.SQL {
		if !createForm.MatchString(statement) {
			return fmt.Errorf("it would run %.40q", statement)
		}
		if err := r.conn.Exec(statement); err != nil {
			return err
		}
	}
	return r.conn.Exec(fmt.Sprintf("PRAGMA user_version = %d", h.Schema))
}

func (r *rebuild) logRows(content []byte) error {
	t, err := columnsOf(r.conn, logTable)
	if err != nil {
		return err
	}
	return eachRow(content, func(row []any) error {
		r.records++
		return r.insert(logTable, t.Columns, row)
	})
}

func (r *rebuild) chunk(namer *namer, content []byte) error {
	n, name, rows, err := parseChunk(content)
	if err != nil {
		return err
	}
	if namer.name(name, rows) != n {
		return errFrame
	}
	t := r.tables[name]
	if !r.need[n] || t == nil {
		return nil // what it held has changed since
	}
	delete(r.need, n)
	return eachRow(rows, func(row []any) error {
		if len(row) != len(t.Columns) {
			return errRow
		}
		r.rows[name]++
		if name == fileTable {
			return r.block(row)
		}
		return r.insert(name, t.Columns, row)
	})
}

func (r *rebuild) insert(table string, columns []string, row []any) error {
	if r.conn == nil || len(row) != len(columns) {
		return errRow
	}
	query, ok := r.inserts[table]
	if !ok {
		query = fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", quoted([]string{table}), quoted(columns),
			strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", "))
		r.inserts[table] = query
	}
	return r.conn.Exec(query, row...)
}

// block writes a part of a file.
func (r *rebuild) block(row []any) error {
	name, ok1 := row[0].(string)
	at, ok2 := row[1].(int64)
	content, ok3 := row[2].([]byte)
	if !ok1 || !ok2 || !ok3 || at < 0 {
		return errRow
	}
	path, ok := r.file(name)
	if !ok {
		return fmt.Errorf("it holds a file %q, which has no place here", name)
	}
	if err := conn.MakeDir(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, at)
	return errors.Join(err, f.Sync(), f.Close())
}

func (r *rebuild) inTx(do func() error) error {
	if r.conn == nil {
		return do()
	}
	return r.conn.InTx(do)
}

// commitSome ends a transaction that has become long and begins the next.
func (r *rebuild) commitSome(bytes int) error {
	if r.pending += bytes; r.conn == nil || r.pending < commitAfter {
		return nil
	}
	r.pending = 0
	if err := r.conn.Exec("COMMIT"); err != nil {
		return err
	}
	if _, _, err := r.conn.Checkpoint(conn.Truncate); err != nil {
		return err
	}
	return r.conn.Exec("BEGIN IMMEDIATE")
}

// compare says whether all that was copied is there again.
func (r *rebuild) compare() error {
	lacks := make(map[string]int)
	for _, t := range r.tables {
		for _, n := range t.names {
			if r.need[n] {
				lacks[t.Name]++
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(lacks)) {
		return fmt.Errorf("%d parts of table %s are in none of the pieces", lacks[name], name)
	}
	for name, want := range r.end.Rows {
		if r.rows[name] != want {
			return fmt.Errorf("table %s has %d rows, and had %d when it was copied", name, r.rows[name], want)
		}
	}
	if r.conn == nil {
		return nil
	}
	broken := ""
	if _, err := r.conn.One("PRAGMA foreign_key_check", nil, func(row conn.Row) { broken = row.Text(0) }); err != nil {
		return err
	}
	if broken != "" {
		return fmt.Errorf("rows of table %s belong to nothing", broken)
	}
	_, _, err := r.conn.Checkpoint(conn.Truncate)
	return err
}
