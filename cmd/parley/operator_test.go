package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/store"
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
	inst *installation
	mu   sync.Mutex
	told []string
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

func (l *listening) CredentialRevoked(account string, a store.Agent, _ int64) {
	l.tell("a credential of %s in %s", a.Name, account)
}

func (l *listening) WebhooksChanged(account string) { l.tell("webhooks of %s", account) }

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

func TestWebhooks(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, _, config string, list func() []string) {
		webhook := func(args ...string) []string { return append(append([]string{"webhook"}, args...), "-config", config) }
		for _, c := range []struct{ url, want string }{
			{"ftp://shop.example/", `not an http or https URL: "ftp"`},
			{"https://me:pass@shop.example/", "the URL holds a user or password"},
			{"https://shop.example/#here", "the URL holds a fragment"},
			{"https:///path", "not a URL"},
			{"shop.example", "not a URL"},
		} {
			refused(t, c.want, "", webhook("add", "-account", "desk", "-url", c.url)...)
		}
		refused(t, `there is no event "contact.dreamt"`, "", webhook("add", "-url", "https://shop.example/", "-events", "agent.*,contact.dreamt")...)
		refused(t, `there is no event "shop.*"`, "", webhook("add", "-url", "https://shop.example/", "-events", "shop.*")...)

		var hook web.WebhookInfo
		out := must(t, "", webhook("add", "-json", "-account", "desk", "-url", "https://shop.example/parley", "-events", "message.created, agent.*")...)
		if err := json.Unmarshal([]byte(out), &hook); err != nil {
			t.Fatal(err)
		}
		told(t, list, "webhooks of desk")
		if !strings.HasPrefix(hook.ID, "wh_") || !strings.HasPrefix(hook.Secret, "whsec_") || len(hook.Events) != 2 {
			t.Errorf("added %+v, want an id, a secret and two events", hook)
		}
		for _, cmd := range [][]string{webhook("list"), webhook("list", "-json"), webhook("show", hook.ID), webhook("show", "-json", hook.ID)} {
			out := must(t, "", cmd...)
			if !strings.Contains(out, hook.ID) || strings.Contains(out, hook.Secret) {
				t.Errorf("%v: %s, want the id and not the secret", cmd, out)
			}
		}
		out = must(t, "", webhook("test", "-json", hook.ID)...)
		if !strings.Contains(out, `"event": "evt_`) || strings.Contains(out, `"sent_when_running": true`) != (list == nil) {
			t.Errorf("test: %s", out)
		}
		// The test is an event in the account's journal that names the webhook.
		out = must(t, "", "conversation", "list", "-json", "-config", config)
		var conversations []web.ConversationInfo
		if err := json.Unmarshal([]byte(out), &conversations); err != nil || len(conversations) != 1 || conversations[0].Kind != "journal" {
			t.Fatalf("conversations: %s, want the journal", out)
		}
		out = must(t, "", "conversation", "show", conversations[0].ID, "-json", "-config", config)
		if !strings.Contains(out, `"event":"webhook.test"`) || !strings.Contains(out, `{"endpoint":"`+hook.ID+`"}`) {
			t.Errorf("journal: %s, want the test", out)
		}
		if out := must(t, "", webhook("deliveries", "-json", hook.ID)...); strings.TrimSpace(out) != "[]" {
			t.Errorf("deliveries: %s, want none", out)
		}
		// It is changed piece by piece; what the receiver wants to see is never shown.
		show := func() (h web.WebhookInfo) {
			t.Helper()
			out := must(t, "", webhook("show", "-json", hook.ID)...)
			if err := json.Unmarshal([]byte(out), &h); err != nil || strings.Contains(out, "sesame") {
				t.Fatalf("%s: %v", out, err)
			}
			return h
		}
		must(t, "", webhook("set", hook.ID, "-payload", "thin", "-ordering", "contact", "-format", "vivocha", "-hub", "on", "-description", "the shop's")...)
		must(t, "basic parley open sesame\n", webhook("set", hook.ID, "-auth-stdin")...)
		told(t, list, "webhooks of desk", "webhooks of desk")
		h := show()
		if h.Payload != "thin" || h.Ordering != "contact" || h.Format != "vivocha" || h.Hub != "on" || h.Description != "the shop's" || h.Auth != "basic" || h.URL != hook.URL || len(h.Events) != 2 {
			t.Errorf("after the change: %+v", h)
		}
		for _, c := range []struct {
			stdin, want string
			args        []string
		}{
			{"", `payload is "full" or "thin"`, []string{"-payload", "fat"}},
			{"", `ordering is "any" or "contact"`, []string{"-ordering", "none"}},
			{"", `format is "parley" or "vivocha"`, []string{"-format", "xml"}},
			{"", `hub is "off" or "on"`, []string{"-hub", "yes"}},
			{"", "more than 200", []string{"-description", strings.Repeat("x", 201)}},
			{"", "a password would go over plain http", []string{"-url", "http://shop.example/"}},
			{"basic a:b c\n", "a user without a colon", []string{"-auth-stdin"}},
			{"bearer a b\n", "bearer wants a token", []string{"-auth-stdin"}},
			{"digest a\n", "none, basic USER PASSWORD or bearer TOKEN", []string{"-auth-stdin"}},
		} {
			refused(t, c.want, c.stdin, webhook(append([]string{"set", hook.ID}, c.args...)...)...)
		}
		must(t, "none\n", webhook("set", hook.ID, "-auth-stdin", "-events", "", "-payload", "full", "-ordering", "any")...)
		told(t, list, "webhooks of desk")
		if h := show(); h.Payload != "full" || h.Ordering != "any" || h.Auth != "none" || len(h.Events) != 0 {
			t.Errorf("changed back: %+v", h)
		}

		// A new secret; the old one is good for a while.
		var anew web.WebhookInfo
		if err := json.Unmarshal([]byte(must(t, "", webhook("rotate", "-json", "-overlap", "2h", hook.ID)...)), &anew); err != nil {
			t.Fatal(err)
		}
		told(t, list, "webhooks of desk")
		if h := show(); anew.Secret == hook.Secret || !strings.HasPrefix(anew.Secret, "whsec_") || h.PreviousUntil == nil || time.Until(*h.PreviousUntil) > 2*time.Hour || time.Until(*h.PreviousUntil) < time.Hour {
			t.Errorf("after the rotation: %+v", h)
		}
		refused(t, "0s to 168h", "", webhook("rotate", "-overlap", "169h", hook.ID)...)
		must(t, "", webhook("rotate", "-overlap", "0s", hook.ID)...)
		if h := show(); h.PreviousUntil != nil {
			t.Errorf("the old secret is good until %v", h.PreviousUntil)
		}
		must(t, "", webhook("enable", hook.ID)...)
		told(t, list, "webhooks of desk", "webhooks of desk")

		// What it is to get again: the test, since it is the one thing that has happened.
		must(t, "", webhook("set", hook.ID, "-events", "webhook.test")...)
		var test struct{ Event string }
		if err := json.Unmarshal([]byte(must(t, "", webhook("test", "-json", hook.ID)...)), &test); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			args []string
			want int
		}{
			{[]string{"-event", test.Event}, 1},
			{[]string{"-since", "2020-01-01T00:00:00Z"}, 2},
			{[]string{"-since", "2020-01-01T00:00:00Z", "-until", "2020-02-01T00:00:00Z"}, 0},
			{[]string{"-failed-since", "2020-01-01T00:00:00Z"}, 0},
		} {
			if out := must(t, "", webhook(append([]string{"replay", "-json", hook.ID}, c.args...)...)...); !strings.Contains(out, fmt.Sprintf(`"events": %d`, c.want)) {
				t.Errorf("replay %v: %s, want %d", c.args, out, c.want)
			}
		}
		refused(t, "there is no event", "", webhook("replay", hook.ID, "-event", "evt_aaaaaaaaaaaaaaaaaaaaaaaaaa")...)
		refused(t, "say one of", "", webhook("replay", hook.ID)...)
		refused(t, "say one of", "", webhook("replay", hook.ID, "-event", test.Event, "-since", "2020-01-01T00:00:00Z")...)
		if _, _, err := typed(t, "", webhook("replay", hook.ID, "-since", "yesterday")...); err == nil || !strings.Contains(err.Error(), "wants a time") {
			t.Errorf("-since yesterday: %v", err)
		}
		if list != nil {
			list()
		}

		must(t, "", webhook("delete", hook.ID)...)
		refused(t, "there is no webhook", "", webhook("show", hook.ID)...)
	})
}

