package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"parley.im/parley/xmppd/panics"
)

const (
	// requestMax bounds the body of a request in bytes.
	requestMax = 1 << 20
	// allAtOnce is how many requests are worked on at the same time, of all keys.
	allAtOnce = 64
	// claimsAtOnce is how many bodies are read of those whose signature is not verified yet.
	claimsAtOnce = 16
)

// Prefix is where all paths of the API begin.
const Prefix = "/v1/"

// ServeHTTP answers a request of somebody who has yet to say who it is.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w = &counting{ResponseWriter: w, stats: &a.Stats}
	defer a.survive(w)
	w.Header().Set("Cache-Control", "no-store")
	if a.describe(w, r) {
		return
	}
	// WCP-16: a browser that has kept somebody's password is not led here by another site's page.
	if err := a.sameOrigin.Check(r); err != nil {
		Refuse(OtherOrigin, "a page of another origin does not ask for anything here").Write(w)
		return
	}
	if refused := a.serve(w, r); refused != nil {
		if r.Body != http.NoBody {
			w.Header().Set("Connection", "close") // or net/http waits for the rest of the body before it answers
		}
		if refused.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="parley", Bearer realm="parley", PARLEY-HMAC-SHA512`)
		}
		refused.Write(w)
	}
}

// serve takes a request in, in the order of what it costs: who asks, how often, and only
// then what.
func (a *API) serve(w http.ResponseWriter, r *http.Request) *Refusal {
	if !Straight(r.URL) {
		return missing("there is no such path")
	}
	began := a.now()
	p, refused := a.identify(r)
	if refused != nil {
		return refused
	}
	c := p.caller
	var body []byte
	if p.signed != nil {
		if body, refused = a.signedBody(w, r, p, began); refused != nil {
			return refused
		}
	}
	if refused := a.requests.count(w.Header(), c.key, began); refused != nil {
		return refused
	}
	if !a.requests.enter(c.key, began) {
		return Refuse(TooManyAtOnce, "%d requests of this key are being worked on", atOnce).after(time.Second)
	}
	defer a.requests.leave(c.key)
	if !take(a.running) {
		return busy()
	}
	defer give(a.running)
	if refused := strictQuery(r); refused != nil {
		return refused
	}
	if p.signed == nil {
		if body, refused = readBody(w, r); refused != nil {
			return refused
		}
	} else if err := p.once(); err != nil {
		return a.stranger(r, err, began)
	}
	if refused := a.idempotent(w, r, c, body); refused != nil {
		refused.Write(w)
	}
	return nil
}

// signedBody reads what is signed, of somebody whose signature is not known to be good until
// then: of not many at a time, so that nobody fills the memory by claiming to be somebody.
func (a *API) signedBody(w http.ResponseWriter, r *http.Request, p proof, began time.Time) ([]byte, *Refusal) {
	if !take(a.claims) {
		return nil, busy()
	}
	defer give(a.claims)
	body, refused := readBody(w, r)
	if refused != nil {
		return nil, refused
	}
	if err := p.signed(body); err != nil {
		return nil, a.stranger(r, err, began)
	}
	return body, nil
}

func busy() *Refusal {
	return Refuse(Busy, "the server is busy").after(time.Second)
}

// take takes a place, if there is one.
func take(places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
		return false
	}
}

func give(places chan struct{}) { <-places }

// Operate answers a request of the operator's for an account. The path is the one that
// a program would ask for.
func (a *API) Operate(w http.ResponseWriter, r *http.Request, account Account, uid uint32, path string) {
	defer a.survive(w)
	c := &caller{Account: account, operator: true, uid: uid, role: Owner}
	r = r.Clone(r.Context())
	r.URL.Path, r.URL.RawPath = path, ""
	a.dispatch(w, r, c)
}

// dispatch lets the route's handler answer, if the caller may ask for it.
func (a *API) dispatch(w http.ResponseWriter, r *http.Request, c *caller) {
	c.path = r.URL.Path
	handler, pattern := a.mux.Handler(r)
	id, ok := a.routes[pattern]
	if !ok || !Straight(r.URL) {
		a.noRoute(w, r, handler)
		return
	}
	if err := c.may(permissions[id]); err != nil {
		err.Write(w)
		return
	}
	a.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
}

// noRoute says that there is no such path, or not for that method, which only the mux's
// own answer tells.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request, handler http.Handler) {
	s := &swallow{header: make(http.Header)}
	handler.ServeHTTP(s, r)
	if s.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", s.header.Get("Allow"))
		Refuse(NoMethod, "this path knows no %s", r.Method).Write(w)
		return
	}
	missing("there is no such path").Write(w)
}

// A swallow takes an answer that nobody sees.
type swallow struct {
	header http.Header
	status int
}

func (s *swallow) Header() http.Header         { return s.header }
func (s *swallow) WriteHeader(status int)      { s.status = status }
func (s *swallow) Write(b []byte) (int, error) { return len(b), nil }

// survive answers for a handler that broke, and logs where.
func (a *API) survive(w http.ResponseWriter) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	id := randomID()
	panics.Log(a.log.With("id", id), v)
	broken(id).Write(w)
}

// Straight says whether a path means what it says: no dots, no empty parts, no slash or
// control that hides behind a percent sign.
func Straight(u *url.URL) bool {
	hidden := strings.Contains(strings.ToLower(u.RawPath), "%2f")
	odd := strings.ContainsFunc(u.Path, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' })
	clean := path.Clean(u.Path)
	return !hidden && !odd && (clean == u.Path || clean+"/" == u.Path)
}

// strictQuery refuses a query that two readers could take for different ones.
func strictQuery(r *http.Request) *Refusal {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Refuse(Malformed, "the query is not as it should be")
	}
	for name, values := range query {
		if len(values) > 1 {
			return Refuse(Malformed, "%q is asked for twice", name)
		}
	}
	return nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *Refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestMax))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, Refuse(TooLarge, "a request has at most %d bytes", requestMax)
	}
	if err != nil {
		return nil, Refuse(Malformed, "the request did not arrive whole")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}
