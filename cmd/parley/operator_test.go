package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"parley.im/parley/conf"
	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/web"
)

// must runs a command that is to succeed and returns what it printed.
func must(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, prose, err := typed(t, stdin, args...)
	if err != nil {
		t.Fatalf("parley %s: %s", strings.Join(args, " "), prose)
	}
	return out
}

// refused runs a command that is to fail with exit code 1 and a complaint.
func refused(t *testing.T, want, stdin string, args ...string) {
	t.Helper()
	_, prose, err := typed(t, stdin, args...)
	if err == nil || exitCode(err) != 1 || !strings.Contains(prose, want) {
		t.Errorf("parley %s: %v, %s, want %s", strings.Join(args, " "), err, prose, want)
	}
}

// both runs a test with no server and with one that has only its socket.
func both(t *testing.T, test func(t *testing.T, dir, config string, told func() []string)) {
	t.Run("nothing runs", func(t *testing.T) {
		dir, config := quickstarted(t, "desk.example")
		test(t, dir, config, nil)
	})
	t.Run("socket", func(t *testing.T) {
		dir, config := quickstarted(t, "desk.example")
		test(t, dir, config, serving(t, config).list)
	})
}

// A listening is a live server that writes down what it is told.
type listening struct {
	inst     *installation
	contacts *contact.Contacts
	mu       sync.Mutex
	told     []string
}

func (l *listening) tell(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, fmt.Sprintf(format, args...))
}

// list is what it was told since the last call.
func (l *listening) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	told := l.told
	l.told = nil
	return told
}

func (l *listening) AgentAdded(account string, a store.Agent) {
	l.tell("added %s in %s", a.Name, account)
}

func (l *listening) AgentRemoved(account string, a store.Agent) {
	l.tell("removed %s in %s", a.Name, account)
}

func (l *listening) AgentDeleted(account string, a store.Agent) {
	l.tell("deleted %s in %s", a.Name, account)
}

func (l *listening) CredentialsChanged(account string, a store.Agent) {
	l.tell("credentials of %s in %s", a.Name, account)
}

func (l *listening) RoleChanged(account string, a store.Agent) {
	l.tell("role of %s in %s", a.Name, account)
}

func (l *listening) CredentialRevoked(account string, a store.Agent, _ int64) {
	l.tell("a credential of %s in %s", a.Name, account)
}

func (l *listening) Sessions(string, store.Agent) []web.SessionInfo { return nil }

func (l *listening) EndSession(string, store.Agent, string) bool { return false }

func (l *listening) VisitorsWhence(string, store.ConversationID) []netip.Prefix { return nil }

func (l *listening) Contacts(string) *contact.Contacts { return l.contacts }

func (l *listening) WebhooksChanged(account string) { l.tell("webhooks of %s", account) }

func (l *listening) OptionsChanged(a *account) { l.tell("options of %s", a.id) }

func (l *listening) AccountsChanged(ctx context.Context) error {
	added, removed, err := l.inst.reload(ctx)
	for _, a := range removed {
		l.tell("account %s gone", a.id)
		if err := a.close(); err != nil {
			return err
		}
	}
	for _, a := range added {
		l.tell("account %s new", a.id)
		if err := a.open(ctx); err != nil {
			return err
		}
	}
	return err
}

// serving holds the data folder and answers on the control socket.
func serving(t *testing.T, config string) *listening {
	t.Helper()
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	release, err := lockData(f.Data)
	if err != nil {
		t.Fatal(err)
	}
	i, err := openInstallation(t.Context(), f, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	live := &listening{inst: i}
	i.live = live
	l, err := listenControl(f.Listen.Control)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- i.serveControl(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("control socket: %v", err)
		}
		if err := i.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		release()
	})
	return live
}

func told(t *testing.T, list func() []string, want ...string) {
	t.Helper()
	if list == nil {
		return
	}
	if got := list(); strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("the server was told %q, want %q", got, want)
	}
}

