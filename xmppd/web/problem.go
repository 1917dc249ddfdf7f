package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley.im/parley/auth"
	"parley.im/parley/store"
)

// A Refusal is an error that says to the caller why something is not done.
type Refusal struct {
	Kind   Kind
	Status int
	Text   string
	Hint   string // what to do about it
	Others []Fault

	RetryAfter time.Duration // when it may be otherwise; 0 says nothing
}

// A Fault is one of several.
type Fault struct {
	Text string `json:"detail"`
	Hint string `json:"hint,omitempty"`
}

// A problem is what the caller gets (RFC 9457).
type problem struct {
	huma.ErrorModel
	Hint   string  `json:"hint,omitempty"`
	Others []Fault `json:"others,omitempty"`

	retryAfter time.Duration
}

// GetHeaders adds to the answer.
func (p *problem) GetHeaders() http.Header {
	h := make(http.Header)
	if p.retryAfter > 0 {
		h.Set("Retry-After", seconds(p.retryAfter))
	}
	return h
}

func (e *Refusal) Error() string { return e.Text }

// Unwrap lets the store's errors be recognized.
func (e *Refusal) Unwrap() error {
	switch e.Status {
	case http.StatusNotFound:
		return store.ErrNotFound
	case http.StatusConflict:
		return store.ErrConflict
	}
	return nil
}

func (e *Refusal) hint(format string, args ...any) *Refusal {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

func (e *Refusal) after(d time.Duration) *Refusal {
	e.RetryAfter = d
	return e
}

// Refuse is a refusal of a kind.
func Refuse(kind Kind, format string, args ...any) *Refusal {
	return &Refusal{Kind: kind, Status: kind.status(), Text: fmt.Sprintf(format, args...)}
}

func refuse(format string, args ...any) *Refusal   { return Refuse(Invalid, format, args...) }
func missing(format string, args ...any) *Refusal  { return Refuse(NotFound, format, args...) }
func conflict(format string, args ...any) *Refusal { return Refuse(Conflict, format, args...) }

func isMissing(err error) bool { return errors.Is(err, store.ErrNotFound) }

// refusal is RefusalOf for a handler's error: what is ours is logged, and the caller gets a
// number to ask the operator about.
func (a *API) refusal(err error) *Refusal {
	r := RefusalOf(err)
	if r.Status == http.StatusInternalServerError {
		id := randomID()
		a.log.Error("request failed", "id", id, "err", err)
		r = broken(id)
	}
	return r
}

func broken(id string) *Refusal {
	return Refuse(Internal, "something is wrong with the server; its log says more under %s", id)
}

// problemOf is an error as the caller gets it (RFC 9457).
func problemOf(err error) *problem {
	r := RefusalOf(err)
	return &problem{
		ErrorModel: huma.ErrorModel{Type: kindURI + string(r.Kind), Title: r.Kind.title(), Status: r.Status, Detail: r.Text},
		Hint:       r.Hint, Others: r.Others, retryAfter: r.RetryAfter,
	}
}

// RefusalOf is any error as a refusal.
func RefusalOf(err error) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	kind := Internal
	switch {
	case errors.Is(err, store.ErrNotFound):
		kind = NotFound
	case errors.Is(err, store.ErrConflict):
		kind = Conflict
	case errors.Is(err, auth.ErrWeak):
		kind = WeakPassword
	case errors.Is(err, auth.ErrName), errors.Is(err, auth.ErrPassword):
		kind = Invalid
	case errors.Is(err, store.ErrTooMany):
		kind = LimitReached
	case errors.Is(err, store.ErrFull), errors.Is(err, store.ErrUnavailable):
		kind = Unavailable
	}
	return Refuse(kind, "%v", err)
}

// Write answers with the refusal, outside of the routes.
func (r *Refusal) Write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	if r.RetryAfter > 0 {
		w.Header().Set("Retry-After", seconds(r.RetryAfter))
	}
	w.WriteHeader(r.Status)
	json.NewEncoder(w).Encode(problemOf(r)) // an error means that the caller is gone
}

// finished gives a fault in a request its kind, and takes what was sent out of it: it may be a
// password.
func finished(_ huma.Context, _ string, v any) (any, error) {
	if p, ok := v.(*huma.ErrorModel); ok {
		kind := kindOf(p.Status)
		p.Type, p.Title = kindURI+string(kind), kind.title()
		for _, e := range p.Errors {
			e.Value = nil
		}
	}
	return v, nil
}

// ReadProblem reads an answer that is a problem. Nil means that it isn't.
func ReadProblem(body []byte) *Refusal {
	var p problem
	if json.Unmarshal(body, &p) != nil || p.Status == 0 {
		return nil
	}
	r := &Refusal{Kind: Kind(strings.TrimPrefix(p.Type, kindURI)), Status: p.Status, Text: p.Detail, Hint: p.Hint, Others: p.Others}
	for _, e := range p.Errors {
		r.Text += "; " + e.Location + ": " + e.Message
	}
	return r
}
