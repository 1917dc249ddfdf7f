package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley.im/parley/auth"
	"parley.im/parley/store"
)

// A Refusal is an error that says to the caller why something is not done.
type Refusal struct {
	Status int
	Text   string
	Hint   string // what to do about it

	RetryAfter time.Duration // when it may be otherwise; 0 says nothing
}

// A problem is what the caller gets (RFC 9457).
type problem struct {
	huma.ErrorModel
	Hint string `json:"hint,omitempty"`

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

func newRefusal(status int, format string, args []any) *Refusal {
	return &Refusal{Status: status, Text: fmt.Sprintf(format, args...)}
}

func refuse(format string, args ...any) *Refusal {
	return newRefusal(http.StatusUnprocessableEntity, format, args)
}

func missing(format string, args ...any) *Refusal {
	return newRefusal(http.StatusNotFound, format, args)
}

func conflict(format string, args ...any) *Refusal {
	return newRefusal(http.StatusConflict, format, args)
}

func forbidden(format string, args ...any) *Refusal {
	return newRefusal(http.StatusForbidden, format, args)
}

func isMissing(err error) bool { return errors.Is(err, store.ErrNotFound) }

// problem is problemOf for a handler's error: what is ours is logged, and the caller
// gets a number to ask the operator about.
func (a *API) problem(err error) *problem {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		id := randomID()
		a.log.Error("request failed", "id", id, "err", err)
		p.Detail = "something is wrong with the server; its log says more under " + id
	}
	return p
}

// problemOf is an error as the caller gets it (RFC 9457).
func problemOf(err error) *problem {
	p := &problem{ErrorModel: huma.ErrorModel{Status: statusOf(err), Detail: err.Error()}}
	p.Title = http.StatusText(p.Status)
	if r, ok := errors.AsType[*Refusal](err); ok {
		p.Detail, p.Hint, p.retryAfter = r.Text, r.Hint, r.RetryAfter
	}
	return p
}

func statusOf(err error) int {
	r, ok := errors.AsType[*Refusal](err)
	switch {
	case ok:
		return r.Status
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, store.ErrConflict):
		return http.StatusConflict
	case errors.Is(err, auth.ErrWeak), errors.Is(err, auth.ErrName), errors.Is(err, auth.ErrPassword):
		return http.StatusUnprocessableEntity
	case errors.Is(err, store.ErrFull), errors.Is(err, store.ErrUnavailable):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// write answers with an error outside of the routes.
func (r *Refusal) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	if r.RetryAfter > 0 {
		w.Header().Set("Retry-After", seconds(r.RetryAfter))
	}
	w.WriteHeader(r.Status)
	json.NewEncoder(w).Encode(problemOf(r)) // an error means that the caller is gone
}

func refusalOf(p *problem) *Refusal { return &Refusal{Status: p.Status, Text: p.Detail, Hint: p.Hint} }

// Refuse answers a request that does not reach the API.
func Refuse(w http.ResponseWriter, status int, text string) {
	(&Refusal{Status: status, Text: text}).write(w)
}

// withoutValues takes what was sent out of faults in it: it may be a password.
func withoutValues(_ huma.Context, _ string, v any) (any, error) {
	if p, ok := v.(*huma.ErrorModel); ok {
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
	r := &Refusal{Status: p.Status, Text: p.Detail, Hint: p.Hint}
	for _, e := range p.Errors {
		r.Text += "; " + e.Location + ": " + e.Message
	}
	return r
}
