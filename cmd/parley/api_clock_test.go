package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley.im/parley/conf"
	"parley.im/parley/xmppd/web"
)

// A wrongClock is an installation by a clock that can be set.
type wrongClock struct {
	t       *testing.T
	config  string
	ahead   atomic.Int64 // of the true time
	i       *installation
	o       *operator
	signing web.KeyInfo
	basic   web.KeyInfo
	nonces  int
}

// newWrongClock makes it, with two keys.
func newWrongClock(t *testing.T) *wrongClock {
	t.Helper()
	_, config := quickstarted(t, "desk.example")
	w := &wrongClock{t: t, config: config}
	w.start()
	t.Cleanup(w.stop)
	for body, k := range map[string]*web.KeyInfo{`{"kind":"signing","role":"owner"}`: &w.signing, `{"role":"owner"}`: &w.basic} {
		r := httptest.NewRequest("POST", "/v1/accounts/desk/keys", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		w.o.ServeHTTP(answer, r)
		if err := json.Unmarshal(answer.Body.Bytes(), k); err != nil || answer.Code != 201 {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
	}
	return w
}

func (w *wrongClock) start() {
	w.t.Helper()
	f, err := conf.Load(w.config, []string{"api.requests_per_minute=40"})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.i, err = openInstallation(w.t.Context(), f, slog.New(slog.NewTextHandler(w.t.Output(), nil))); err != nil {
		w.t.Fatal(err)
	}
	w.i.now = func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())).Round(0) } // as after a jump, it knows no other time
	w.i.api = w.i.newAPI()
	w.o = newOperator(w.i)
}

func (w *wrongClock) stop() {
	if err := w.i.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *wrongClock) set(ahead time.Duration) { w.ahead.Store(int64(ahead)) }

// ask sends a request, and has an answer in seconds, however the clock stands.
func (w *wrongClock) ask(r *http.Request) *httptest.ResponseRecorder {
	w.t.Helper()
	answer := httptest.NewRecorder()
	began := time.Now()
	w.i.api.ServeHTTP(answer, r)
	if took := time.Since(began); took > 10*time.Second {
		w.t.Errorf("it took %v", took)
	}
	return answer
}

// want sends a copy of a request, which can be captured and sent again.
func (w *wrongClock) want(what string, r *http.Request, status ...int) {
	w.t.Helper()
	a := w.ask(r.Clone(w.t.Context()))
	for _, s := range status {
		if a.Code == s {
			return
		}
	}
	w.t.Errorf("%s: %d %s, want %d", what, a.Code, a.Body, status)
}

// signed is a request signed by a clock that is so far ahead of the true time.
func (w *wrongClock) signed(ahead time.Duration) *http.Request {
	w.nonces++
	r, at, nonce := httptest.NewRequest("GET", "/v1/key", nil), time.Now().Add(ahead).Unix(), fmt.Sprint("n-", w.nonces)
	sig := web.Sign([]byte(w.signing.Secret), "GET", "/v1/key", nil, at, nonce, nil)
	r.Header.Set("Authorization", fmt.Sprintf("PARLEY-HMAC-SHA512 key=%s, ts=%d, nonce=%s, sig=%x", w.signing.ID, at, nonce, sig))
	return r
}

// bearer is a request with a token made by such a clock, good for four minutes.
func (w *wrongClock) bearer(ahead time.Duration) *http.Request {
	w.t.Helper()
	now := time.Now().Add(ahead)
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"aud": "desk.example", "iat": now.Unix(), "exp": now.Add(4 * time.Minute).Unix()})
	token.Header["kid"] = w.signing.ID
	text, err := token.SignedString([]byte(w.signing.Secret))
	if err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/v1/key", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	return r
}

const (
	on = 20 * time.Second // the clock goes on between the steps of a test
)

