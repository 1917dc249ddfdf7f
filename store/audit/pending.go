package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"

	"parley.im/parley/store/sqlite/conn"
)

// pending is what has begun and has no record yet: a file of records without numbers,
// which is emptied whenever nothing is on its way.
type pending struct {
	file  *os.File
	size  int64
	dirty bool
	open  map[string]bool // ids of what is on its way
	owed  []Record        // what is over and has no record yet
}

const pendingName = "audit.pending"

// openPending reads what a crash left, as owed. A torn line is of what was never done.
func openPending(dir string) (*pending, error) {
	path := filepath.Join(dir, pendingName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	p := &pending{file: f, open: make(map[string]bool)}
	text, err := os.ReadFile(path)
	if err == nil {
		err = conn.SyncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	for line := range bytes.Lines(text) {
		line, whole := bytes.CutSuffix(line, []byte("\n"))
		if r, err := parseRecord(line); whole && err == nil && r.ID != "" {
			p.owed = append(p.owed, r)
		}
	}
	p.size = int64(len(text))
	return p, nil
}

// add returns when the record is on stable storage.
func (p *pending) add(r Record) error {
	if p.dirty {
		if err := p.file.Truncate(p.size); err != nil {
			return err
		}
	}
	line := append(appendRecord(nil, &r), '\n')
	p.dirty = true
	if _, err := p.file.WriteAt(line, p.size); err != nil {
		return errors.Join(err, p.file.Truncate(p.size))
	}
	if err := p.file.Sync(); err != nil {
		return errors.Join(err, p.file.Truncate(p.size))
	}
	p.dirty = false
	p.size += int64(len(line))
	p.open[r.ID] = true
	return nil
}

// clear empties the file. It need not be durable: the ids tell what has its record.
func (p *pending) clear() error {
	if p.size == 0 && !p.dirty {
		return nil
	}
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	p.size, p.dirty = 0, false
	return nil
}
