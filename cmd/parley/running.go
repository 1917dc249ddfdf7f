package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A lifeSign is a file in the data folder that an orderly end removes. Who finds it at the
// start knows that the last server was killed, or broke.
type lifeSign struct {
	path  string
	Told  time.Time `json:"told,omitzero"` // when operators had a mail of it
	Count int       `json:"count"`         // ends that they had no mail of
}

// appear makes the sign. It says how often a server has ended without being told to since
// operators had a mail of that, 0 if they need none: one that breaks again and again is not
// to send as many mails.
func (s *server) appear(dir string, every time.Duration) (ends int, err error) {
	l := &lifeSign{path: filepath.Join(dir, "running")}
	text, err := os.ReadFile(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return 0, err
	default:
		_ = json.Unmarshal(text, l) // what a crash has torn tells of a crash all the same
		l.Count++
	}
	if now := s.inst.now(); l.Count > 0 && now.Sub(l.Told).Abs() >= every {
		ends, l.Count, l.Told = l.Count, 0, now
	}
	s.sign = l
	text, err = json.Marshal(l)
	if err != nil {
		return ends, err
	}
	return ends, os.WriteFile(l.path, text, 0o600)
}

// disappear is for an orderly end.
func (s *server) disappear() {
	if s.sign == nil {
		return
	}
	if err := os.Remove(s.sign.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("the next start will take this end for a crash", "err", err)
	}
}