// By a clock that jumps by a day, in either direction, what was signed by the right time is
// refused. When it is right again everything is as before, at once: nothing is taken twice, and
// nobody is locked out, also if the server is started again.
func TestAPISignaturesWhenTheClockJumps(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{day, -day} {
		t.Run(jump.String(), func(t *testing.T) {
			t.Parallel()
			w := newWrongClock(t)
			w.set(on)
			before := w.signed(on)
			w.want("before", before, 200)
			w.want("a token before", w.bearer(on), 200)

			w.set(jump + 2*on)
			during := w.signed(jump + 2*on)
			w.want("by the right time, the clock being wrong", w.signed(2*on), 401)
			w.want("by the wrong time", during, 200)
			w.want("before, again", before, 401, 503)
			w.want("a token by the right time", w.bearer(2*on), 401)
			w.want("a token by the wrong time", w.bearer(jump+2*on), 200)

			w.set(3 * on)
			after := w.signed(3 * on)
			w.want("when it is right again", after, 200)
			w.want("a token then", w.bearer(3*on), 200)
			for name, r := range map[string]*http.Request{"before": before, "during": during, "after": after} {
				w.want(name+", again", r, 401, 503)
			}
			w.want("a token of the wrong time", w.bearer(jump), 401)

			w.stop()
			w.start()
			w.set(5 * on)
			w.want("after a start", w.signed(5*on), 200)
			for name, r := range map[string]*http.Request{"before": before, "during": during, "after": after} {
				w.want(name+", again after a start", r, 401, 503)
			}
			w.set(jump + 6*on) // a day later, or it is wrong once more
			w.want("what was signed by that time, again", during, 503)
		})
	}
}

// Started by a clock that is a day ahead, which is then set right.
func TestAPISignaturesAfterAStartByAWrongClock(t *testing.T) {
	t.Parallel()
	w := newWrongClock(t)
	w.stop()
	w.set(day)
	w.start()
	w.set(day + on)
	during := w.signed(day + on)
	w.want("by the wrong time", during, 200)
	w.set(2 * on)
	w.want("when it is right", w.signed(2*on), 200)
	w.want("what was signed by the wrong time, again", during, 401)
}

// A key that has used up its minute, and strangers, hear when to go on; that is never more than
// a minute away.
func TestAPIRateLimitsWhenTheClockJumps(t *testing.T) {
	t.Parallel()
	w := newWrongClock(t)
	account := func() *http.Request {
		r := httptest.NewRequest("GET", "/v1/key", nil)
		r.SetBasicAuth(w.basic.ID, w.basic.Secret)
		return r
	}
	for _, ahead := range []time.Duration{day, 0, -day, 0} {
		w.set(ahead)
		for range 40 {
			w.want("within the limit", account(), 200)
		}
		a := w.ask(account())
		if wait, err := strconv.Atoi(a.Header().Get("Retry-After")); a.Code != 429 || err != nil || wait < 1 || wait > 60 {
			t.Errorf("beyond it, %v ahead: %d, Retry-After %q", ahead, a.Code, a.Header().Get("Retry-After"))
		}
	}
}

// What was done once is not done again because the clock says that a day has passed, nor after
// it was set back.
func TestAPIRepeatsWhenTheClockJumps(t *testing.T) {
	t.Parallel()
	w := newWrongClock(t)
	post := func(key string) (hook web.WebhookInfo) {
		t.Helper()
		r := httptest.NewRequest("POST", "/v1/webhooks", strings.NewReader(`{"url":"https://shop.example/"}`))
		r.SetBasicAuth(w.basic.ID, w.basic.Secret)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", key)
		a := w.ask(r)
		if err := json.Unmarshal(a.Body.Bytes(), &hook); err != nil || a.Code != 201 {
			t.Fatalf("%d %s", a.Code, a.Body)
		}
		return hook
	}
	first := post("first")
	var others []web.WebhookInfo
	for n, ahead := range []time.Duration{2 * day, 0, -2 * day, 0} {
		w.set(ahead)
		if again := post("first"); again.ID != first.ID {
			t.Errorf("%v ahead it was done again", ahead)
		}
		others = append(others, post(fmt.Sprint("other ", n)))
	}
	for n, hook := range others {
		if again := post(fmt.Sprint("other ", n)); again.ID != hook.ID {
			t.Errorf("what was done by the clock's state %d was done again", n)
		}
	}
}
