package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"parley.im/parley/conf"
)

// owner is whose a file is, by number; that of this process where the system does not say.
func owner(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return os.Geteuid()
}

// checkOwners looks whether the root key, and all that lies in the folders of data and keys,
// belongs to whoever owns the folder of data, and may be read and changed by that user: what a
// command of root has made, or brought back, could not be opened when it is needed.
func checkOwners(f *conf.File) (faults []error) {
	info, err := os.Stat(f.Data)
	if err != nil {
		return nil // there is nothing yet
	}
	want := owner(info)
	look := func(key, path string, info fs.FileInfo, mode fs.FileMode) bool {
		deep := ""
		if info.IsDir() {
			deep, mode = "-R ", 0o700
		}
		switch {
		case owner(info) != want:
			faults = append(faults, f.Fault(key, fmt.Sprintf("chown %s%d %s", deep, want, path),
				"%s belongs to user %d, and the folder of data to user %d", path, owner(info), want))
		case info.Mode().Perm()&mode != mode && want != 0: // nothing is closed to root
			faults = append(faults, f.Fault(key, fmt.Sprintf("chmod u+%s %s", permissions(mode), path),
				"its owner may not use %s: its mode is %04o", path, info.Mode().Perm()))
		default:
			return true
		}
		return false
	}
	if path := f.RootKey.File(); unix.Access(path, unix.R_OK) == nil { // or else who reads it says so
		if info, err := os.Stat(path); err == nil {
			look("root_key", path, info, 0o400)
		}
	}
	for _, d := range []struct{ key, path string }{{"data", f.Data}, {"keys", f.Keys}} {
		folder, err := filepath.EvalSymlinks(d.path) // it may be a link to another disk
		if err != nil {
			continue // who makes it, or looks into it, says so
		}
		_ = filepath.WalkDir(folder, func(path string, e fs.DirEntry, _ error) error { // which ends with no error
			if e != nil && e.Name() == "lost+found" {
				return fs.SkipDir // where a file system begins here
			}
			info, err := os.Stat(path)
			if err == nil && !look(d.key, path, info, 0o600) && info.IsDir() {
				return fs.SkipDir
			}
			return nil // what is not there any more is no fault
		})
	}
	return faults
}

// permissions are letters for chmod.
func permissions(mode fs.FileMode) (letters string) {
	for i, letter := range []string{"r", "w", "x"} {
		if mode&(0o400>>i) != 0 {
			letters += letter
		}
	}
	return letters
}

// lockedOut is what to do about a file that this process may not use, "" if err tells of
// something else: whose it is, or which folder on the way.
func lockedOut(err error) (hint string) {
	e, ok := errors.AsType[*fs.PathError](err)
	if !ok || !errors.Is(e, fs.ErrPermission) {
		return ""
	}
	path := e.Path
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if unix.Access(dir, unix.X_OK) != nil {
			path = dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if mine := os.Geteuid(); owner(info) != mine {
		return fmt.Sprintf("%s belongs to user %d, and this is done as user %d: chown %d %s", path, owner(info), mine, mine, path)
	}
	return fmt.Sprintf("chmod u+rwX %s: its mode is %04o", path, info.Mode().Perm())
}

// unusable is the fault of an option that names a file which cannot be used.
func unusable(f *conf.File, key, hint string, err error) *conf.Fault {
	if why := lockedOut(err); why != "" {
		hint = why
	}
	return f.Fault(key, hint, "%v", plainPath(err))
}
