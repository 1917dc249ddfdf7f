package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/xmppd/hook"
	"parley.im/parley/xmppd/web"
)

// A parcel is an event as it came to one of a depot's doors.
type parcel struct {
	door, id, event, attempt, body string
	taken                          bool
}

// A depot is a receiver that takes nothing until it is open.
type depot struct {
	mu   sync.Mutex // guards what follows
	open bool
	came []parcel
}

func (d *depot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h := r.Header
	d.came = append(d.came, parcel{r.URL.Path, h.Get("webhook-id"), h.Get("x-parley-event"), h.Get("x-parley-attempt"), string(body), d.open})
	if !d.open {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// at is what came to a door and was taken, or was not.
func (d *depot) at(door string, taken bool) []parcel {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.came), func(p parcel) bool { return p.door != door || p.taken != taken })
}

// giveUp sends what an installation has to send, once, and returns when each of its webhooks was
// given up for so many events.
func giveUp(t *testing.T, config string, events int) {
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
	hooks, err := a.store.Endpoints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := hook.New(hook.Config{Waits: []time.Duration{0}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx, hook.Account{ID: a.id, Domain: a.domain, Store: a.store}) })
	defer wg.Wait()
	defer stop()
	eventually(t, "all is given up", func() bool {
		for _, h := range hooks {
			dead, err := a.store.DeadLetters(t.Context(), h.ID, time.Time{})
			if err != nil || len(dead) != events {
				return false
			}
		}
		return true
	})
}

// What was given up comes when somebody asks for it, by its id or with all that was given up
// since a time, by the command and by the API; and by itself it does not.
func TestDeadLettersAreReplayed(t *testing.T) {
	t.Parallel()
	dir, config := quickstarted(t, "-account", "desk", "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "-set", `webhook.allow=["127.0.0.0/8"]`, "desk.example")
	must(t, "anna@desk.example\tcorrect horse 42\nben@desk.example\tcorrect horse 42\n", "agent", "import", "-config", config)
	in := new(depot)
	receiver := httptest.NewServer(in)
	t.Cleanup(receiver.Close)
	began := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	ids := make(map[string]string)
	for _, door := range []string{"/command", "/api"} {
		var hook web.WebhookInfo
		out := must(t, "", "webhook", "add", "-json", "-url", receiver.URL+door, "-events", "message.created", "-config", config)
		if err := json.Unmarshal([]byte(out), &hook); err != nil {
			t.Fatal(err)
		}
		ids[door] = hook.ID
	}
	said(t, config, "anna", "ben", "<body>one</body>", time.Now())
	said(t, config, "anna", "ben", "<body>two</body>", time.Now())
	giveUp(t, config, 2)

	in.mu.Lock()
	in.open = true
	in.mu.Unlock()
	d := startDaemon(t, dir)
	c := d.api("-role", "admin")
	command := func(option, value string) (r web.Replayed) {
		t.Helper()
		out := must(t, "", "webhook", "replay", "-json", ids["/command"], option, value, "-config", filepath.Join(d.dir, "parley.toml"))
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	request := func(name, value string) (r web.Replayed) {
		t.Helper()
		c.ask("POST", "/v1/webhooks/"+ids["/api"]+"/replay", `{"`+name+`":"`+value+`"}`, 200, &r)
		return r
	}
	for _, way := range []struct {
		door          string
		event, failed func(value string) web.Replayed
	}{
		{"/command", func(v string) web.Replayed { return command("-event", v) }, func(v string) web.Replayed { return command("-failed-since", v) }},
		{"/api", func(v string) web.Replayed { return request("event", v) }, func(v string) web.Replayed { return request("failed_since", v) }},
	} {
		refused := in.at(way.door, false)
		if len(refused) != 2 || refused[0].id == refused[1].id {
			t.Fatalf("%s: refused were %+v, want two events", way.door, refused)
		}
		// By id: what is on its way when something else is asked for comes again.
		arrives := func(n int) map[string]parcel {
			t.Helper()
			taken := make(map[string]parcel)
			eventually(t, "what was asked for has come", func() bool {
				for _, p := range in.at(way.door, true) {
					taken[p.id] = p
				}
				return len(taken) >= n
			})
			return taken
		}
		c.ask("POST", "/v1/webhooks/"+ids[way.door]+"/test", "", 200, nil)
		for _, p := range arrives(1) {
			if p.event != "webhook.test" {
				t.Errorf("%s: %s came by itself", way.door, p.event)
			}
		}
		for n, r := range []web.Replayed{way.event(refused[1].id), way.failed(began), way.failed(began)} {
			if want := []int{1, 1, 0}[n]; r.Events != want || r.Later {
				t.Errorf("%s: replay %d: %+v, want %d", way.door, n, r, want)
			}
		}
		got := arrives(3)
		for _, want := range refused {
			want.taken = true
			if p := got[want.id]; p != want || p.attempt != "1" {
				t.Errorf("%s: came %+v, want %+v", way.door, p, want)
			}
		}
		if len(got) != 3 {
			t.Errorf("%s: came %+v, want the test and two events", way.door, got)
		}
	}
}
