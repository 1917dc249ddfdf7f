// Package conn is a connection to one SQLite file as Parley uses it: the same
// settings on every connection, statements prepared once and kept, and no
// goroutine or pool behind it. The driver's own connection is used directly,
// since database/sql costs as much as the writes themselves.
//
// A statement is planned once, but SQLite plans it anew at each run, for some 50 µs,
// when a parameter is bound that it looked at while planning: that of a LIMIT, and 0 or
// 1 compared with a column. It looks at no "+?", so this is how such are written where
// it matters.
//
// A Conn belongs to one goroutine at a time.
package conn

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/mattn/go-sqlite3"
)

// A Conn is an open connection.
type Conn struct {
	path  string
	raw   *sqlite3.SQLiteConn
	stmts map[string]*statement
	args  []driver.NamedValue // reused from one statement to the next
}

// A statement is prepared, with room for a row of what it yields.
type statement struct {
	*sqlite3.SQLiteStmt
	row Row
}

// A Row is what a query yields; it is valid until the next.
type Row []driver.Value

// Int is column i as a number; NULL is 0.
func (r Row) Int(i int) int64 {
	n, _ := r[i].(int64)
	return n
}

// Text is column i as text; NULL is "".
func (r Row) Text(i int) string {
	s, _ := r[i].(string)
	return s
}

// Blob is column i as bytes, which the caller may keep; NULL is nil.
func (r Row) Blob(i int) []byte {
	b, _ := r[i].([]byte)
	return b
}

// Exec runs a statement that yields nothing.
func (c *Conn) Exec(query string, args ...any) error {
	return c.Query(query, args, nil)
}

// Query runs a statement and calls row for each of its rows; an error of row ends
// it and is answered. Arguments are int, int64, bool, string, []byte and nil.
func (c *Conn) Query(query string, args []any, row func(Row) error) error {
	c.args = c.args[:0]
	for i, a := range args {
		v, err := value(a)
		if err != nil {
			return fmt.Errorf("argument %d of %q: %w", i+1, query, err)
		}
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return c.Run(query, c.args, row)
}

// Run is Query with the driver's own form of arguments, for callers that keep them
// from one call to the next. It binds and steps in one crossing into C.
func (c *Conn) Run(query string, args []driver.NamedValue, row func(Row) error) error {
	stmt, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(context.Background(), args)
	if err != nil {
		return err
	}
	err = stmt.each(rows, row)
	if closed := rows.Close(); err == nil {
		err = closed
	}
	return err
}

// each steps to the end, also where nobody wants the rows: some statements do a part of
// their work with each (incremental_vacuum).
func (s *statement) each(rows driver.Rows, row func(Row) error) error {
	if row == nil {
		row = func(Row) error { return nil }
	} else if n := len(rows.Columns()); len(s.row) != n {
		s.row = make(Row, n)
	}
	defer clear(s.row)
	for {
		switch err := rows.Next(s.row); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if err := row(s.row); err != nil {
			return err
		}
	}
}

// One runs a query for one row and says whether there was one. Others that there may
// be are not looked for.
func (c *Conn) One(query string, args []any, row func(Row)) (found bool, err error) {
	err = c.Query(query, args, func(r Row) error {
		row(r)
		return errFound
	})
	if err == errFound {
		return true, nil
	}
	return false, err
}

var errFound = errors.New("found")

// Number runs a query for one number; no row is 0.
func (c *Conn) Number(query string, args ...any) (n int64, err error) {
	_, err = c.One(query, args, func(r Row) { n = r.Int(0) })
	return n, err
}

// Func gives statements of this connection a function; what it takes and answers is as the
// driver has it.
func (c *Conn) Func(name string, f any) error { return c.raw.RegisterFunc(name, f, false) }

// Script runs statements without arguments, which are not kept.
func (c *Conn) Script(statements string) error {
	_, err := c.raw.ExecContext(context.Background(), statements, nil)
	return err
}

// InTx runs do in a transaction of its own.
func (c *Conn) InTx(do func() error) error {
	if err := c.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := do()
	if err == nil {
		err = c.Exec("COMMIT")
	}
	if err != nil {
		c.Rollback()
	}
	return err
}

// InView runs do, which only reads, on one state of the file: what others commit
// meanwhile is not seen. Several queries cost less than on their own.
func (c *Conn) InView(do func() error) error {
	if err := c.Exec("BEGIN"); err != nil {
		return err
	}
	err := do()
	if ended := c.Exec("COMMIT"); ended != nil {
		c.Rollback()
		err = errors.Join(err, ended)
	}
	return err
}

// Rollback ends a transaction, if there is one: SQLite ends it by itself after
// some errors.
func (c *Conn) Rollback() {
	if !c.raw.AutoCommit() {
		_ = c.Exec("ROLLBACK")
	}
}

// Close closes the connection. It may be called twice.
func (c *Conn) Close() error {
	if c.raw == nil {
		return nil
	}
	for _, s := range c.stmts {
		_ = s.Close()
	}
	err := c.raw.Close()
	c.raw, c.stmts = nil, nil
	return err
}

func (c *Conn) prepare(query string) (*statement, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	if c.raw == nil {
		return nil, errClosed
	}
	s, err := c.raw.Prepare(query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = &statement{SQLiteStmt: s.(*sqlite3.SQLiteStmt)}
	return c.stmts[query], nil
}

var errClosed = errors.New("connection is closed")

func value(a any) (driver.Value, error) {
	switch v := a.(type) {
	case nil, int64, string, bool:
		return v, nil
	case int:
		return int64(v), nil
	case []byte:
		if v == nil {
			return []byte{}, nil // NULL is written as nil
		}
		return v, nil
	}
	return nil, fmt.Errorf("type %T is not kept", a)
}
