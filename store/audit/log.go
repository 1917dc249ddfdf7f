package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

const (
	// Keep is how long records are kept at least: six months. WCP-10
	Keep = 183 * 24 * time.Hour

	sizeMax = 8 << 20 // bytes of a file; a month's end comes sooner, as a rule
)

// A Config says whose log it is.
type Config struct {
	Dir     string // of the files
	Account string // "" is the installation
	Now     func() time.Time
	Log     *slog.Logger

	sizeMax int64 // less in tests
}

// A Log is open for one process, which holds the lock of the data folder.
type Log struct {
	cfg Config

	mu      sync.Mutex // guards what follows; held while the disk is waited for
	closed  bool
	file    *os.File // audit.log; nil after something went wrong with it
	size    int64    // of its whole lines
	dirty   bool     // there may be more, which is to be cut off
	anchor  anchor
	n       int64 // of the last record
	hash    Hash  // of the last record
	month   string
	newest  time.Time // of the file's last record; zero if it has none
	room    int64     // bytes of the file that are reserved
	pending *pending
	count   int64 // records since the start
}

// Open opens a folder's log, or begins one. A line that a crash has torn is cut off, and
// what was pending gets its record.
func Open(cfg Config) (*Log, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.sizeMax == 0 {
		cfg.sizeMax = sizeMax
	}
	l := &Log{cfg: cfg}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open the audit log in %s: %w", cfg.Dir, errors.Join(noRoom(err), l.shut()))
	}
	return l, nil
}

func (l *Log) open() (err error) {
	if err := conn.MakeDir(l.cfg.Dir); err != nil {
		return err
	}
	if err := l.openFile(); err != nil {
		return err
	}
	if l.pending, err = openPending(l.cfg.Dir); err != nil {
		return err
	}
	return l.recover()
}

// recover gives what a crash left pending its records.
func (l *Log) recover() error {
	if len(l.pending.owed) == 0 {
		return l.pending.clear()
	}
	known, err := l.ids()
	if err != nil {
		return err
	}
	for _, r := range l.pending.owed {
		if known[r.ID] {
			continue // the crash came between the record and the end of pending
		}
		r.Outcome = Unknown
		l.cfg.Log.Warn("a change was interrupted; whether it was made is unknown", "action", r.Action, "object", r.Object)
		if err := l.append(r); err != nil {
			return err
		}
	}
	l.pending.owed = nil
	return l.pending.clear()
}

// ids are those of the records in the newest two files.
func (l *Log) ids() (map[string]bool, error) {
	known := make(map[string]bool)
	files, err := l.files()
	if err != nil {
		return nil, err
	}
	defer files.close()
	if len(files) > 2 {
		files[:len(files)-2].close()
		files = files[len(files)-2:]
	}
	return known, files.lines(func(li *Line) error {
		known[li.ID] = true
		return nil
	})
}

// An Entry is a change on its way. Its fields may be set until it is finished.
type Entry struct {
	Record
	log  *Log
	over bool
}

// Begin writes down what is about to be done. Without an error there will be exactly one
// record of it, and Finish must be called. With one, it must not be done: it is
// store.ErrFull where there is no room, also for the record.
func (l *Log) Begin(r Record) (*Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.ID, r.At, r.Outcome = strings.ToLower(rand.Text()), l.cfg.Now().UTC().Truncate(time.Millisecond), Unknown
	if err := l.begin(r); err != nil {
		return nil, fmt.Errorf("no record of this can be kept, so it is not done: %w", noRoom(err))
	}
	return &Entry{Record: r, log: l}, nil
}

func (l *Log) begin(r Record) error {
	if l.closed {
		return store.ErrUnavailable
	}
	if err := l.settle(); err != nil {
		return err
	}
	if l.newest.IsZero() {
		l.month = monthOf(r.At)
	}
	if len(l.pending.open) == 0 && (l.month != monthOf(r.At) || l.size >= l.cfg.sizeMax) {
		if err := l.rotate(); err != nil {
			return err
		}
		l.month = monthOf(r.At)
	}
	if err := l.reserve(int64(len(l.pending.open)+1) * lineMax); err != nil {
		return err
	}
	return l.pending.add(r)
}

