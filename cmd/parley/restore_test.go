package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/store/keys"
)

// withCopies makes an installation with places for copies, and Anna.
func withCopies(t *testing.T) (dir, config, identity string) {
	t.Helper()
	dir = t.TempDir()
	identity, options := safes(t, dir, "1h")
	args := []string{"quickstart", "-dir", dir, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "-set", "auth.iterations=10000"}
	for _, option := range options {
		args = append(args, "-set", option)
	}
	must(t, "", append(args, "desk.example")...)
	config = filepath.Join(dir, "parley.toml")
	must(t, "correct horse 42\n", "agent", "add", "-config", config, "-password-stdin", "anna@desk.example")
	return dir, config, identity
}

// filesBelow are the files of a folder and those below it.
func filesBelow(t *testing.T, dir string) (list []string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			list = append(list, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

// signed has the head of the account's audit log signed.
func signed(t *testing.T, config string) {
	t.Helper()
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	i, err := openInstallation(t.Context(), f, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	a, err := i.account(t.Context(), "desk")
	if err == nil {
		err = a.signHead(t.Context())
	}
	if err := errors.Join(err, i.Close()); err != nil {
		t.Fatal(err)
	}
}

// HAP-2: what is restored is whole by everything that can be asked: records, keys, audit
// logs with their signed heads. Holds are there still. What is only this machine's is not:
// the sign of a server that runs, certificates, copies from before migrations.
func TestRestoredIsWhole(t *testing.T) {
	t.Parallel()
	dir, config, identity := withCopies(t)
	signed(t, config)
	d := startDaemon(t, dir)
	anna := d.login("anna", "correct horse 42", "laptop").in(t)
	anna.send("<message to='anna@desk.example' type='chat' id='m1'><body>a note</body></message>")
	var note string
	eventually(t, "her note is kept", func() bool {
		for _, l := range strings.Split(must(t, "", "conversation", "list", "-config", config), "\n") {
			if strings.Contains(l, "anna") {
				note = strings.Fields(l)[0]
			}
		}
		return note != ""
	})
	must(t, "", "conversation", "hold", "-config", config, note)
	for _, name := range []string{"keys/acme/key.pem", "data/accounts/desk/data.db.before-0001"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "", "backup", "-config", config)
	installation := must(t, "", "audit", "export", "-config", config, "-installation")
	must(t, "", "backup", "-config", config) // which has the record of the first one
	if _, prose, err := typed(t, "", "verify", "-backup", "-config", config, "-identity", identity); err != nil {
		t.Errorf("verify -backup: %s", prose)
	}
	before := must(t, "", "audit", "export", "-config", config)
	d.end(syscall.SIGKILL)

	back := restored(t, dir, identity)
	again := filepath.Join(back, "parley.toml")
	for _, name := range filesBelow(t, back) {
		for _, bad := range []string{"running", "acme", "before-", "lock", ".pieces", ".new"} {
			if strings.Contains(name, bad) {
				t.Errorf("%s was restored", name)
			}
		}
	}
	if out := must(t, "", "verify", "-config", again); !strings.Contains(out, "desk: all is as it was written") {
		t.Errorf("verify says %s", out)
	}
	if _, prose, err := typed(t, "", "audit", "verify", "-config", again); err != nil || !strings.Contains(prose, "1 signed heads agree") {
		t.Errorf("audit verify: %s", prose)
	}
	if out := must(t, "", "audit", "export", "-config", again); !strings.HasPrefix(out, before) || before == "" {
		t.Errorf("the audit log is\n%s, want\n%s", out, before)
	}
	if out := must(t, "", "audit", "export", "-config", again, "-installation"); !strings.HasPrefix(out, installation) || installation == "" {
		t.Errorf("the installation's audit log is\n%s, want\n%s", out, installation)
	}
	if out, was := must(t, "", "conversation", "list", "-config", again), must(t, "", "conversation", "list", "-config", config); out != was || !strings.Contains(out, "held") {
		t.Errorf("the conversations are\n%s, want\n%s", out, was)
	}
	d = startDaemon(t, back)
	if got := d.login("anna", "correct horse 42", "desk").in(t).archive(); len(got) != 1 {
		t.Errorf("Anna's archive has %d messages", len(got))
	}
	if out := must(t, "", "verify", "-config", again); !strings.Contains(out, "desk: all is as it was written") {
		t.Errorf("while it serves, verify says %s", out)
	}
	d.end(syscall.SIGTERM)
}

// VIV-11: a copy that was made while the root key is replaced is good with either one.
func TestRestoreAmidAChangeOfRootKeys(t *testing.T) {
	t.Parallel()
	dir, config, identity := withCopies(t)
	next := filepath.Join(dir, "next.key")
	must(t, "", "key", "rotate", "root", "-to", next, "-config", config)
	if _, err := os.Stat(filepath.Join(dir, "keys", keys.ChangeFile)); err != nil {
		t.Fatal(err)
	}
	must(t, "", "backup", "-config", config)
	must(t, "", "verify", "-backup", "-config", config, "-identity", identity)
	set := []string{"-set", "root_key={ file = '" + next + "' }"}
	for name, with := range map[string][]string{"old": nil, "new": set} {
		again := filepath.Join(restored(t, dir, identity), "parley.toml")
		if out := must(t, "", append([]string{"verify", "-config", again}, with...)...); !strings.Contains(out, "desk: all is as it was written") {
			t.Errorf("with the %s root key, verify says %s", name, out)
		}
		must(t, "", append([]string{"agent", "show", "-config", again, "anna@desk.example"}, with...)...)
	}
}

// HAP-2: a restore that is killed leaves nothing that could be taken for an installation,
// and the next one says what to do with it.
func TestRestoreKilled(t *testing.T) {
	t.Parallel()
	dir, config, identity := withCopies(t)
	must(t, "", "backup", "-config", config)
	var piece string
	for _, name := range filesBelow(t, filepath.Join(dir, "copies/data/data/desk")) {
		piece = filepath.Join(dir, "copies/data/data/desk", name)
	}
	aside := filepath.Join(t.TempDir(), "piece")
	if err := errors.Join(os.Rename(piece, aside), syscall.Mkfifo(piece, 0o600)); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	args := []string{"restore", "-identity", identity, "-from", filepath.Join(dir, "copies/data"),
		"-keys-from", filepath.Join(dir, "copies/keys"), "-dir", filepath.Join(to, "back")}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), beParley+"=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It gets to the data, which does not come, when the keys are there.
	w, err := os.OpenFile(piece, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := errors.Join(cmd.Process.Kill(), os.Remove(piece), os.Rename(aside, piece)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("it was not killed")
	}
	entries, err := os.ReadDir(to)
	if err != nil || len(entries) != 1 || !strings.HasPrefix(entries[0].Name(), ".back-restoring-") {
		t.Fatalf("it has left %v, %v", entries, err)
	}
	half := filepath.Join(to, entries[0].Name())
	list := strings.Join(filesBelow(t, half), " ")
	if !strings.Contains(list, "keys/desk.db") || strings.Contains(list, "parley.toml") {
		t.Errorf("what it has left holds %s", list)
	}
	_, prose, err := typed(t, "", args...)
	if err != nil || !strings.Contains(prose, half+" is what a restore that was cut short has left: delete it") {
		t.Errorf("the next one says %s, %v", prose, err)
	}
	refused(t, "is not empty", "", args...)
}

// What is asked of 'parley verify' must fit together.
func TestVerifyBackupUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"-identity is missing":              {"-backup"},
		"-identity needs -backup":           {"-identity", "x"},
		"-at needs -backup":                 {"-at", time.DateTime},
		"-accept does not go with -backup":  {"-backup", "-accept", "-identity", "x"},
		"-account does not go with -backup": {"-backup", "-account", "desk", "-identity", "x"},
	} {
		_, prose, err := typed(t, "", append([]string{"verify"}, args...)...)
		if err == nil || !strings.Contains(prose, want) {
			t.Errorf("%v: %s, want %q", args, prose, want)
		}
	}
}

// Who can write to the places of copies can seal to their public key, too; by the root key is
// told who made a copy, or that this was not looked at.
func TestRestoreTellsWhoMadeCopies(t *testing.T) {
	t.Parallel()
	dir, config, identity := withCopies(t)
	must(t, "", "backup", "-config", config)
	other := filepath.Join(dir, "other.key")
	if _, err := keys.CreateRoot(other); err != nil {
		t.Fatal(err)
	}
	restore := func(name string, more ...string) (string, error) {
		args := []string{"restore", "-identity", identity, "-from", filepath.Join(dir, "copies/data"),
			"-keys-from", filepath.Join(dir, "copies/keys"), "-dir", filepath.Join(dir, name)}
		_, prose, err := typed(t, "", append(args, more...)...)
		return prose, err
	}
	const unknown = "it was not looked at who made these copies"
	if prose, err := restore("one"); err != nil || !strings.Contains(prose, unknown) {
		t.Errorf("without the root key: %v, %s", err, prose)
	}
	if prose, err := restore("two", "-root-key", filepath.Join(dir, "root.key")); err != nil || strings.Contains(prose, unknown) {
		t.Errorf("with the root key: %v, %s", err, prose)
	}
	if prose, err := restore("three", "-root-key", other); err == nil ||
		!strings.Contains(prose, "bears no signature of this root key") || !strings.Contains(prose, "-unsigned takes it") {
		t.Errorf("with another root key: %v, %s", err, prose)
	}
	if prose, err := restore("three", "-root-key", other, "-unsigned"); err != nil {
		t.Errorf("with another root key, and -unsigned: %s", prose)
	}
	must(t, "", "verify", "-backup", "-config", config, "-identity", identity)
	_, prose, err := typed(t, "", "verify", "-backup", "-config", config, "-identity", identity, "-set", "root_key={ file = '"+other+"' }")
	if err == nil || !strings.Contains(prose, "bears no signature of this root key") || !strings.Contains(prose, "-unsigned takes it") {
		t.Errorf("verify with another root key: %v, %s", err, prose)
	}
}
