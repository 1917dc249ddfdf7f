package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is lost, or lies open, is told in a sentence with what to do about it, and nothing is
// made anew in its place: once it is back, everything is there.
func TestOddInstallations(t *testing.T) {
	t.Parallel()
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "desk.example")
	must(t, "anna@desk.example\tcorrect horse 42\n", "agent", "import", "-config", config)
	at := func(name string) string { return filepath.Join(dir, name) }
	gone := func(name string) func(t *testing.T) (back func()) {
		return func(t *testing.T) func() {
			rename(t, at(name), at("away"))
			return func() {
				if entries, err := os.ReadDir(at(name)); err == nil && len(entries) == 0 {
					if err := os.Remove(at(name)); err != nil { // an empty folder is nothing made anew
						t.Fatal(err)
					}
				}
				if _, err := os.Stat(at(name)); err == nil {
					t.Errorf("%s was made anew", name)
				}
				rename(t, at("away"), at(name))
			}
		}
	}
	mode := func(name string, open, closed os.FileMode) func(t *testing.T) (back func()) {
		return func(t *testing.T) func() {
			chmod(t, at(name), open)
			return func() { chmod(t, at(name), closed) }
		}
	}
	for _, c := range []struct {
		name string
		do   func(*testing.T) (back func())
		want []string
	}{
		{"the keys are gone", gone("keys"), []string{"the keys of account desk are not in", "put the folder of keys back"}},
		{"the account's key is gone", gone("keys/desk.key"), []string{"the keys of account desk are not in", "put the folder of keys back"}},
		{"the root key is gone", gone("root.key"), []string{"root.key: no such file", "put the copy of root.key back"}},
		{"the root key lies open", mode("root.key", 0o644, 0o600), []string{"root.key may be read by others (mode 0644, want 0600)"}},
		{"the certificate is gone", gone("tls/cert.pem"), []string{"certificate.cert: no such file", "parley quickstart"}},
		{"the certificate's key is gone", gone("tls/key.pem"), []string{"certificate.key: no such file"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			back := c.do(t)
			for _, command := range []string{"serve", "check"} {
				_, prose, err := typed(t, "", command, "-config", config)
				if err == nil || exitCode(err) != 1 {
					t.Errorf("parley %s: %v", command, err)
				}
				for _, want := range c.want {
					if !strings.Contains(prose, want) {
						t.Errorf("parley %s says %q, want %q", command, prose, want)
					}
				}
			}
			back()
			if out := must(t, "", "agent", "list", "-config", config); !strings.Contains(out, "anna@desk.example") {
				t.Errorf("afterwards the agents are %q", out)
			}
		})
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// A second server on the same folders is refused with a sentence, and the first goes on.
func TestSecondServerIsRefused(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	anna := d.login("anna", "correct horse 42", "desk").in(t)
	_, prose, err := typed(t, "", "serve", "-config", filepath.Join(d.dir, "parley.toml"))
	if err == nil || exitCode(err) != 1 || !strings.Contains(prose, fmt.Sprintf("in use by process %d", d.cmd.Process.Pid)) {
		t.Errorf("a second server: %v: %s", err, prose)
	}
	anna.lives()
}