// VIV-7: the token is shown and rotated by the operator's commands, and both are shown until
// the old one is good no more.
func TestAccountRotateToken(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, _, config string, list func() []string) {
		show := func() (a web.AccountSecret) {
			t.Helper()
			out := must(t, "", "account", "show", "-secret", "-json", "desk", "-config", config)
			if err := json.Unmarshal([]byte(out), &a); err != nil {
				t.Fatal(err)
			}
			return a
		}
		first := show()
		if first.Previous != "" || first.PreviousUntil != nil {
			t.Errorf("before any rotation: %+v", first)
		}
		out := must(t, "", "account", "rotate-token", "desk", "-config", config)
		told(t, list, "webhooks of desk")
		second := show()
		if second.Secret == first.Secret || len(second.Secret) != 96 || second.Previous != first.Secret || second.PreviousUntil == nil ||
			time.Until(*second.PreviousUntil) > 24*time.Hour || time.Until(*second.PreviousUntil) < 23*time.Hour {
			t.Errorf("after the rotation: %+v", second)
		}
		want := second.Secret + "\n" + first.Secret + "  until " + second.PreviousUntil.Format(time.RFC3339) + "\n"
		same(t, "what is printed", []string{out, must(t, "", "account", "show", "-secret", "desk", "-config", config)}, []string{want, want})
		if out := must(t, "", "account", "show", "-json", "desk", "-config", config); strings.Contains(out, second.Secret) || strings.Contains(out, first.Secret) {
			t.Errorf("a token is shown to who did not ask for it: %s", out)
		}
		refused(t, "0s to 168h", "", "account", "rotate-token", "-overlap", "169h", "desk", "-config", config)
		must(t, "", "account", "rotate-token", "-overlap", "0s", "desk", "-config", config)
		if third := show(); third.Previous != "" || third.Secret == second.Secret {
			t.Errorf("rotated without an overlap: %+v", third)
		}

		// It is told, and nothing of it but until when.
		out = must(t, "", "conversation", "list", "-json", "-config", config)
		var conversations []web.ConversationInfo
		if err := json.Unmarshal([]byte(out), &conversations); err != nil || len(conversations) != 1 {
			t.Fatalf("conversations: %s, want the journal", out)
		}
		out = must(t, "", "conversation", "show", conversations[0].ID, "-json", "-config", config)
		if strings.Count(out, "security.token_rotated") != 2 || strings.Contains(out, second.Secret) || strings.Contains(out, first.Secret) {
			t.Errorf("journal: %s, want two rotations and no token", out)
		}
	})
}

