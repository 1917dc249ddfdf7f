package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Who holds the data folder is told, and when it is free again, it can be had.
func TestLockNamesItsHolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	release, err := lockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockData(dir)
	locked, ok := errors.AsType[*lockedError](err)
	if !ok || locked.pid != os.Getpid() {
		t.Errorf("second lock: %v, want it to name process %d", err, os.Getpid())
	}
	release()
	again, err := lockData(dir)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	again()
}

// Who waits gets the folder as soon as it is free.
func TestWaitForData(t *testing.T) {
	dir := t.TempDir()
	release, err := lockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	got, err := waitForData(t.Context(), dir, func() bool {
		if tries++; tries == 2 {
			release()
		}
		return false
	})
	if err != nil || got == nil {
		t.Fatalf("waited in vain: %v", err)
	}
	got()

	// Who finds another way meanwhile stops waiting.
	if release, err = lockData(dir); err != nil {
		t.Fatal(err)
	}
	defer release()
	if got, err := waitForData(t.Context(), dir, func() bool { return true }); got != nil || err != nil {
		t.Errorf("got the folder, or %v, want neither", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := waitForData(ctx, dir, func() bool { cancel(); return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A program of another user would leave files that the server cannot read.
func TestLockRefusesAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	_, err := lockData(dir)
	if err == nil || !strings.Contains(err.Error(), "belongs to user 12345") || hintOf(err) == "" {
		t.Errorf("lock in another user's folder: %v, want a refusal with a hint", err)
	}
}
