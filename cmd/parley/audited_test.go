package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"parley.im/parley/conf"
	"parley.im/parley/store/audit"
	"parley.im/parley/xmppd/web"
)

// opened is the installation of a configuration, with its operator's handlers.
func opened(t *testing.T, config string, options ...string) (*installation, *operator) {
	t.Helper()
	f, err := conf.Load(config, options)
	if err != nil {
		t.Fatal(err)
	}
	i, err := openInstallation(t.Context(), f, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i, newOperator(i)
}

// records are those of an account; "" is the installation's.
func (i *installation) records(t *testing.T, account string) (all []audit.Record) {
	t.Helper()
	l, err := i.auditLog(account)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Read(audit.Filter{}, func(li *audit.Line) error {
		all = append(all, li.Record)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r, err := l.Verify(nil)
	if err != nil || len(r.Faults) > 0 {
		t.Errorf("verify: %v, %v", r, err)
	}
	return all
}

// A changing is an installation on which each command is tried.
type changing struct {
	t *testing.T
	i *installation
	o *operator
}

func (c *changing) call(method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	c.o.ServeHTTP(w, r)
	return w
}

// news are the records that do leaves, in all logs: "account: action object outcome detail".
func (c *changing) news(do func()) (got []string) {
	c.t.Helper()
	logs := []string{"", "desk", "new", "shop"}
	before := make(map[string]int)
	for _, id := range logs {
		if id == "" || c.i.config().At(id) != "" {
			before[id] = len(c.i.records(c.t, id))
		}
	}
	do()
	for _, id := range logs {
		if c.i.config().At(id) == "" && id != "" {
			continue
		}
		for _, r := range c.i.records(c.t, id)[before[id]:] {
			if r.Actor != (audit.Actor{Kind: audit.Operator, ID: fmt.Sprint(os.Geteuid())}) || r.Address != "local" {
				c.t.Errorf("%s: actor %+v, from %q", r.Action, r.Actor, r.Address)
			}
			got = append(got, fmt.Sprint(id, ": ", r.Action, " ", r.Object, " ", r.Outcome, " ", r.Detail))
		}
	}
	return got
}

// A try is one command, and the one record that it leaves: none where want is empty.
type try struct {
	route, path, body string
	status            int
	want              string
}

func (c *changing) all(tries []try) map[string]bool {
	c.t.Helper()
	tried := make(map[string]bool)
	for _, one := range tries {
		method, _, _ := strings.Cut(one.route, " ")
		tried[one.route] = true
		got := c.news(func() {
			if w := c.call(method, one.path, one.body); w.Code != one.status {
				c.t.Errorf("%s %s: %d %s, want %d", method, one.path, w.Code, w.Body, one.status)
			} else if p := web.ReadProblem(w.Body.Bytes()); w.Code >= 400 && (p == nil || p.Status != w.Code || p.Text == "" || web.Refuse(p.Kind, "").Status != w.Code) {
				c.t.Errorf("%s %s: %s is no problem as RFC 9457 has it", method, one.path, w.Body)
			}
		})
		if strings.Join(got, "\n") != one.want {
			c.t.Errorf("%s %s: records %q, want %q", method, one.path, got, one.want)
		}
	}
	return tried
}

func newChanging(t *testing.T, config string, options ...string) *changing {
	t.Helper()
	i, o := opened(t, config, options...)
	return &changing{t, i, o}
}

// A panic while a command is carried out leaves its record.
func TestRecordOfAPanic(t *testing.T) {
	t.Parallel()
	_, config := quickstarted(t, "desk.example")
	i, o := opened(t, config)
	o.handle("POST /v1/panic", func(*http.Request) (any, error) { panic("a programmer's mistake") })
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		o.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/panic", nil))
	}()
	if all := i.records(t, ""); len(all) != 1 || all[0].Outcome != audit.Failed || all[0].Action != "POST /v1/panic" {
		t.Errorf("records %+v", all)
	}
}

// An API key's record says which, and where from.
func TestRecordOfAKey(t *testing.T) {
	t.Parallel()
	_, config := quickstarted(t, "desk.example")
	i, _ := opened(t, config)
	ctx := audit.Called(t.Context(), audit.Caller{Actor: audit.Actor{Kind: audit.Key, ID: "key_1"}, Address: "192.0.2.7"})
	err := i.audited(ctx, "desk", audit.Record{Action: "agent.add"}, func(ctx context.Context) error {
		audit.About(ctx, "agent/7")
		audit.Tell(ctx, "role", "agent")
		return refuse("no")
	})
	if err == nil || web.RefusalOf(err).Status != http.StatusUnprocessableEntity {
		t.Errorf("the refusal became %v", err)
	}
	all := i.records(t, "desk")
	if len(all) != 1 || all[0].Actor.ID != "key_1" || all[0].Address != "192.0.2.7" || all[0].Object != "agent/7" ||
		all[0].Detail["role"] != "agent" || all[0].Outcome != audit.Refused {
		t.Errorf("records %+v", all)
	}
}

// What the commands show, and that verify finds what was changed behind the server's back.
func TestAuditCommands(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, dir, config string, _ func() []string) {
		must(t, "correct horse 42\n", "agent", "add", "-password-stdin", "anna@desk.example", "-config", config)
		must(t, "", "agent", "disable", "anna@desk.example", "-config", config)
		must(t, "", "account", "add", "shop", "-domain", "shop.example", "-config", config)
		out := must(t, "", "audit", "list", "-account", "desk", "-config", config)
		want := regexp.MustCompile(`^1  20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  operator/\d+  agent\.create  agent/1  done  role=agent\n` +
			`2  .*  operator/\d+  agent\.change  agent/1  done  disabled=true\n$`)
		if !want.MatchString(out) {
			t.Errorf("list:\n%s", out)
		}
		if out := must(t, "", "audit", "list", "-installation", "-config", config); !strings.Contains(out, "account.create  account/shop  done  domain=shop.example id=shop profile=enterprise") {
			t.Errorf("list -installation:\n%s", out)
		}
		for args, n := range map[string]int{
			"": 2, "-action agent.change": 1, "-action agent.*": 2, "-actor key": 0, "-since 2099-01-01T00:00:00Z": 0, "-until 2099-01-01T00:00:00Z": 2,
		} {
			all := append(strings.Fields(args), "-json", "-account", "desk", "-config", config)
			var list []audit.Record
			if err := json.Unmarshal([]byte(must(t, "", append([]string{"audit", "list"}, all...)...)), &list); err != nil || len(list) != n {
				t.Errorf("list %s: %d records, %v, want %d", args, len(list), err, n)
			}
		}
		refused(t, "not a time such as", "", "audit", "list", "-account", "desk", "-since", "yesterday", "-config", config)
		refused(t, `there is no account "nobody"`, "", "audit", "list", "-account", "nobody", "-config", config)

		exported := must(t, "", "audit", "export", "-account", "desk", "-config", config)
		var hash audit.Hash
		for line := range strings.Lines(exported) {
			var info auditInfo
			if err := json.Unmarshal([]byte(line), &info); err != nil {
				t.Fatal(err)
			}
			if hash = hash.Follow(info.Record); hash.String() != info.Hash {
				t.Errorf("%s does not follow", line)
			}
		}
		if strings.Count(exported, "\n") != 2 {
			t.Errorf("export:\n%s", exported)
		}

		_, prose, err := typed(t, "", "audit", "verify", "-config", config)
		if err != nil || !strings.Contains(prose, "account desk: 2 records from 1 to 2") || !strings.Contains(prose, "the installation: 1 records") {
			t.Errorf("verify: %v\n%s", err, prose)
		}
		path := filepath.Join(dir, "data/accounts/desk/audit.log")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), "agent.create", "agent.etaerc", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, "audit log of account desk: audit.log:2: record 1, or what comes before it, was changed", "", "audit", "verify", "-config", config)
		refused(t, "audit.log:2", "", "audit", "verify", "-account", "desk", "-config", config)
		must(t, "", "audit", "verify", "-account", "shop", "-config", config)
	})
}

