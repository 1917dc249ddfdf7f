package backup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"parley.im/parley/store/audit"
	"parley.im/parley/store/sqlite/conn"
)

const (
	logTable  = "log"
	fileTable = "//file" // of files, in pieces only: name, place of the bytes, bytes

	sliceRows  = 256
	sliceBytes = 1 << 20
	blockSize  = 64 << 10 // of files
)

// A source is what pieces of one chain are made of: a database, and files beside it.
type source struct {
	kind    Kind
	account string
	db      string   // path; "" is none
	files   []onDisk // those that are there are copied
	steady  bool     // the first file must not change while the database is read
	audits  string   // a folder whose audit log is copied, too; its files come and go
	below   string   // what is put before the names of those
}

// all are the files that there are now.
func (s *source) all() ([]onDisk, error) {
	list := slices.Clone(s.files)
	if s.audits == "" {
		return list, nil
	}
	names, err := audit.Files(s.audits)
	for _, n := range names {
		list = append(list, onDisk{s.below + n, filepath.Join(s.audits, n)})
	}
	return list, err
}

type onDisk struct{ name, path string }

// paths are all files that a change of the source changes.
func (s *source) paths() ([]string, error) {
	var list []string
	if s.db != "" {
		list = append(list, s.db, s.db+"-wal")
	}
	files, err := s.all()
	for _, f := range files {
		list = append(list, f.path)
	}
	return list, err
}