func TestAgents(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, _, config string, list func() []string) {
		with := []string{"-config", config}
		agent := func(args ...string) []string { return append(append([]string{"agent"}, args...), with...) }
		must(t, "correct horse 42\n", agent("add", "-password-stdin", "-role", "owner", "Anna@desk.example")...)
		told(t, list, "added anna in desk")
		refused(t, "there is an agent anna@desk.example already", "correct horse 42\n", agent("add", "-password-stdin", "anna@desk.example")...)
		refused(t, "password is too weak", "hello\n", agent("add", "-password-stdin", "ben@desk.example")...)
		refused(t, "hint: -no-policy takes it", "hello\n", agent("add", "-password-stdin", "ben@desk.example")...)
		must(t, "hello\n", agent("add", "-password-stdin", "-no-policy", "ben@desk.example")...)
		told(t, list, "added ben in desk")
		refused(t, "no password was given", "\n", agent("add", "-password-stdin", "cem@desk.example")...)
		refused(t, `there is no account with the domain "shop.example"`, "correct horse 42\n", agent("add", "-password-stdin", "cem@shop.example")...)
		refused(t, "expected value to be one of", "correct horse 42\n", agent("add", "-password-stdin", "-role", "boss", "cem@desk.example")...)
		for _, name := range []string{"Bot", "parley", "system"} { // an agent would speak, or leave notes, as one of these
			refused(t, "no agent can be called "+strings.ToLower(name), "correct horse 42\n", agent("add", "-password-stdin", name+"@desk.example")...)
			refused(t, "line 1: no agent can be called "+strings.ToLower(name), name+"@desk.example\tcorrect horse 42", agent("import")...)
		}
		refused(t, "not an agent's address", "correct horse 42\n", agent("add", "-password-stdin", "desk.example")...)

		var agents []web.AgentInfo
		if err := json.Unmarshal([]byte(must(t, "", agent("list", "-json")...)), &agents); err != nil {
			t.Fatal(err)
		}
		if len(agents) != 2 || agents[0].JID != "anna@desk.example" || agents[0].Role != "owner" || agents[1].Role != "agent" {
			t.Errorf("agents %+v, want anna, an owner, and ben, an agent", agents)
		}
		must(t, "other horse 43\n", agent("passwd", "-password-stdin", "anna@desk.example")...)
		told(t, list, "credentials of anna in desk")
		must(t, "", agent("disable", "anna@desk.example")...)
		told(t, list, "removed anna in desk")
		if out := must(t, "", agent("list")...); !strings.Contains(out, "anna@desk.example  owner  disabled") {
			t.Errorf("list: %s, want anna disabled", out)
		}
		must(t, "", agent("enable", "anna@desk.example")...)
		told(t, list, "added anna in desk")
		out := must(t, "", agent("show", "anna@desk.example")...)
		if !strings.Contains(out, "signs in  with password") || strings.Contains(out, "disabled") {
			t.Errorf("show: %s", out)
		}
		must(t, "", agent("delete", "ben@desk.example")...)
		told(t, list, "deleted ben in desk")
		refused(t, "there is no agent ben@desk.example", "", agent("show", "ben@desk.example")...)
	})
}

