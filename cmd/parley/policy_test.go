package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"parley.im/parley/xmppd/web"
)

// policyChanges are what an account was told of how its agents sign in: the options with what
// they were and are.
func policyChanges(t *testing.T, config, account string) (list []string) {
	t.Helper()
	out := must(t, "", "conversation", "list", "-json", "-account", account, "-config", config)
	const kind = "security.policy_changed"
	var conversations []web.ConversationInfo
	if err := json.Unmarshal([]byte(out), &conversations); err != nil {
		t.Fatal(err)
	}
	for _, c := range conversations {
		if c.Kind != "journal" {
			continue
		}
		for line := range strings.Lines(must(t, "", "conversation", "show", fmt.Sprint(c.ID), "-json", "-account", account, "-config", config)) {
			var e struct {
				Event string
				Data  struct{ Changes []policyChange }
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if e.Event != kind {
				continue
			}
			var changes []string
			for _, c := range e.Data.Changes {
				changes = append(changes, fmt.Sprintf("%s %s %s", c.Option, c.Before, c.After))
			}
			list = append(list, strings.Join(changes, ", "))
		}
	}
	return list
}

// How agents sign in can be changed while the server runs: it holds at once, ends no session, and
// is told once with what it was, to the accounts that it concerns; also what was changed while
// no server ran.
func TestReloadPolicy(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	config := filepath.Join(d.dir, "parley.toml")
	const account = "desk"
	d.edit("accounts.d/help.toml", "id = 'help'\ndomain = 'help.desk.example'\nsha1 = false\n")
	d.reloads()
	anna := d.login("anna", "correct horse 42", "laptop").in(t)
	auth := func(options string) {
		t.Helper()
		text, err := os.ReadFile(config)
		if err != nil || strings.Count(string(text), "[auth]\n") != 1 {
			t.Fatalf("%s, %v", text, err)
		}
		if err := replaceFile(config, []byte(strings.Replace(string(text), "[auth]\n", "[auth]\n"+options, 1))); err != nil {
			t.Fatal(err)
		}
	}
	passwd := func(password string) error {
		_, _, err := typed(t, password+"\n", "agent", "passwd", "-password-stdin", "-config", config, "ben@desk.example")
		return err
	}
	told := func(account string, want ...string) {
		t.Helper()
		same(t, "what is told to "+account, policyChanges(t, config, account), want)
	}
	told(account)

	auth("password_length = 20\nsha1 = false\n")
	if err := passwd("short horse 42"); err != nil {
		t.Errorf("before SIGHUP: %v", err)
	}
	d.reloads()
	if err := passwd("short horse 43"); err == nil || !strings.Contains(err.Error(), "at least 20 characters") {
		t.Errorf("after SIGHUP: %v", err)
	}
	anna.lives()
	const first = "auth.password_length 8 20, auth.sha1 true false"
	told(account, first)
	told("help", "auth.password_length 8 20") // it never had SHA-1
	d.reloads()
	told(account, first)

	d.end(syscall.SIGTERM)
	auth("lockout_for = '1m'\n")
	d.start()
	told(account, first, `auth.lockout_for "5m0s" "1m0s"`)
	if err := passwd("short horse 44"); err == nil {
		t.Error("after the restart a short password is good")
	}
}
