package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"parley.im/parley/auth"
	"parley.im/parley/store"
)

// hintAt is where a problem's hint stands among its errors.
const hintAt = "hint"

// A Refusal is an error that says to the caller why something is not done.
type Refusal struct {
	Status int
	Text   string
	Hint   string // what to do about it
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
func (a *API) problem(err error) *huma.ErrorModel {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		id := randomID()
		a.log.Error("request failed", "id", id, "err", err)
		p.Detail = "something is wrong with the server; its log says more under " + id
	}
	return p
}

// problemOf is an error as the caller gets it (RFC 9457).
func problemOf(err error) *huma.ErrorModel {
	p := &huma.ErrorModel{Status: statusOf(err), Detail: err.Error()}
	p.Title = http.StatusText(p.Status)
	if r, ok := errors.AsType[*Refusal](err); ok && r.Hint != "" {
		p.Errors = []*huma.ErrorDetail{{Location: hintAt, Message: r.Hint}}
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
	w.WriteHeader(r.Status)
	json.NewEncoder(w).Encode(problemOf(r)) // an error means that the caller is gone
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
	var p huma.ErrorModel
	if json.Unmarshal(body, &p) != nil || p.Status == 0 {
		return nil
	}
	r := &Refusal{Status: p.Status, Text: p.Detail}
	for _, e := range p.Errors {
		if e.Location == hintAt {
			r.Hint = e.Message
		} else {
			r.Text += "; " + e.Location + ": " + e.Message
		}
	}
	return r
}