func TestImport(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, dir, config string, list func() []string) {
		must(t, "", "quickstart", "-dir", dir, "shop.example")
		if list != nil {
			must(t, "", "account", "add", "-domain", "third.example", "-config", config, "third")
			list()
		}
		var lines strings.Builder
		for n := range 30 {
			fmt.Fprintf(&lines, "user%d@desk.example\tsecret\n", n)
		}
		lines.WriteString("me@shop.example\tsecret\r\n\nuser3@desk.example\tsecret\nno tab\nme@nowhere.example\tsecret")
		out, prose, err := typed(t, lines.String(), "agent", "import", "-no-policy", "-json", "-config", config)
		if err == nil || exitCode(err) != 1 {
			t.Fatalf("import: %v, %s, want exit code 1", err, prose)
		}
		var result importResult
		if err := json.Unmarshal([]byte(out), &result); err != nil {
			t.Fatal(err)
		}
		if result.Imported != 31 || len(result.Faults) != 3 {
			t.Fatalf("result %+v, want 31 imported and 3 refused", result)
		}
		for i, want := range []importFault{
			{33, "there is an agent user3@desk.example already"},
			{34, "want an address, a tab and a password"},
			{35, `there is no account with the domain "nowhere.example"`},
		} {
			if result.Faults[i] != want {
				t.Errorf("fault %v, want %v", result.Faults[i], want)
			}
		}
		if list != nil && len(list()) != 31 {
			t.Error("the server was not told of all 31")
		}
		refused(t, "line 1: password is too weak", "x@desk.example\tsecret\n", "agent", "import", "-config", config)
		if out := must(t, "", "agent", "list", "-config", config, "-account", "desk"); strings.Count(out, "\n") != 30 {
			t.Errorf("list:\n%s\nwant 30 agents", out)
		}
	})
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, dir, config string, list func() []string) {
		account := func(args ...string) []string { return append(append([]string{"account"}, args...), "-config", config) }
		must(t, "", account("add", "-domain", "shop.example", "-profile", "plus", "shop")...)
		told(t, list, "account shop new")
		refused(t, "there is an account shop with the domain shop.example already", "", account("add", "-domain", "other.example", "shop")...)
		refused(t, "there is an account shop with the domain shop.example already", "", account("add", "-domain", "shop.example", "other")...)
		refused(t, `"gold" is none of`, "", account("add", "-domain", "other.example", "-profile", "gold", "other")...)
		refused(t, "not 1 to 32 of", "", account("add", "-domain", "other.example", "Other")...)
		refused(t, "not a domain", "", account("add", "-domain", "other example", "other")...)
		if out := must(t, "", account("list")...); !strings.Contains(out, "desk  desk.example  enterprise") || !strings.Contains(out, "shop  shop.example  plus") {
			t.Errorf("list: %s", out)
		}
		out := must(t, "", account("show", "shop")...)
		if !strings.Contains(out, "stored      in clear") || !strings.Contains(out, "iterations  10000") {
			t.Errorf("show: %s", out)
		}
		token := strings.TrimSpace(must(t, "", account("show", "-secret", "shop")...))
		if len(token) != 96 || token != strings.TrimSpace(must(t, "", account("show", "-secret", "shop")...)) {
			t.Errorf("secret token %q, want 96 digits that stay", token)
		}
		if strings.Contains(must(t, "", account("show", "-json", "shop")...), token) {
			t.Error("the token was shown without being asked for")
		}
		list0 := list
		if list0 != nil {
			list0()
		}
		refused(t, "account shop is not disabled", "", account("delete", "shop")...)
		must(t, "", account("disable", "shop")...)
		told(t, list, "account shop gone", "account shop new")
		if out := must(t, "", account("list")...); !strings.Contains(out, "plus        disabled") {
			t.Errorf("list: %s, want shop disabled", out)
		}
		must(t, "", account("enable", "shop")...)
		must(t, "", account("disable", "shop")...)
		must(t, "", account("delete", "shop")...)
		refused(t, `there is no account "shop"`, "", account("show", "shop")...)
		for name := range contents(t, dir) {
			if strings.Contains(name, "shop") {
				t.Errorf("%s is left of the deleted account", name)
			}
		}
		must(t, "", account("show", "desk")...)
	})
}

// What parley.toml declares is not for commands to change.
func TestAccountDeclaredInTheConfiguration(t *testing.T) {
	t.Parallel()
	dir, config := quickstarted(t, "desk.example")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "[[account]]\nid = \"own\"\ndomain = \"own.example\"\n"...)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, "account own is declared in "+filepath.Join(dir, "parley.toml")+":", "", "account", "disable", "own", "-config", config)
}

// A path that is too long for a socket's address serves all the same.
func TestControlSocketInADeepFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	must(t, "", "quickstart", "-dir", dir, "-set", "auth.iterations=10000", "desk.example")
	config := filepath.Join(dir, "parley.toml")
	serving(t, config)
	info, err := os.Stat(filepath.Join(dir, "data", "control.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v, want mode 0600", info, err)
	}
	must(t, "", "account", "list", "-config", config)
}

// The socket that a killed server left behind is in nobody's way.
func TestStaleControlSocket(t *testing.T) {
	t.Parallel()
	dir, config := quickstarted(t, "desk.example")
	path := filepath.Join(dir, "data", "control.sock")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := listenControl(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the test needs a socket that is left behind: %v", err)
	}
	must(t, "", "account", "list", "-config", config)
	serving(t, config)
	must(t, "", "account", "list", "-config", config)
}

// Without the account's settings having changed, reading the configuration again
// changes nothing; a folder cannot change under a running server.
func TestReload(t *testing.T) {
	t.Parallel()
	_, config := quickstarted(t, "desk.example")
	live := serving(t, config)
	before := live.inst.list()[0]
	if err := live.AccountsChanged(t.Context()); err != nil {
		t.Fatal(err)
	}
	if live.inst.list()[0] != before || len(live.list()) != 0 {
		t.Error("an account was replaced that had not changed")
	}
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, append([]byte("data = \"elsewhere\"\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := live.AccountsChanged(t.Context()); err == nil {
		t.Error("the data folder changed under a running server")
	}
}
