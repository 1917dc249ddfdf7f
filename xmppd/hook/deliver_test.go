package hook

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"parley.im/parley/store"
)

// VIV-4, VIV-6: what a receiver gets, over a real connection, checked with the
// library that receivers use.
func TestAReceiverCanVerifyEachEvent(t *testing.T) {
	ca := newAuthority(t)
	r := &receiver{}
	m := newLedger(t).with(store.Endpoint{ID: "wh_1", URL: https(t, ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour)), r)})
	c := loopback(ca)
	c.Host = "eu1.parley.example"
	start(t, c, desk(m))
	m.say("one", "two", "three")
	m.add(store.KindAgentAvailable, `{"agent":{"jid":"anna@desk.example"}}`)
	for n := 0; n < 4; {
		n += len(m.next("wh_1").Attempts)
	}

	lib, err := standardwebhooks.NewWebhook(sampleSecret)
	if err != nil {
		t.Fatal(err)
	}
	a := desk(m)
	events := make(map[string]int)
	for _, s := range r.all() {
		if err := lib.Verify(s.body, s.header); err != nil {
			t.Errorf("webhook-signature: %v", err)
		}
		events[s.header.Get("x-parley-event")]++
		for name, want := range map[string]string{
			"content-type":      `application/json; charset=utf-8`,
			"user-agent":        `Parley-Webhooks/1`,
			"webhook-id":        `evt_[a-z2-7]{26}`,
			"webhook-timestamp": `\d{10}`,
			"x-vvc-hmac":        HMAC(sampleToken, s.body),
			"x-vvc-host":        `eu1\.parley\.example`,
			"x-vvc-acct":        `desk`,
			"x-parley-attempt":  `1`,
			"x-parley-delivery": `dlv_[0-9A-HJKMNP-TV-Z]{26}`,
		} {
			got := s.header.Values(name)
			if len(got) != 1 || !regexp.MustCompile("^("+want+")$").MatchString(got[0]) {
				t.Errorf("%s: %q, want %s", name, got, want)
			}
		}
		if s.header.Get("accept-encoding") != "" || s.proto != "HTTP/2.0" || s.path != "/parley" {
			t.Errorf("request by %s to %s accepts %q", s.proto, s.path, s.header.Get("accept-encoding"))
		}
		o, err := m.ParseArchiveID(0, strings.TrimPrefix(s.header.Get("webhook-id"), "evt_"))
		if err != nil {
			t.Fatal(err)
		}
		m.Entries(t.Context(), []store.Ordinal{o}, func(e *store.Entry) error {
			if want, err := Body(&a, e, ""); err != nil || !bytes.Equal(want, s.body) {
				t.Errorf("body = %s, want %s (%v)", s.body, want, err)
			}
			return nil
		})
	}
	if events["message.created"] != 3 || events["agent.available"] != 1 {
		t.Errorf("events = %v", events)
	}
	for _, at := range m.tried("wh_1") {
		if at.Status != 204 || at.Err != "" || at.Number != 1 || at.Conversation == 0 || at.At.IsZero() || at.Event == "" {
			t.Errorf("attempt = %+v", at)
		}
	}
	if got := m.get("wh_1").Cursor; got != 4 {
		t.Errorf("cursor = %d, want 4", got)
	}
}