func TestWebhooksAreBounded(t *testing.T) {
	t.Parallel()
	_, config := quickstarted(t, "desk.example")
	serving(t, config)
	for n := range web.WebhooksMax {
		must(t, "", "webhook", "add", "-url", fmt.Sprintf("https://shop.example/%d", n), "-config", config)
	}
	refused(t, "which is the most", "", "webhook", "add", "-url", "https://shop.example/more", "-config", config)
}

// What was said is shown to people and to programs, and steers no terminal.
func TestConversations(t *testing.T) {
	t.Parallel()
	dir, config := quickstarted(t, "desk.example")
	for _, name := range []string{"anna", "ben"} {
		must(t, "correct horse 42\n", "agent", "add", "-password-stdin", name+"@desk.example", "-config", config)
	}
	said(t, config, "anna", "ben", "<subject>Hi</subject><body>one\ntwo &lt;3 \u202e</body>", time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC))
	out := must(t, "", "conversation", "show", "-config", config)
	want := "2026-05-04 03:02:01  anna@desk.example: [Hi] one\n                     two <3 \\u{202e}\n"
	if !strings.Contains(out, want) || !strings.Contains(out, "anna@desk.example, ben@desk.example\n") {
		t.Errorf("show:\n%s\nwant in it\n%s", out, want)
	}
	var r web.RecordInfo
	if err := json.Unmarshal([]byte(must(t, "", "conversation", "show", "-json", "-config", config)), &r); err != nil {
		t.Fatal(err)
	}
	if r.Event != "message.created" || r.From != "anna@desk.example/x" || r.Text != "one\ntwo <3 \u202e" || r.Subject != "Hi" || r.N != 1 {
		t.Errorf("record %+v", r)
	}
	refused(t, "there is no conversation 99 in account desk", "", "conversation", "show", "99", "-config", config)
	for name, text := range contents(t, dir) {
		if strings.Contains(text, "two &lt;3") {
			t.Errorf("%s holds what was said", name) // VIV-9
		}
	}
}

// said appends a message as the server would.
func said(t *testing.T, config, from, to, inner string, at time.Time) {
	t.Helper()
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	i, err := openInstallation(t.Context(), f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	a, err := i.account(t.Context(), "desk")
	if err != nil {
		t.Fatal(err)
	}
	var who [2]store.Agent
	for n, name := range []string{from, to} {
		if who[n], err = a.store.Agent(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	c, err := a.store.Direct(t.Context(), who[0].ID, who[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	m := &store.Message{Type: "chat", From: from + "@desk.example/x", To: to + "@desk.example", ID: "m1", Inner: []byte(inner)}
	decided := make(chan struct{})
	b := &store.Batch{
		Ops:  []store.Op{{Conversation: c, Kind: store.KindMessage, Actor: who[0].ID, At: at, Data: store.AppendMessage(nil, m)}},
		Done: func(*store.Batch) { close(decided) },
	}
	a.store.Append(b)
	<-decided
	if b.Err != nil {
		t.Fatal(b.Err)
	}
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
