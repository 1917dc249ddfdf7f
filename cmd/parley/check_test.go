package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley.im/parley/conf"
	"parley.im/parley/store"
	"parley.im/parley/xmppd/web"
)

// check tells everything at once: configuration aside, since without it there is
// nothing to look at.
func TestCheckTellsAllFaults(t *testing.T) {
	dir, config := quickstarted(t, "desk.example")
	for _, name := range []string{"data", "keys"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"root.key": 0o644, "tls/key.pem": 0o644} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	_, prose, err := typed(t, "", "check", "-config", config)
	if err == nil || exitCode(err) != 1 {
		t.Fatalf("check: %v, want exit code 1", err)
	}
	for _, want := range []string{
		"certificate.key: everybody may read it",
		"hint: chmod 600 ",
		"data: others may look into ",
		"keys: others may look into ",
		"hint: chmod 700 ",
		"root_key: read the root key: ",
	} {
		if !strings.Contains(prose, want) {
			t.Errorf("got\n%s\nwant in it %s", prose, want)
		}
	}
}

// What is there, but something else than the configuration says.
func TestCheckTellsWhatIsSomethingElse(t *testing.T) {
	dir, config := quickstarted(t, "-set", "acme.directory=https://acme.example/", "-set", "acme.cache=file", "-set", "mail.server=localhost:25",
		"-set", "mail.from=a@desk.example", "-set", "mail.to=b@desk.example", "-set", "mail.roots=file", "-set", "data=other", "desk.example")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "file"), nil, 0o600), os.WriteFile(filepath.Join(dir, "other"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "tls/cert.pem")); err != nil {
		t.Fatal(err)
	}
	_, prose, err := typed(t, "", "check", "-config", config)
	if err == nil || exitCode(err) != 1 {
		t.Fatalf("check: %v, want exit code 1", err)
	}
	for _, want := range []string{
		"acme.cache: not a folder: ",
		"certificate.cert: no such file or directory: ",
		"hint: make a test certificate with 'parley quickstart ",
		"data: not a folder: ",
		"mail.roots: no certificate is in ",
	} {
		if !strings.Contains(prose, want) {
			t.Errorf("got\n%s\nwant in it %s", prose, want)
		}
	}
}

// Links can't put keys and data into one folder. VIV-11
func TestKeysApartFromDataByLink(t *testing.T) {
	dir, config := quickstarted(t, "desk.example")
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("data", filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "account list"} {
		_, prose, err := typed(t, "", append(strings.Fields(command), "-config", config)...)
		if err == nil || !strings.Contains(prose, "keys: a link leads into the same folder as data") {
			t.Errorf("%s: %s, want the link to be refused", command, prose)
		}
	}
}

func TestNoConfiguration(t *testing.T) {
	t.Chdir(t.TempDir())
	_, prose, err := typed(t, "", "check")
	if err == nil || !strings.Contains(prose, "hint: make a configuration with 'parley quickstart") {
		t.Errorf("check without a configuration: %s", prose)
	}
	_, config := quickstarted(t, "desk.example")
	t.Setenv("PARLEY_CONFIG", config)
	if _, prose, err := typed(t, "", "check"); err != nil {
		t.Errorf("check with $PARLEY_CONFIG: %s", prose)
	}
}

// Rule 8: a domain that is not written as addresses are prepared would be nobody's, so
// the server does not begin with it (RFC 7622 §3.2).
func TestServeRefusesADomainThatNobodyReaches(t *testing.T) {
	dir, _ := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "desk.example")
	f, err := conf.Load(filepath.Join(dir, "parley.toml"), []string{"account.desk.domain=xn--bcher-kva.example"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(t.Context(), f, slog.New(slog.DiscardHandler), realWorld)
	if err == nil {
		s.close()
	}
	if err == nil || !strings.Contains(err.Error(), `not a domain as addresses have it: "xn--bcher-kva.example"`) {
		t.Errorf("newServer: %v", err)
	}
}

// What the widget has no words for is no fault, but told.
func TestCheckTellsOfLanguages(t *testing.T) {
	_, config := quickstarted(t, "-set", "account.desk.visitors=true", "-set", "account.desk.widget.languages=['de', 'it-CH', 'fr']", "desk.example")
	_, prose, err := typed(t, "", "check", "-config", config)
	if err != nil || !strings.Contains(prose, `account.widget.languages: the widget speaks no "fr", but de, en, it: it leaves that out`) || !strings.Contains(prose, `no "it-CH"`) || strings.Contains(prose, `no "de"`) {
		t.Errorf("%v\n%s", err, prose)
	}
}

// Who has had a name for long that new agents do not get keeps it; check tells.
func TestCheckTellsOfNames(t *testing.T) {
	_, config := quickstarted(t, "desk.example")
	i := serving(t, config).inst
	a, err := i.account(t.Context(), "desk")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"anna", "bot"} {
		if _, err := a.store.AddAgent(t.Context(), name, "agent", store.Credential{Scope: "xmpp", Label: web.PasswordLabel}); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "other horse 43\n", "agent", "passwd", "-password-stdin", "-config", config, "bot@desk.example")
	_, prose, err := typed(t, "", "check", "-config", config)
	if err != nil || !strings.Contains(prose, "bot@desk.example: colleagues can take this agent for a program") || strings.Contains(prose, "anna@") {
		t.Errorf("%v\n%s", err, prose)
	}
}
