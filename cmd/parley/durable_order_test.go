package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// An arrival is an event that came to the receiver which wants order.
type arrival struct {
	conversation string
	seq          int64
	made         time.Time // when the attempt was, by the sender's clock
	came, left   int       // counted over all that comes and is answered
	taken        bool
}

// An orderBook is what that receiver notes. It refuses one event of each conversation once.
type orderBook struct {
	mu       sync.Mutex // guards what follows
	clock    int
	arrivals []*arrival
	refused  map[string]bool // conversations
	origins  map[string]bool // messages that were told of
	bad      []string
	kills    []time.Time
}

const refusedSeq = 7

// receiveInOrder registers a receiver for the events of each conversation one after the other.
func (s *scene) receiveInOrder(events string) *orderBook {
	s.t.Helper()
	o := &orderBook{refused: make(map[string]bool), origins: make(map[string]bool)}
	must(s.t, "", "webhook", "add", "-account", "desk", "-url", receiverAt(s.t, filepath.Dir(s.config), o), "-events", events,
		"-ordering", "contact", "-config", s.config)
	return o
}

// receiverAt is a receiver's URL, with the certificate of an installation for localhost.
func receiverAt(t *testing.T, dir string, h http.Handler) (url string) {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls/cert.pem"), filepath.Join(dir, "tls/key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "https://localhost:" + port + "/events"
}

// ServeHTTP notes an event, and when it is answered.
func (o *orderBook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was killed at it
	}
	a := o.came(r.Header.Get("x-parley-delivery"), body)
	if a == nil {
		return
	}
	if !a.taken {
		w.WriteHeader(http.StatusInternalServerError)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clock++
	a.left = o.clock
}

func (o *orderBook) came(delivery string, body []byte) *arrival {
	o.mu.Lock()
	defer o.mu.Unlock()
	var e event
	made, ok := ulidTime(delivery)
	if err := json.Unmarshal(body, &e); err != nil || !ok {
		o.bad = append(o.bad, fmt.Sprintf("%s: %s: %v", delivery, body, err))
		return nil
	}
	o.clock++
	a := &arrival{conversation: e.Data.Conversation.ID, seq: e.Data.Seq, made: made, came: o.clock, taken: true}
	if a.seq == refusedSeq && !o.refused[a.conversation] {
		o.refused[a.conversation] = true
		a.taken = false
	} else {
		o.origins[e.Data.Message.OriginID] = true
	}
	o.arrivals = append(o.arrivals, a)
	return a
}

// ulidTime is the time in a delivery's id.
func ulidTime(id string) (time.Time, bool) {
	text, ok := strings.CutPrefix(id, "dlv_")
	if !ok || len(text) != 26 {
		return time.Time{}, false
	}
	var ms int64
	for _, c := range text[:10] {
		i := strings.IndexRune("0123456789ABCDEFGHJKMNPQRSTVWXYZ", c)
		if i < 0 {
			return time.Time{}, false
		}
		ms = ms<<5 | int64(i)
	}
	return time.UnixMilli(ms), true
}

// killed says that the server is dead: what was sent before and after was sent by two.
func (o *orderBook) killed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kills = append(o.kills, time.Now())
}

// life is which server has made an attempt.
func (o *orderBook) life(a *arrival) int {
	n := 0
	for _, at := range o.kills {
		if at.Before(a.made) {
			n++
		}
	}
	return n
}

func (o *orderBook) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.arrivals)
}

// verify fails the test if anything came out of order: what is new to the receiver comes by number,
// without a gap, and from one server everything does, the next only after the answer to the last.
func (o *orderBook) verify(t *testing.T) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range o.bad {
		t.Errorf("not an event: %s", b)
	}
	newest := make(map[string]int64)
	last := make(map[string]*arrival) // of one server
	again := 0
	for _, a := range o.arrivals {
		if a.taken {
			switch {
			case a.seq == newest[a.conversation]+1:
				newest[a.conversation]++
			case a.seq > newest[a.conversation]:
				t.Errorf("conversation %s: %d came, and before it only those up to %d", a.conversation, a.seq, newest[a.conversation])
				newest[a.conversation] = a.seq
			default:
				again++
			}
		}
		key := fmt.Sprint(a.conversation, " ", o.life(a))
		if before := last[key]; before != nil {
			switch {
			case before.left == 0 || before.left > a.came:
				t.Errorf("conversation %s: %d came before the answer to %d", a.conversation, a.seq, before.seq)
			case before.taken && a.seq <= before.seq:
				t.Errorf("conversation %s: one server sent %d after %d", a.conversation, a.seq, before.seq)
			}
		}
		last[key] = a
	}
	t.Logf("%d events of %d conversations came, %d of them again; %d conversations had one refused", len(o.arrivals), len(newest), again, len(o.refused))
	if len(o.refused) == 0 {
		t.Error("nothing was refused")
	}
}

// However often the server is killed, an endpoint with order gets every event, and those of a
// conversation one after the other.
func TestWebhooksKeepTheirOrderWhenKilled(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	rounds := kills
	if testing.Short() {
		rounds = 5
	}
	c := newCrowd(t, rng, 0)
	o := c.receiveInOrder("message.created")
	for round := range rounds {
		p := startParley(t, c.config)
		c.began(c.started(p))
		if round%2 == 0 {
			<-time.After(time.Duration(rng.Int64N(int64(400 * time.Millisecond))))
		} else {
			want := o.count() + 1 + rng.IntN(100)
			c.until("events", func() string {
				if n := o.count(); n < want {
					return fmt.Sprintf("%d came, want %d", n, want)
				}
				return ""
			})
		}
		c.mu.Lock()
		c.addr = ""
		c.mu.Unlock()
		p.kill()
		o.killed()
		p.sound(t)
		if t.Failed() {
			t.Fatalf("after %d kills; the server's log:\n%s", round+1, p.out)
		}
	}
	p := startParley(t, c.config)
	c.began(p.ready(t))
	c.finish()
	c.until("webhooks in order", func() string {
		o.mu.Lock()
		defer o.mu.Unlock()
		for id := range c.sent {
			if !o.origins[id] {
				return fmt.Sprintf("no event tells of %s; %d of %d messages are told", id, len(o.origins), len(c.sent))
			}
		}
		return ""
	})
	p.stop(t)
	o.verify(t)
	if !slices.IsSortedFunc(o.kills, time.Time.Compare) {
		t.Error("the clock went backwards, which this test does not bear")
	}
}
