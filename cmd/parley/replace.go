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
	return replaceWith(path, text, mode)
}

// writeSecret writes a file that is nobody else's into a folder that is nobody else's.
func writeSecret(dir, name string, text []byte) error {
	if err := conn.MakeDir(dir); err != nil {
		return err
	}
	return replaceWith(filepath.Join(dir, filepath.Base(name)), text, 0o600)
}

func replaceWith(path string, text []byte, mode os.FileMode) error {
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
