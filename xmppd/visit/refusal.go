package visit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/upload"
)

// A refusal says to a visitor's client why something is not done: a code for the program and
// a text for people.
type refusal struct {
	code, text string
}

// The codes.
const (
	codeInvalid     = "invalid"     // not what docs/visitors.md says
	codeEmpty       = "empty"       // nothing in it
	codeTooLong     = "too_long"    // too much in it
	codeUnknown     = "unknown"     // no such account, path, token
	codeToken       = "token"       // a token that is good no more, or never was
	codeIdentity    = "identity"    // a JWT that isn't good
	codeOrigin      = "origin"      // a page of somebody else asks
	codeBanned      = "banned"      //
	codeLimit       = "limit"       // too much, or too often
	codeClosed      = "closed"      // the contact is over
	codeNotNow      = "not_now"     // not in the state that it is in
	codeConflict    = "conflict"    // an id that was used for something else
	codeAddress     = "address"     // not an address that it may be sent to
	codeMissing     = "missing"     // a field that must be filled in is not
	codeUnavailable = "unavailable" // try again

	// Of files.
	codeTooLarge = string(upload.TooLarge)
	codeType     = string(upload.BadType)
	codeRefused  = string(upload.Harmful)

	codeWork = "work" // some is to be done first
)

var statuses = map[string]int{
	codeInvalid: http.StatusUnprocessableEntity, codeEmpty: http.StatusUnprocessableEntity, codeTooLong: http.StatusUnprocessableEntity,
	codeMissing: http.StatusUnprocessableEntity, codeIdentity: http.StatusUnprocessableEntity,
	codeUnknown: http.StatusNotFound, codeToken: http.StatusUnauthorized, codeOrigin: http.StatusForbidden, codeAddress: http.StatusForbidden, codeBanned: http.StatusForbidden,
	codeLimit: http.StatusTooManyRequests, codeClosed: http.StatusConflict, codeNotNow: http.StatusConflict, codeConflict: http.StatusConflict,
	codeUnavailable: http.StatusServiceUnavailable,
	codeTooLarge:    http.StatusRequestEntityTooLarge, codeType: http.StatusUnsupportedMediaType, codeRefused: http.StatusUnprocessableEntity, codeWork: http.StatusForbidden,
}

func (r refusal) Error() string { return r.text }

func refusalf(code, format string, args ...any) refusal {
	return refusal{code, fmt.Sprintf(format, args...)}
}

// A later is a refusal of what may be done then.
type later struct {
	refusal
	wait time.Duration
}

var (
	errToken   = refusal{codeToken, "the token is not good, or not any more"}
	errBanned  = refusal{codeBanned, "you can't write to us from here"}
	errAccount = refusal{codeUnknown, "there is no such account"}
)

// refused is an error as a visitor may see it. What is the server's own is logged.
func (a *account) refused(err error) refusal {
	if r, ok := errors.AsType[refusal](err); ok {
		return r
	}
	if r, ok := errors.AsType[later](err); ok {
		return r.refusal
	}
	switch {
	case errors.Is(err, desk.ErrClosed), errors.Is(err, desk.ErrUnknown), errors.Is(err, store.ErrNotFound):
		return refusal{codeClosed, "this conversation is closed"}
	case errors.Is(err, desk.ErrNotNow):
		return refusal{codeNotNow, err.Error()}
	case !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, context.Canceled):
		a.log.Error("a visitor's request failed", "err", err)
	}
	return refusal{codeUnavailable, "this can't be kept now; try again in a moment"}
}

// A problem is a refusal as HTTP has it (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

// write answers with a refusal; status 0 is the code's own.
func (s *Server) write(w http.ResponseWriter, r refusal, status int, wait time.Duration) {
	s.Stats.Refused.Add(1)
	if status == 0 {
		status = statuses[r.code]
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(problem{status, http.StatusText(status), r.text, r.code}) // an error means that the visitor is gone
}

// refuse answers with an error.
func (a *account) refuse(w http.ResponseWriter, err error) {
	wait := time.Duration(0)
	if l, ok := errors.AsType[later](err); ok {
		wait = l.wait
	}
	status := 0
	if err == errBody {
		status = http.StatusRequestEntityTooLarge
	}
	a.server.write(w, a.refused(err), status, wait)
}
