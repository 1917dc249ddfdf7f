package audit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Files are the names of a folder's files, in the order in which they are to be copied
// while somebody writes: what is pending before what it becomes. If others are there
// afterwards, one was put aside or removed meanwhile.
func Files(dir string) (names []string, err error) {
	old, err := oldFiles(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range append(append([]string{pendingName}, old...), fileName) {
		_, err := os.Stat(filepath.Join(dir, name))
		switch {
		case err == nil:
			names = append(names, name)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return names, nil
}

// IsFile says whether a name is that of a log's file.
func IsFile(name string) bool {
	return name == fileName || name == pendingName || oldName.MatchString(name)
}