// A signed head goes out once a day, and tells when the log is cut or written anew.
func TestDailyHead(t *testing.T) {
	t.Parallel()
	dir, config := quickstarted(t, "desk.example")
	must(t, "correct horse 42\n", "agent", "add", "-password-stdin", "anna@desk.example", "-config", config)
	i, o := opened(t, config)
	a, err := i.account(t.Context(), "desk")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	i.now = func() time.Time { return now }
	for _, after := range []time.Duration{0, 23 * time.Hour, time.Hour, time.Hour, 24 * time.Hour, -25 * time.Hour, 23 * time.Hour} {
		now = now.Add(after)
		if err := a.daily(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	heads, faults, err := a.auditHeads(t.Context())
	if err != nil || len(faults) > 0 || len(heads) != 3 || heads[0].N != 1 || heads[0].Ordinal >= heads[1].Ordinal {
		t.Fatalf("heads %+v, %q, %v", heads, faults, err)
	}
	verify := func() (r audit.Report) {
		w := httptest.NewRecorder()
		o.ServeHTTP(w, httptest.NewRequest("GET", "/v1/accounts/desk/audit/verify", nil))
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := verify(); len(r.Faults) > 0 || r.Heads != 1 {
		t.Errorf("report %+v", r)
	}
	// Another log in its place, whole in itself.
	if err := i.closeAudits(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "data/accounts/desk/audit.log")); err != nil {
		t.Fatal(err)
	}
	if r := verify(); len(r.Faults) != 1 || !strings.HasPrefix(r.Faults[0], "records 1 to 1 are missing: a head was signed") {
		t.Errorf("report %+v", r)
	}
}

// No change without its record: with no room left a command is refused with a sentence,
// and nothing was changed.
func TestNoRoomForARecord(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	config := filepath.Join(d.dir, "parley.toml")
	must(t, "", "agent", "disable", "ben@desk.example", "-config", config)
	limitFiles(t, d, 0)
	refused(t, "no record of this can be kept, so it is not done: no room to keep this", "", "agent", "enable", "ben@desk.example", "-config", config)
	refused(t, "no room to keep this", "", "account", "show", "desk", "-secret", "-config", config)
	if out := must(t, "", "agent", "show", "ben@desk.example", "-config", config); !strings.Contains(out, "disabled") {
		t.Errorf("agent show:\n%s", out)
	}
	limitFiles(t, d, unix.RLIM_INFINITY)
	must(t, "", "agent", "enable", "ben@desk.example", "-config", config)
	must(t, "", "audit", "verify", "-config", config)
	if out := must(t, "", "audit", "list", "-config", config); strings.Count(out, "\n") != 2 || strings.Count(out, "disabled=false") != 1 {
		t.Errorf("audit list:\n%s", out)
	}
}

// SIGHUP is an operator's command, too, though nobody knows which operator's.
func TestRecordOfSIGHUP(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	config := filepath.Join(d.dir, "parley.toml")
	records := func() string {
		return must(t, "", "audit", "list", "-installation", "-action", "configuration.*", "-config", config)
	}
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a record of it", func() bool {
		return strings.Contains(records(), "operator/signal  configuration.reload  configuration  done")
	})
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, append([]byte("nonsense = 1\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config+".good", text, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a record of what failed", func() bool {
		out, _, err := typed(t, "", "audit", "list", "-installation", "-config", config+".good")
		return err == nil && strings.Contains(out, "configuration.reload  configuration  failed")
	})
}

// kill -9 at any moment: what was answered has its record, nothing has two, and the chain
// is whole.
func TestAuditKilled(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	config := filepath.Join(d.dir, "parley.toml")
	answered := 0
	for round := range 5 {
		stop := make(chan struct{})
		done := make(chan int)
		go func() { // ends with the server it speaks to
			n := 0
			defer func() { done <- n }()
			for {
				f, err := conf.Load(config, nil)
				if err != nil {
					return
				}
				conn, err := dialControl(context.Background(), f.Listen.Control)
				if err != nil {
					return
				}
				cl := remoteClient(f.Listen.Control, conn)
				for {
					body := map[string]bool{"disabled": n%2 == 0}
					if cl.do(context.Background(), "PATCH", "/v1/domains/desk.example/agents/ben@desk.example", body, nil) != nil {
						return
					}
					if n++; n == 20+round {
						close(stop)
					}
				}
			}
		}()
		<-stop
		d.end(syscall.SIGKILL)
		answered += <-done
		d.start()
		must(t, "", "audit", "verify", "-config", config)
	}
	var list []audit.Record
	if err := json.Unmarshal([]byte(must(t, "", "audit", "list", "-json", "-action", "agent.*", "-config", config)), &list); err != nil {
		t.Fatal(err)
	}
	finished, seen := 0, make(map[string]bool)
	for _, r := range list {
		if seen[r.ID] {
			t.Errorf("two records of %s", r.ID)
		}
		seen[r.ID] = true
		if r.Outcome == audit.Done {
			finished++
		}
	}
	// One more of each round may be there: its answer did not arrive.
	if finished < answered || len(list) > answered+5 {
		t.Errorf("%d records, %d of them done, of %d commands that were answered", len(list), finished, answered)
	}
}
