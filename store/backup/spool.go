package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"parley.im/parley/store/sqlite/conn"
)

// A spool is a folder of what is on its way to the targets: sealed pieces, and what is
// needed to make the next ones.
type spool struct{ dir string }

const (
	piecesDir = "pieces"
	statesDir = "chains"
	halfDir   = "half" // what is being written
)

// openSpool makes the folders and removes what a crash left half written.
func openSpool(dir string) (*spool, error) {
	s := &spool{dir}
	if err := os.RemoveAll(s.path(halfDir)); err != nil {
		return nil, err
	}
	for _, d := range []string{piecesDir, statesDir, halfDir} {
		if err := conn.MakeDir(s.path(d)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *spool) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

func (s *spool) piece(name string) string { return s.path(piecesDir, filepath.FromSlash(name)) }

func (s *spool) create() (*os.File, error) { return os.CreateTemp(s.path(halfDir), "piece-*") }

func (s *spool) statePath(k Kind, account string) string {
	return s.path(statesDir, string(k)+"-"+account)
}

// keep takes a piece into the spool and then, which decides it, the chain that has it.
func (s *spool) keep(p *pieceFile, c *chain) error {
	path := s.piece(c.Pieces[len(c.Pieces)-1].Name)
	if err := conn.MakeDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Rename(p.file.Name(), path); err != nil {
		return err
	}
	if err := conn.SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return s.save(c)
}

// save writes a chain: a line of JSON, and the names of its chunks.
func (s *spool) save(c *chain) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	b := bytes.NewBuffer(append(text, '\n'))
	for n := range c.known {
		b.Write(n[:])
	}
	return s.write(s.statePath(c.Kind, c.Account), b.Bytes())
}

// write keeps a text, whole or not at all.
func (s *spool) write(path string, text []byte) error {
	w, err := os.CreateTemp(s.path(halfDir), "text-*")
	if err != nil {
		return err
	}
	defer os.Remove(w.Name()) // fails once it was renamed
	_, err = w.Write(text)
	if err := errors.Join(err, w.Sync(), w.Close()); err != nil {
		return err
	}
	if err := os.Rename(w.Name(), path); err != nil {
		return err
	}
	return conn.SyncDir(filepath.Dir(path))
}

// load reads a chain; nil if there is none that can be used.
func (s *spool) load(k Kind, account string) (*chain, error) {
	text, err := os.ReadFile(s.statePath(k, account))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := parseChain(text)
	if err != nil || c.Kind != k || c.Account != account {
		return nil, fmt.Errorf("%s is damaged", s.statePath(k, account))
	}
	c.asOf = c.Pieces[len(c.Pieces)-1].Time
	return c, nil
}

func parseChain(text []byte) (*chain, error) {
	line, names, ok := bytes.Cut(text, []byte("\n"))
	c := &chain{known: make(map[name]bool)}
	if err := json.Unmarshal(line, c); err != nil || !ok || len(names)%nameSize != 0 || len(c.Pieces) == 0 {
		return nil, errFrame
	}
	for ; len(names) > 0; names = names[nameSize:] {
		c.known[name(names[:nameSize])] = true
	}
	return c, nil
}

// forget removes a chain whose account is gone.
func (s *spool) forget(k Kind, account string) error {
	err := os.Remove(s.statePath(k, account))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// accounts are those of which there are chains.
func (s *spool) accounts(k Kind) ([]string, error) {
	entries, err := os.ReadDir(s.path(statesDir))
	var list []string
	for _, e := range entries {
		if account, ok := strings.CutPrefix(e.Name(), string(k)+"-"); ok {
			list = append(list, account)
		}
	}
	return list, err
}

// tidy removes the pieces that nobody needs any more.
func (s *spool) tidy(needed func(name string) bool) error {
	root := s.path(piecesDir)
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || needed(filepath.ToSlash(rel)) {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		for dir := filepath.Dir(path); dir != root; dir = filepath.Dir(dir) {
			if os.Remove(dir) != nil {
				break // it holds something
			}
		}
		return nil
	})
}
