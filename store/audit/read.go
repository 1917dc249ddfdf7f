package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// files are a log's, the oldest first, opened for reading as they are at one moment.
type files []*reading

type reading struct {
	name string
	file *os.File
	size int64
}

func (fs files) close() {
	for _, r := range fs {
		r.file.Close()
	}
}

// files opens all. The caller closes them; l.mu is held.
func (l *Log) files() (files, error) {
	names, err := l.old()
	if err != nil {
		return nil, err
	}
	var list files
	for _, name := range append(names, fileName) {
		f, err := os.Open(filepath.Join(l.cfg.Dir, name))
		if err != nil {
			list.close()
			return nil, err
		}
		info, err := f.Stat()
		if err != nil {
			f.Close()
			list.close()
			return nil, err
		}
		r := &reading{name, f, info.Size()}
		if name == fileName && l.file != nil {
			r.size = l.size
		}
		list = append(list, r)
	}
	return list, nil
}

// each yields the lines of a file without their ends, the anchor's first.
func (r *reading) each(yield func(n int, line []byte) error) error {
	lines := bufio.NewReaderSize(io.NewSectionReader(r.file, 0, r.size), 2*lineMax)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		whole := err == nil
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil
		case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
		if err := yield(n, bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return err
		}
		for !whole && errors.Is(err, bufio.ErrBufferFull) { // the rest of what is too long
			_, err = lines.ReadSlice('\n')
		}
	}
}

// lines yields the records that can be read, in order. The Line is good during the call.
func (fs files) lines(yield func(*Line) error) error {
	for _, r := range fs {
		err := r.each(func(n int, line []byte) error {
			if n == 1 {
				return nil
			}
			li, err := parseLine(line)
			if err != nil {
				return nil // Verify tells of it
			}
			return yield(&li)
		})
		if err != nil {
			return fmt.Errorf("read %s: %w", r.name, err)
		}
	}
	return nil
}

// Read yields the records that the filter wants, the oldest first. The Line is good
// during the call only.
func (l *Log) Read(f Filter, yield func(*Line) error) error {
	list, err := l.snapshot()
	if err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	defer list.close()
	return list.lines(func(li *Line) error {
		if !f.Wants(&li.Record) {
			return nil
		}
		return yield(li)
	})
}

func (l *Log) snapshot() (files, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.files()
}

// A Report is what Verify found.
type Report struct {
	Records int64    `json:"records"`
	First   int64    `json:"first"` // the oldest record's number; 0 if there is none
	Last    int64    `json:"last"`
	Hash    string   `json:"hash"`  // of the last
	Heads   int      `json:"heads"` // signed ones that agree
	Faults  []string `json:"faults,omitempty"`
}

// faultsMax is how many faults a report tells; the first one is what matters.
const faultsMax = 20

func (r *Report) fault(format string, args ...any) {
	if len(r.Faults) < faultsMax {
		r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
	}
}

// Verify goes through the chain and says where it breaks, and whether it agrees with heads
// that were signed earlier.
func (l *Log) Verify(heads []Head) (*Report, error) {
	list, err := l.snapshot()
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	defer list.close()
	v := &verifying{account: l.cfg.Account, report: &Report{}, heads: make(map[int64]Head)}
	for _, h := range heads {
		if other, ok := v.heads[h.N]; ok && other.Hash != h.Hash {
			v.report.fault("two signed heads tell different hashes of record %d", h.N)
		}
		v.heads[h.N] = h
	}
	for _, r := range list {
		v.file = r.name
		if err := r.each(v.line); err != nil {
			return nil, fmt.Errorf("read %s: %w", r.name, err)
		}
		v.begun = true
	}
	v.end(heads)
	return v.report, nil
}

// A verifying goes along the chain.
type verifying struct {
	account string
	report  *Report
	heads   map[int64]Head
	file    string
	begun   bool // this is not the oldest file
	n       int64
	hash    Hash
	from    int64 // the number of the oldest anchor
}

func (v *verifying) line(at int, line []byte) error {
	if at == 1 {
		v.anchored(line)
		return nil
	}
	li, err := parseLine(line)
	switch {
	case err != nil:
		v.report.fault("%s:%d: %v", v.file, at, err)
		return nil
	case li.N != v.n+1:
		v.report.fault("%s:%d: record %d follows record %d", v.file, at, li.N, v.n)
	case v.hash.Follow(li.Text) != li.Hash:
		v.report.fault("%s:%d: record %d, or what comes before it, was changed: its hash is not what follows from them", v.file, at, li.N)
	}
	v.n, v.hash = li.N, li.Hash
	if v.report.First == 0 {
		v.report.First = li.N
	}
	v.report.Records++
	v.check()
	return nil
}

// anchored compares a file's anchor with the end of the file before.
func (v *verifying) anchored(line []byte) {
	a, err := parseAnchor(line)
	switch {
	case err != nil:
		v.report.fault("%s:1: %v", v.file, err)
		return
	case a.Account != v.account:
		v.report.fault("%s:1: it is of account %q, not %q", v.file, a.Account, v.account)
	case v.begun && (a.N != v.n || a.hash != v.hash):
		v.report.fault("%s:1: it begins after record %d, and the file before it does not end with that", v.file, a.N)
	}
	if !v.begun {
		v.from = a.N
	}
	v.n, v.hash = a.N, a.hash
	v.check()
}

// check compares the place with what a head tells of it.
func (v *verifying) check() {
	h, ok := v.heads[v.n]
	if !ok {
		return
	}
	delete(v.heads, v.n)
	if h.Hash != v.hash.String() {
		v.report.fault("record %d is not the one that a head was signed for on %s: the log was written anew", v.n, h.At)
		return
	}
	v.report.Heads++
}

func (v *verifying) end(heads []Head) {
	v.report.Last, v.report.Hash = v.n, v.hash.String()
	for _, h := range heads {
		if h.N > v.n {
			v.report.fault("records %d to %d are missing: a head was signed for the last of them on %s", v.n+1, h.N, h.At)
			return
		}
	}
}
