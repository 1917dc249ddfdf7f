package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What a command of root made, or brought back, is found before it is needed: which file it is,
// whose, and what to do about it.
func TestFilesOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const mine, other = 12345, 54321
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "desk.example")
	must(t, "correct horse 42\n", "agent", "add", "-config", config, "-password-stdin", "anna@desk.example")
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(filepath.Join(dir, "keys"), filepath.Join(dir, "disk")), os.Symlink("disk", filepath.Join(dir, "keys"))); err != nil {
		t.Fatal(err)
	}
	binary := copiedParley(t, dir)
	give := func(name string, uid int) {
		t.Helper()
		if err := os.Lchown(filepath.Join(dir, name), uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, mine, mine))
	})
	if err != nil {
		t.Fatal(err)
	}
	does := func(command string) (said string, err error) {
		ctx, cancel := context.WithTimeout(t.Context(), processPatience)
		defer cancel()
		cmd := exec.CommandContext(ctx, binary, command, "-config", config)
		cmd.Env, cmd.Dir = append(os.Environ(), beParley+"=1"), dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: mine, Gid: mine}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if said, err := does("check"); err != nil {
		t.Fatalf("check, where all belongs to one user: %v\n%s", err, said)
	}
	for _, c := range []struct{ file, says, hint string }{
		{"root.key", "root_key: ", "chown 12345 "},
		{"disk", "keys", "chown -R 12345 "},
		{"disk/desk.db", "keys: ", "chown 12345 "},
		{"disk/desk.key", "keys: ", "chown 12345 "},
		{"data/lock", "lock", "chown 12345 "},
		{"data/accounts/desk", "data: ", "chown -R 12345 "},
		{"data/accounts/desk/data.db", "data: ", "chown 12345 "},
		{"data/accounts/desk/audit.log", "data: ", "chown 12345 "},
		{"parley.toml", "permission denied", "chown 12345 "},
		{"accounts.d", "permission denied", "chown 12345 "},
		{"accounts.d/desk.toml", "permission denied", "chown 12345 "},
		{"tls/key.pem", "certificate.key: permission denied", "chown 12345 "},
		{"tls/cert.pem", "certificate.cert: permission denied", "chown 12345 "},
	} {
		path := filepath.Join(dir, c.file)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		closed := info.Mode().Perm() &^ 0o077
		for _, change := range []struct {
			what       string
			uid        int
			mode       os.FileMode
			says, hint string
		}{
			{"another's", other, closed, path + " belongs to user 54321", c.hint + path},
			{"closed", mine, 0, "mode is 0000", "chmod u+"},
		} {
			give(c.file, change.uid)
			err := os.Chmod(path, change.mode)
			for _, command := range []string{"check", "serve"} {
				said, err := does(command)
				if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != 1 || !strings.Contains(said, c.says) ||
					!strings.Contains(said, change.says) || !strings.Contains(said, "hint: ") || !strings.Contains(said, change.hint) {
					t.Errorf("%s, %s is %s: %v, want %q and %q\n%s", command, c.file, change.what, err, change.says, change.hint, said)
				}
			}
			give(c.file, mine)
			if err := errors.Join(err, os.Chmod(path, info.Mode().Perm())); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Root is told of what the server could not open, too; root itself could.
	give("disk/desk.db", 0)
	if _, said, err := typed(t, "", "check", "-config", config); err == nil || !strings.Contains(said, "desk.db belongs to user 0, and the folder of data to user 12345") {
		t.Errorf("check by root: %v\n%s", err, said)
	}
}

// copiedParley is the binary where every user can run it.
func copiedParley(t *testing.T, dir string) string {
	t.Helper()
	binary, err := builtParley()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	path := filepath.Join(dir, "parley")
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
