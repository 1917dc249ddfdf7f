package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The root key is replaced, with or without a server; then the old one is good for
// nothing.
func TestRootKeyIsReplacedByCommand(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, dir, config string, list func() []string) {
		must(t, "", "quickstart", "-dir", dir, "shop.example")
		must(t, "correct horse 42\n", "agent", "add", "-password-stdin", "-config", config, "anna@desk.example")
		next := filepath.Join(dir, "next.key")
		if _, prose, err := typed(t, "", "key", "rotate", "root", "-config", config); exitCode(err) != 2 || !strings.Contains(prose, "-to FILE") {
			t.Errorf("rotate without a key: %v, %s", err, prose)
		}
		refused(t, "that is the root key already", "", "key", "rotate", "root", "-to", filepath.Join(dir, "root.key"), "-config", config)
		_, prose, err := typed(t, "", "key", "rotate", "root", "-to", next, "-config", config)
		if err != nil || !strings.Contains(prose, "now let root_key be { file = ") {
			t.Fatalf("rotate: %v, %s", err, prose)
		}
		refused(t, "being replaced by another one", "", "key", "rotate", "root", "-to", filepath.Join(dir, "third.key"), "-config", config)
		if out := must(t, "", "key", "status", "-config", config); !strings.Contains(out, "root_key names the old one") || !strings.Contains(out, "account desk  version 1 of ") {
			t.Errorf("status: %s", out)
		}
		must(t, "", "agent", "show", "-config", config, "anna@desk.example") // the old one is good still
		if list != nil {
			return // the server would have to be started again
		}
		set := "root_key={ file = '" + next + "' }"
		must(t, "", "agent", "show", "-config", config, "-set", set, "anna@desk.example")
		must(t, "", "agent", "show", "-config", config, "anna@desk.example")
		must(t, "", "key", "rotate", "root", "-to", next, "-config", config, "-set", set)
		if out := must(t, "", "key", "status", "-config", config, "-set", set); !strings.Contains(out, "in use, the only one") {
			t.Errorf("status at the end: %s", out)
		}
		refused(t, "the root key does not open", "", "agent", "show", "-config", config, "anna@desk.example")
		must(t, "", "agent", "show", "-config", config, "-set", set, "anna@desk.example")
	})
}

// The server ends by itself what a command has begun, when it is started with the new
// root key, and says at each start that no copy was confirmed, until one is.
func TestServerEndsTheChangeOfRootKeys(t *testing.T) {
	t.Parallel()
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "desk.example")
	d := startDaemon(t, dir)
	const nag = "nobody has confirmed that there is a copy of the root key"
	d.says(nag)
	next := filepath.Join(dir, "next.key")
	must(t, "", "key", "rotate", "root", "-to", next, "-config", config)
	d.end(syscall.SIGKILL)

	copied := filepath.Join(dir, "copy")
	text, err := os.ReadFile(next)
	if err == nil {
		err = os.WriteFile(copied, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	digits := strings.TrimSpace(must(t, "", "key", "fingerprint", copied))
	refused(t, "that is a copy of another key", "00000000\n", "key", "confirm-copy", "-stdin", "-config", config)
	refused(t, "not eight hexadecimal digits", "yes\n", "key", "confirm-copy", "-stdin", "-config", config)
	refused(t, "that is the root key itself", "", "key", "confirm-copy", "-config", config, filepath.Join(dir, "root.key"))
	must(t, digits+"\n", "key", "confirm-copy", "-stdin", "-config", config)
	must(t, "", "key", "confirm-copy", "-config", config, copied)

	old, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(config, append(fmt.Appendf(nil, "root_key = { file = %q }\n", next), withoutRoot(old)...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	before := len(d.log())
	d.start()
	eventually(t, "the change ends", func() bool { return strings.Contains(d.log()[before:], "the old one opens nothing any more") })
	if strings.Contains(d.log()[before:], nag) {
		t.Error("it nags although a copy was confirmed")
	}
	if _, err := os.Stat(filepath.Join(dir, "keys/root.json")); !os.IsNotExist(err) {
		t.Errorf("what tells of the change: %v", err)
	}
}

func withoutRoot(config []byte) []byte {
	var b strings.Builder
	for line := range strings.Lines(string(config)) {
		if !strings.HasPrefix(line, "root_key") {
			b.WriteString(line)
		}
	}
	return []byte(b.String())
}

func TestAccountKeyIsReplacedByCommand(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, _, config string, _ func() []string) {
		must(t, "correct horse 42\n", "agent", "add", "-password-stdin", "-config", config, "anna@desk.example")
		must(t, "", "key", "rotate", "account", "-config", config, "desk")
		if out := must(t, "", "key", "status", "-config", config); !strings.Contains(out, "account desk  version 2 of ") {
			t.Errorf("status: %s", out)
		}
		refused(t, `there is no account "nobody"`, "", "key", "rotate", "account", "-config", config, "nobody")
		must(t, "", "agent", "show", "-config", config, "anna@desk.example")
	})
}