// signature changes when the source does. It is "" where it has changed so lately that
// the next change might not show.
func (s *source) signature(now time.Time) string {
	var b strings.Builder
	paths, err := s.paths()
	if err != nil {
		return ""
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || info.Size() == 0 {
			continue
		}
		if now.Sub(info.ModTime()).Abs() < time.Second {
			return ""
		}
		fmt.Fprintf(&b, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
	}
	return b.String()
}

// A reading is a source on its way into a piece.
type reading struct {
	out   *frames
	namer *namer
	known map[name]bool // chunks that the chain has
	added map[name]bool // chunks that it gets
	after int64         // the log's records up to there are in the chain

	newest  int64
	records int64
	tables  []*table
	shred   []byte
	gone    []byte
}

// database reads all of a database: the log's records in slices, which hold nobody up,
// and then, in one short reading, what has come since and all other tables.
func (r *reading) database(ctx context.Context, db *conn.Conn, tables []*table, hasLog bool) error {
	r.newest = r.after
	if hasLog {
		if err := r.log(ctx, db); err != nil {
			return err
		}
	}
	return db.InView(func() error {
		if hasLog {
			if err := r.log(ctx, db); err != nil {
				return err
			}
			if err := r.destroyed(db); err != nil {
				return err
			}
		}
		for _, t := range tables {
			if err := r.table(ctx, db, t); err != nil {
				return fmt.Errorf("table %s: %w", t.Name, err)
			}
		}
		return nil
	})
}

// log reads the records that follow, until there are no more.
func (r *reading) log(ctx context.Context, db *conn.Conn) error {
	columns, err := columnsOf(db, logTable)
	if err != nil {
		return err
	}
	query := fmt.Sprintf("SELECT %s FROM log WHERE ordinal > ? ORDER BY ordinal LIMIT +?", quoted(columns.Columns))
	at := slices.Index(columns.Columns, "ordinal")
	if at < 0 {
		return errors.New("the log has no ordinals")
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var rows []byte
		n := 0
		err := db.Query(query, []any{r.newest, sliceRows}, func(row conn.Row) (err error) {
			if rows, err = appendRow(rows, row); err != nil {
				return err
			}
			n++
			r.newest = row.Int(at)
			if len(rows) >= sliceBytes {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		if n == 0 {
			return nil
		}
		r.records += int64(n)
		if err := r.out.write(frameLog, rows); err != nil {
			return err
		}
	}
}

var errEnough = errors.New("enough")

// destroyed lists the conversations that were shredded, and of others how many of their
// oldest records were destroyed.
func (r *reading) destroyed(db *conn.Conn) error {
	if err := eachID(db, "SELECT id, 0 FROM conversation WHERE shredded IN (1, 2) ORDER BY id", func(ahead, _ int64) {
		r.shred = binary.AppendVarint(r.shred, ahead)
	}); err != nil {
		return err
	}
	columns, err := columnsOf(db, "conversation")
	if err != nil || !slices.Contains(columns.Columns, "gone") { // nobody has opened it with this program yet
		return err
	}
	return eachID(db, "SELECT id, gone FROM conversation WHERE shredded = 0 AND gone > 0 ORDER BY id", func(ahead, gone int64) {
		r.gone = binary.AppendVarint(binary.AppendVarint(r.gone, ahead), gone)
	})
}

// eachID calls do with how far each id is from the one before, and with what follows it.
func eachID(db *conn.Conn, query string, do func(ahead, value int64)) error {
	last := int64(0)
	return db.Query(query, nil, func(row conn.Row) error {
		do(row.Int(0)-last, row.Int(1))
		last = row.Int(0)
		return nil
	})
}

func parseShredded(b []byte) (ids []int64, err error) {
	last := int64(0)
	for len(b) > 0 {
		n, size := binary.Varint(b)
		if size <= 0 {
			return nil, errFrame
		}
		last += n
		ids = append(ids, last)
		b = b[size:]
	}
	return ids, nil
}

func parseGone(b []byte) (map[int64]int64, error) {
	upTo := make(map[int64]int64)
	last := int64(0)
	for len(b) > 0 {
		n, size := binary.Varint(b)
		if size <= 0 {
			return nil, errFrame
		}
		value, more := binary.Varint(b[size:])
		if more <= 0 {
			return nil, errFrame
		}
		last += n
		upTo[last] = value
		b = b[size+more:]
	}
	return upTo, nil
}

func (r *reading) table(ctx context.Context, db *conn.Conn, t *table) error {
	names := make([]string, len(t.keys))
	for i, k := range t.keys {
		names[i] = t.Columns[k]
	}
	order := quoted(names)
	c := r.chunker(t)
	n := 0
	row := make([]any, len(t.Columns))
	err := db.Query(fmt.Sprintf("SELECT %s FROM %s ORDER BY %s", quoted(t.Columns), quoted([]string{t.Name}), order), nil,
		func(values conn.Row) error {
			if n++; n%sliceRows == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			for i := range row {
				row[i] = values[i]
			}
			return c.add(row)
		})
	if err != nil {
		return err
	}
	return r.finish(c)
}

func (r *reading) chunker(t *table) *chunker {
	return &chunker{t: t, namer: r.namer, known: r.known, added: r.added, out: r.out}
}

func (r *reading) finish(c *chunker) error {
	if err := c.end(); err != nil {
		return err
	}
	r.tables = append(r.tables, c.t)
	return nil
}

// fileRows reads files, each block as a row of its own, so that one that grows costs
// what has come.
func (r *reading) fileRows(ctx context.Context, files []onDisk) error {
	c := r.chunker(&table{Name: fileTable, Columns: []string{"name", "at", "bytes"}, keys: []int{0, 1}})
	buf := make([]byte, blockSize)
	for _, f := range files {
		if err := c.file(ctx, f, buf); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return r.finish(c)
}

func (c *chunker) file(ctx context.Context, f onDisk, buf []byte) error {
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	for at := int64(0); ; at += blockSize {
		n, err := io.ReadFull(in, buf)
		if n > 0 || at == 0 {
			if err := errors.Join(ctx.Err(), c.add([]any{f.name, at, buf[:n]}), c.end()); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// schemaOf is what makes the database's tables, and its version.
func schemaOf(db *conn.Conn) (sql []string, version int64, err error) {
	if version, err = db.Number("PRAGMA user_version"); err != nil {
		return nil, 0, err
	}
	err = db.Query(`SELECT sql
		FROM sqlite_schema
		WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'
		ORDER BY rowid`, nil, func(r conn.Row) error {
		sql = append(sql, r.Text(0))
		return nil
	})
	return sql, version, err
}

// tablesOf are all tables but the log, those in which SQLite counts ids included.
func tablesOf(db *conn.Conn) (list []*table, hasLog bool, err error) {
	var names []string
	if err := db.Query(`SELECT name
		FROM sqlite_schema
		WHERE type = 'table' AND (name NOT LIKE 'sqlite_%' OR name = 'sqlite_sequence')
		ORDER BY name`, nil, func(r conn.Row) error {
		names = append(names, r.Text(0))
		return nil
	}); err != nil {
		return nil, false, err
	}
	for _, n := range names {
		if n == logTable {
			hasLog = true
			continue
		}
		t, err := columnsOf(db, n)
		if err != nil {
			return nil, false, err
		}
		list = append(list, t)
	}
	return list, hasLog, nil
}

func columnsOf(db *conn.Conn, name string) (*table, error) {
	t := &table{Name: name}
	var place []int64 // in the primary key
	err := db.Query("SELECT name, pk FROM pragma_table_info(?)", []any{name}, func(r conn.Row) error {
		if r.Int(1) > 0 {
			t.keys = append(t.keys, len(t.Columns))
		}
		t.Columns = append(t.Columns, r.Text(0))
		place = append(place, r.Int(1))
		return nil
	})
	if len(t.keys) == 0 {
		for i := range t.Columns {
			t.keys = append(t.keys, i)
		}
	}
	slices.SortFunc(t.keys, func(a, b int) int { return int(place[a] - place[b]) })
	return t, err
}

// quoted are names as SQL has them.
func quoted(names []string) string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = `"` + strings.ReplaceAll(n, `"`, `""`) + `"`
	}
	return strings.Join(list, ", ")
}
