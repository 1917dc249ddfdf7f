package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"parley.im/parley/store/sqlite/conn"
)

const (
	lockPatience = 5 * time.Second // long enough for most commands to end
	lockPause    = 50 * time.Millisecond
)

// A lockedError says that another process works on the data folder.
type lockedError struct {
	dir string
	pid int // 0 if unknown
}

func (e *lockedError) Error() string {
	if e.pid == 0 {
		return fmt.Sprintf("%s is in use by another process", e.dir)
	}
	return fmt.Sprintf("%s is in use by process %d", e.dir, e.pid)
}

// lockData takes the data folder for this process, or answers a lockedError at
// once. What it makes there belongs to whoever owns the folder, so another user is
// refused.
func lockData(dir string) (release func(), err error) {
	if err := conn.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	if err := own(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &lockedError{dir, holder(path)}
		}
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := sign(f); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil // which gives the lock back
}

// own checks whose folder it is.
func own(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if uid := owner(info); uid != os.Geteuid() {
		return withHint(fmt.Errorf("%s belongs to user %d", dir, uid),
			"run this as that user: what another one makes there could not be read by the server")
	}
	return nil
}

// sign writes down who holds the lock.
func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func holder(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return 0
	}
	return pid
}

// waitForData is lockData for who can wait a few seconds: between two tries it
// calls meanwhile, if that is not nil, and ends when that says so.
func waitForData(ctx context.Context, dir string, meanwhile func() (done bool)) (release func(), err error) {
	deadline := time.Now().Add(lockPatience)
	for {
		release, err := lockData(dir)
		locked, ok := errors.AsType[*lockedError](err)
		if !ok {
			return release, err
		}
		if meanwhile != nil && meanwhile() {
			return nil, nil
		}
		if time.Now().After(deadline) {
			return nil, withHint(locked, "stop it, or wait until it has ended")
		}
		t := time.NewTimer(lockPause)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		case <-t.C:
		}
	}
}