// VIV-5
func TestCertificatesAreVerified(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	year := time.Now().Add(300 * 24 * time.Hour)
	r := &receiver{}
	plain := httptest.NewServer(r)
	t.Cleanup(plain.Close)
	for _, c := range []struct{ name, in, want string }{
		{"a stranger's", https(t, stranger.issue(t, "127.0.0.1", year), r), "TLS: the receiver's certificate does not lead to a trusted authority"},
		{"self-signed", https(t, selfSigned(t, "127.0.0.1"), r), "TLS: the receiver's certificate does not lead to a trusted authority"},
		{"not yet valid", https(t, ca.issueFrom(t, "127.0.0.1", time.Now().Add(time.Hour), year), r), "TLS: the receiver's certificate has expired or is not valid yet"},
		{"wrong name", https(t, ca.issue(t, "shop.example", year), r), `TLS: the receiver's certificate is not for the name "127.0.0.1"`},
		{"expired", https(t, ca.issue(t, "127.0.0.1", time.Now().Add(-time.Hour)), r), "TLS: the receiver's certificate has expired or is not valid yet"},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), "TLS: the receiver does not speak TLS at this port"},
	} {
		m := newLedger(t).with(store.Endpoint{ID: "wh_1", URL: c.in})
		_, stop := start(t, loopback(ca), desk(m))
		m.say("MARKER")
		at := m.next("wh_1").Attempts[0]
		stop()
		if at.Err != c.want || at.Status != 0 {
			t.Errorf("%s: recorded %d %q, want %q", c.name, at.Status, at.Err, c.want)
		}
		if rows := m.rows("wh_1"); len(rows) != 1 || rows[0].Attempt != 1 || rows[0].Ordinal != 1 {
			t.Errorf("%s: rows = %+v", c.name, rows)
		}
	}
	if got := r.all(); len(got) != 0 {
		t.Errorf("%d requests arrived without a good certificate", len(got))
	}
}

func TestFailuresAreRecordedWithoutTheirContents(t *testing.T) {
	ca := newAuthority(t)
	echo := rawServer(t, "NOT HTTP MARKER\r\n\r\n")
	deaf := rawServer(t, "")
	cert := ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour))
	moved := &receiver{}
	other := &receiver{}
	moved.say(status(http.StatusTemporaryRedirect, "Location", https(t, cert, other)))
	for _, c := range []struct {
		name, in, want string
		status         int
	}{
		{"no HTTP", "http://" + echo, "the receiver's answer cannot be understood", 0},
		{"closes", "http://" + deaf, "the receiver closed the connection without an answer", 0},
		{"redirect", https(t, cert, moved), "the receiver answered 307: redirects are not followed", 307},
		{"server error", https(t, cert, status(500)), "the receiver answered 500 Internal Server Error", 500},
		{"informal", https(t, cert, status(299)), "", 299},
		{"private address", "https://192.168.0.1/MARKER", "refused to connect to 192.168.0.1:443: not a public address", 0},
		{"bad URL", "https://[MARKER", "the endpoint's URL cannot be used", 0},
		{"no such host", "https://shop.invalid/MARKER", "the receiver's name cannot be resolved", 0},
	} {
		m := newLedger(t).with(store.Endpoint{ID: "wh_1", URL: c.in})
		_, stop := start(t, loopback(ca), desk(m))
		m.say("MARKER")
		at := m.next("wh_1").Attempts[0]
		stop()
		if !strings.HasPrefix(at.Err, c.want) || c.want == "" && at.Err != "" || at.Status != c.status {
			t.Errorf("%s: recorded %d %q, want %d %q", c.name, at.Status, at.Err, c.status, c.want)
		}
		if strings.Contains(at.Err, "MARKER") { // I7
			t.Errorf("%s: the error quotes: %q", c.name, at.Err)
		}
	}
	if got := other.all(); len(got) != 0 {
		t.Error("a redirect was followed")
	}
}

// rawServer answers whatever comes with these bytes.
func rawServer(t *testing.T, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 64<<10))
			io.WriteString(c, answer)
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

func TestTheAnswersBeginningIsKept(t *testing.T) {
	ca := newAuthority(t)
	var left atomic.Int64
	endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			n, err := w.Write(bytes.Repeat([]byte("x"), 1024))
			left.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	m := newLedger(t).with(store.Endpoint{ID: "wh_1", URL: https(t, ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour)), endless)})
	start(t, loopback(ca), desk(m))
	m.say("hello")
	at := m.next("wh_1").Attempts[0]
	if at.Err != "" || at.Status != 200 || len(at.Answer) != maxAnswer {
		t.Errorf("attempt = %d %q with %d bytes of answer, want 200 with %d", at.Status, at.Err, len(at.Answer), maxAnswer)
	}
	if left.Load() > 64<<20 {
		t.Errorf("%d bytes were taken of an endless answer", left.Load())
	}
}

