package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
)

// requestMax bounds the body of a request in bytes.
const requestMax = 1 << 20

// Prefix is where all paths of the API begin.
const Prefix = "/v1/"

// ServeHTTP answers a request of somebody who has yet to say who it is.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer a.survive(w)
	w.Header().Set("Cache-Control", "no-store")
	if !straight(r) {
		missing("there is no such path").write(w)
		return
	}
	if r.Method == http.MethodGet && (r.URL.Path == "/v1/openapi.json" || r.URL.Path == "/v1/openapi.yaml") {
		a.mux.ServeHTTP(w, r) // what there is to ask for is no secret
		return
	}
	body, refused := readBody(w, r)
	if refused != nil {
		refused.write(w)
		return
	}
	c, refused := a.authenticate(r, body)
	if refused != nil {
		if refused.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="parley", Bearer realm="parley", PARLEY-HMAC-SHA512`)
		}
		refused.write(w)
		return
	}
	if !a.requests.count(w, c.key, a.now()) {
		tooMany.write(w)
		return
	}
	a.idempotent(w, r, c, body)
}

// Operate answers a request of the operator's for an account. The path is the one that
// a program would ask for.
func (a *API) Operate(w http.ResponseWriter, r *http.Request, account Account, uid uint32, path string) {
	defer a.survive(w)
	c := &caller{Account: account, operator: true, uid: uid, role: Owner}
	r = r.Clone(r.Context())
	r.URL.Path, r.URL.RawPath = path, ""
	a.dispatch(w, r, c)
}

// dispatch lets the route's handler answer.
func (a *API) dispatch(w http.ResponseWriter, r *http.Request, c *caller) {
	c.path = r.URL.Path
	handler, pattern := a.mux.Handler(r)
	if pattern == "" {
		a.noRoute(w, r, handler)
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
		(&Refusal{Status: s.status, Text: "this path knows no " + r.Method}).write(w)
		return
	}
	missing("there is no such path").write(w)
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
	a.log.Error("request broke", "id", id, "panic", v, "stack", string(debug.Stack()))
	(&Refusal{Status: http.StatusInternalServerError, Text: "something is wrong with the server; its log says more under " + id}).write(w)
}

// straight says whether the path means what it says: no dots, no empty parts, no slash
// or control that hides behind a percent sign.
func straight(r *http.Request) bool {
	p := r.URL.Path
	if r.URL.RawPath != "" && strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") || strings.ContainsFunc(p, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }) {
		return false
	}
	return path.Clean(p) == p
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *Refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestMax))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, newRefusal(http.StatusRequestEntityTooLarge, "a request has at most %d bytes", []any{requestMax})
	}
	if err != nil {
		return nil, newRefusal(http.StatusBadRequest, "the request did not arrive whole", nil)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}
