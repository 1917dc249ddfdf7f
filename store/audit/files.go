package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"parley.im/parley/store/sqlite/conn"
)

const fileName = "audit.log"

var oldName = regexp.MustCompile(`^audit-(\d{12})\.log$`)

// openFile opens audit.log, or begins it, and finds where it ends.
func (l *Log) openFile() error {
	f, err := os.OpenFile(filepath.Join(l.cfg.Dir, fileName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := l.take(f); err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.room = f, 0
	return nil
}

// take reads the file's anchor and its last whole line, and cuts off what a crash has
// left of another one.
func (l *Log) take(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(f, lineMax)
	first, err := r.ReadSlice('\n')
	if errors.Is(err, io.EOF) {
		return l.start(f)
	} else if err != nil {
		return fmt.Errorf("%s: %w", fileName, errAnchor)
	}
	a, err := parseAnchor(bytes.TrimSuffix(first, []byte("\n")))
	if err != nil {
		return fmt.Errorf("%s: %w", fileName, err)
	}
	if a.Account != l.cfg.Account {
		return fmt.Errorf("%s is of account %q, not %q", fileName, a.Account, l.cfg.Account)
	}
	l.anchor, l.n, l.hash, l.newest, l.month = a, a.N, a.hash, time.Time{}, ""
	l.size = int64(len(first))
	line, end, err := lastLine(f, l.size, info.Size())
	if err != nil {
		return err
	}
	if line != nil {
		li, err := parseLine(line)
		if err != nil {
			return fmt.Errorf("the last line of %s cannot be read: %w; move the file aside to begin another one", fileName, err)
		}
		l.n, l.hash, l.newest, l.month = li.N, li.Hash, li.At, monthOf(li.At)
	}
	l.size = end
	if end < info.Size() {
		l.cfg.Log.Warn("the last line of the audit log was torn by a crash and is cut off", "bytes", info.Size()-end)
		if err := f.Truncate(end); err != nil {
			return err
		}
		return f.Sync()
	}
	return nil
}

// start begins a file with an anchor: the end of the one before, if there is one.
func (l *Log) start(f *os.File) error {
	a := anchor{Account: l.cfg.Account}
	old, err := l.old()
	if err != nil {
		return err
	}
	if len(old) > 0 {
		li, err := endOf(filepath.Join(l.cfg.Dir, old[len(old)-1]))
		if err != nil {
			return err
		}
		a.N, a.hash = li.N, li.Hash
	}
	line := a.line()
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt(line, 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	l.anchor, l.n, l.hash, l.newest, l.month, l.size = a, a.N, a.hash, time.Time{}, "", int64(len(line))
	return conn.SyncDir(l.cfg.Dir)
}

// endOf is the last record of a file that is written no more.
func endOf(path string) (li Line, err error) {
	f, err := os.Open(path)
	if err != nil {
		return li, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return li, err
	}
	line, _, err := lastLine(f, 0, info.Size())
	if err != nil {
		return li, err
	}
	li, err = parseLine(line)
	if err != nil {
		err = fmt.Errorf("the last line of %s: %w", path, err)
	}
	return li, err
}

// lastLine is the last whole line that begins at from or later, and where it ends. It is
// nil if there is none.
func lastLine(f io.ReaderAt, from, size int64) (line []byte, end int64, err error) {
	start := max(from, size-2*lineMax)
	tail := make([]byte, size-start)
	if _, err := f.ReadAt(tail, start); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	stop := bytes.LastIndexByte(tail, '\n')
	if stop < 0 {
		return nil, from, nil
	}
	line = tail[:stop]
	if i := bytes.LastIndexByte(line, '\n'); i >= 0 {
		line = line[i+1:]
	}
	return line, start + int64(stop) + 1, nil
}

// rotate puts audit.log aside, if it holds anything, and begins the next.
func (l *Log) rotate() error {
	if l.n == l.anchor.N {
		return nil
	}
	path := filepath.Join(l.cfg.Dir, fileName)
	aside := filepath.Join(l.cfg.Dir, fmt.Sprintf("audit-%012d.log", l.anchor.N+1))
	if err := os.Rename(path, aside); err != nil {
		return err
	}
	err := l.file.Truncate(l.size) // which gives back what was reserved
	err = errors.Join(err, l.file.Close())
	l.file = nil
	if err = errors.Join(err, conn.SyncDir(l.cfg.Dir)); err != nil {
		return err
	}
	return l.openFile()
}

// Expire removes the files whose records are all older than Keep, and keeps a record
// of that. It is called once a day.
func (l *Log) Expire() error {
	limit := l.cfg.Now().Add(-Keep)
	last, err := l.expire(limit)
	if err != nil {
		return fmt.Errorf("remove old audit records: %w", noRoom(err))
	}
	if last > 0 {
		return l.Record("audit.expire", fmt.Sprintf("records/-%d", last), nil)
	}
	return nil
}

// expire says which was the last record that it removed; 0 if none.
func (l *Log) expire(limit time.Time) (last int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.settle(); err != nil {
		return 0, err
	}
	if len(l.pending.open) == 0 && !l.newest.IsZero() && l.newest.Before(limit) {
		if err := l.rotate(); err != nil {
			return 0, err
		}
	}
	old, err := l.old()
	if err != nil {
		return 0, err
	}
	for _, name := range old {
		path := filepath.Join(l.cfg.Dir, name)
		end, err := endOf(path)
		if err != nil || !end.At.Before(limit) {
			break // what follows is younger, or nothing that we understand
		}
		if err := os.Remove(path); err != nil {
			return last, err
		}
		last = end.N
	}
	return last, conn.SyncDir(l.cfg.Dir)
}

// old are the names of the files before audit.log, the oldest first.
func (l *Log) old() ([]string, error) { return oldFiles(l.cfg.Dir) }

func oldFiles(dir string) (names []string, err error) {
	all, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range all {
		if oldName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		n, _ := strconv.ParseInt(oldName.FindStringSubmatch(a)[1], 10, 64)
		m, _ := strconv.ParseInt(oldName.FindStringSubmatch(b)[1], 10, 64)
		return int(n - m)
	})
	return names, err
}