// Finish appends the record of what Begin began. With an error, the change was made, but
// its record is not yet on disk; it comes there as soon as there is room.
func (e *Entry) Finish(outcome string) error {
	l := e.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.over {
		return nil
	}
	e.over, e.Outcome = true, outcome
	delete(l.pending.open, e.ID)
	l.pending.owed = append(l.pending.owed, e.Record)
	if err := l.settle(); err != nil {
		return fmt.Errorf("this was %s, but its record in the audit log is not safe yet: %w", outcome, noRoom(err))
	}
	return nil
}

// settle appends the records that could not be appended when they were due.
func (l *Log) settle() error {
	if l.file == nil {
		if err := l.openFile(); err != nil {
			return err
		}
	}
	for len(l.pending.owed) > 0 {
		if err := l.append(l.pending.owed[0]); err != nil {
			return err
		}
		l.pending.owed = l.pending.owed[1:]
	}
	if len(l.pending.open) == 0 {
		return l.pending.clear()
	}
	return nil
}

// append writes one record and returns when it is on stable storage.
func (l *Log) append(r Record) error {
	if l.dirty {
		if err := l.file.Truncate(l.size); err != nil {
			return err
		}
		l.dirty = false
	}
	r.N = l.n + 1
	text := appendRecord(nil, &r)
	hash := l.hash.Follow(text)
	line := appendLine(nil, hash, text)
	l.dirty = true // until it is known to be all there
	if _, err := l.file.WriteAt(line, l.size); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.dirty = false
	l.n, l.hash, l.newest = r.N, hash, r.At
	l.size += int64(len(line))
	l.count++
	return nil
}

// reserve has the file system keep room for so many more bytes, where it can.
func (l *Log) reserve(more int64) error {
	const step, keepSize = 256 << 10, 1
	if l.size+more <= l.room {
		return nil
	}
	want := l.size + more + step
	for {
		err := syscall.Fallocate(int(l.file.Fd()), keepSize, 0, want)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
		case err != nil:
			return err
		}
		l.room = want
		return nil
	}
}

// Head is how far the log goes: the number and the hash of its last record.
func (l *Log) Head() (n int64, h Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n, l.hash
}

// Count is the number of records since Open.
func (l *Log) Count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// Record keeps what the server did itself, at once.
func (l *Log) Record(action, object string, detail map[string]string) error {
	e, err := l.Begin(Record{Actor: Actor{Server, ""}, Action: action, Object: object, Address: "local", Detail: detail})
	if err != nil {
		return err
	}
	return e.Finish(Done)
}

// Close closes the log. It may be called twice.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return errors.Join(l.settle(), l.shut())
}

func (l *Log) shut() (err error) {
	if l.file != nil {
		err = l.file.Close()
		l.file = nil
	}
	if l.pending != nil {
		err = errors.Join(err, l.pending.file.Close())
	}
	return err
}

func monthOf(t time.Time) string { return t.UTC().Format("2006-01") }

// noRoom makes store.ErrFull of what a full disk says.
func noRoom(err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS} {
		if errors.Is(err, full) {
			return fmt.Errorf("%w: %w", store.ErrFull, err)
		}
	}
	return err
}

// Forget closes a log whose folder is to be deleted, records and all.
func (l *Log) Forget() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return l.shut()
}

type entryKey struct{}

// With makes e known to whoever carries out what it is about.
func With(ctx context.Context, e *Entry) context.Context {
	return context.WithValue(ctx, entryKey{}, e)
}

// About says what the change in ctx is about: a reference, never a name. Where nothing
// is recorded it does nothing.
func About(ctx context.Context, object string) {
	if e, ok := ctx.Value(entryKey{}).(*Entry); ok {
		e.Object = object
	}
}

// Tell adds a detail to the record of the change in ctx.
func Tell(ctx context.Context, name, value string) {
	if e, ok := ctx.Value(entryKey{}).(*Entry); ok {
		if e.Detail == nil {
			e.Detail = make(map[string]string)
		}
		e.Detail[name] = value
	}
}

type actorKey struct{}

// A Caller is who speaks, and from where.
type Caller struct {
	Actor
	Address string
}

// Called makes known who speaks.
func Called(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, actorKey{}, c)
}

// CallerOf is who speaks, if that is known.
func CallerOf(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(actorKey{}).(Caller)
	return c, ok
}

// Exists says whether a folder holds an audit log.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, fileName))
	return !errors.Is(err, fs.ErrNotExist)
}
