package main

import (
	"errors"
	"os"
	"path/filepath"

	"parley.im/parley/store/sqlite/conn"
)

// replaceFile puts text in the place of a file's: afterwards the file is the old
// one or the new one, also after a power cut.
func replaceFile(path string, text []byte) error {
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	w, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(w.Name()) // fails once it was renamed
	_, err = w.Write(text)
	if err := errors.Join(err, w.Chmod(mode), w.Sync(), w.Close()); err != nil {
		return err
	}
	if err := os.Rename(w.Name(), path); err != nil {
		return err
	}
	return conn.SyncDir(filepath.Dir(path))
}