func TestPlainHTTPGetsThinBodies(t *testing.T) {
	r := &receiver{}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	m := newLedger(t).with(store.Endpoint{ID: "wh_1", URL: s.URL})
	start(t, Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, desk(m))
	m.say("MARKER")
	m.next("wh_1")
	if got := r.all(); len(got) != 1 || bytes.Contains(got[0].body, []byte("MARKER")) || !bytes.Contains(got[0].body, []byte(`"thin":true`)) {
		t.Errorf("got %+v", got)
	}
}

func TestEndpointsGetWhatTheyAskedFor(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour))
	all, agents, logins := &receiver{}, &receiver{}, &receiver{}
	m := newLedger(t).
		with(store.Endpoint{ID: "wh_all", URL: https(t, cert, all)}).
		with(store.Endpoint{ID: "wh_agents", URL: https(t, cert, agents), Events: []string{"agent.*"}}).
		with(store.Endpoint{ID: "wh_logins", URL: https(t, cert, logins), Events: []string{"security.login_failed"}})
	m.say("one")
	m.add(store.KindAgentAvailable, `{}`)
	m.add(store.KindAgentUnavailable, `{}`)
	m.add(store.KindWebhookTest, `{"endpoint":"wh_logins"}`)
	m.add(store.Kind(200), `{}`)
	shredded := m.between("carla", "dora")
	m.put(shredded, store.KindMessage, string(said(store.Message{Type: "chat"}).Data))
	if err := m.Shred(t.Context(), shredded.ID()); err != nil {
		t.Fatal(err)
	}
	m.put(m.pair, store.KindMessage, "not a message")
	m.add(store.KindWebhookTest, `{"endpoint":"wh_other"}`)
	m.add(store.KindLoginFailed, `{}`)
	_, stop := start(t, loopback(ca), desk(m))
	for want := map[string]store.Ordinal{"wh_all": 9, "wh_agents": 9, "wh_logins": 9}; len(want) > 0; {
		select {
		case p := <-m.advanced:
			if p.Cursor == 9 {
				delete(want, p.Endpoint)
			}
			if p.Endpoint == "wh_agents" && p.Cursor >= 3 {
				delete(want, p.Endpoint) // the rest only moves its cursor, which is kept later
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("cursors of %v did not move", want)
		}
	}
	stop()
	for _, c := range []struct {
		name string
		in   *receiver
		want string
	}{
		{"all", all, "agent.available agent.unavailable message.created security.login_failed"},
		{"agents", agents, "agent.available agent.unavailable"},
		{"logins", logins, "security.login_failed webhook.test"},
	} {
		var got []string
		for _, s := range c.in.all() {
			got = append(got, s.header.Get("x-parley-event"))
		}
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.name, got, c.want)
		}
	}
	for _, e := range []string{"wh_all", "wh_agents", "wh_logins"} {
		if got := m.get(e).Cursor; got != 9 {
			t.Errorf("cursor of %s = %d after the end, want 9", e, got)
		}
	}
}

func TestReloadTakesUpAndDropsEndpoints(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour))
	old, young := &receiver{}, &receiver{}
	m := newLedger(t).with(store.Endpoint{ID: "wh_old", URL: https(t, cert, old)})
	s, _ := start(t, loopback(ca), desk(m))
	m.say("one")
	m.next("wh_old")

	m.with(store.Endpoint{ID: "wh_young", URL: https(t, cert, young), Cursor: 1})
	if err := m.DeleteEndpoint(t.Context(), "wh_old"); err != nil {
		t.Fatal(err)
	}
	s.Reload("desk")
	m.say("two")
	if p := m.next("wh_young"); len(p.Attempts) != 1 || p.Attempts[0].Ordinal != 2 {
		t.Errorf("the new endpoint got %+v", p.Attempts)
	}
	m.say("three")
	m.next("wh_young")
	for _, s := range old.all() {
		if bytes.Contains(s.body, []byte("three")) {
			t.Error("a removed endpoint got an event")
		}
	}
}
