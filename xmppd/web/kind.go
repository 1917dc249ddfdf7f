package web

import "net/http"

// A Kind is what sort of problem something is, for programs to go by: a status may mean several
// things.
type Kind string

// kindURI begins a problem's type (RFC 9457 §3.1.1). It names the kind, in every installation the
// same, and leads nowhere: docs/api.md has the table.
const kindURI = "urn:parley:problem:"

// The kinds of problems.
const (
	Malformed      Kind = "malformed"
	Stranger       Kind = "not-known"
	BeyondRole     Kind = "beyond-role"
	BeyondScope    Kind = "beyond-scope"
	BeyondKey      Kind = "beyond-key"
	OtherOrigin    Kind = "other-origin"
	NotFound       Kind = "not-found"
	NoMethod       Kind = "no-such-method"
	Conflict       Kind = "conflict"
	BeingDone      Kind = "being-done"
	OutcomeUnknown Kind = "outcome-unknown"
	Closed         Kind = "closed"
	NotNow         Kind = "not-now"
	Changed        Kind = "changed"
	TooLarge       Kind = "too-large"
	MediaType      Kind = "media-type"
	OtherHost      Kind = "other-host"
	Invalid        Kind = "invalid"
	WeakPassword   Kind = "weak-password"
	LimitReached   Kind = "limit-reached"
	Disabled       Kind = "disabled"
	KeyReused      Kind = "key-reused"
	TooMany        Kind = "too-many"
	TooManyAtOnce  Kind = "too-many-at-once"
	Internal       Kind = "internal"
	Busy           Kind = "busy"
	Unavailable    Kind = "unavailable"
	SignAnew       Kind = "sign-anew"
)

// kinds are all of them by their status, and what they are called. The first of a status is what a
// problem is of which nothing else is said.
var kinds = []struct {
	kind   Kind
	status int
	title  string
}{
	{Malformed, http.StatusBadRequest, "The request cannot be read"},
	{Stranger, http.StatusUnauthorized, "It is not known who asks"},
	{BeyondRole, http.StatusForbidden, "The key's role is too low"},
	{BeyondScope, http.StatusForbidden, "The key has not that scope"},
	{BeyondKey, http.StatusForbidden, "A key may not do that, whatever its role"},
	{OtherOrigin, http.StatusForbidden, "A page of another site asks"},
	{NotFound, http.StatusNotFound, "There is no such thing"},
	{NoMethod, http.StatusMethodNotAllowed, "The path knows no such method"},
	{Conflict, http.StatusConflict, "It is there already, or somebody else was faster"},
	{BeingDone, http.StatusConflict, "The first request is still being worked on"},
	{OutcomeUnknown, http.StatusConflict, "It is not known what came of the first request"},
	{Closed, http.StatusConflict, "The contact is over"},
	{NotNow, http.StatusConflict, "It can't be done in the state that the contact is in"},
	{Changed, http.StatusPreconditionFailed, "It has changed meanwhile"},
	{TooLarge, http.StatusRequestEntityTooLarge, "The request is too large"},
	{MediaType, http.StatusUnsupportedMediaType, "That is no JSON"},
	{OtherHost, http.StatusMisdirectedRequest, "This is not under that name"},
	{Invalid, http.StatusUnprocessableEntity, "The request makes no sense"},
	{WeakPassword, http.StatusUnprocessableEntity, "The password is not good enough"},
	{LimitReached, http.StatusUnprocessableEntity, "There are as many as there may be"},
	{Disabled, http.StatusUnprocessableEntity, "It is disabled"},
	{KeyReused, http.StatusUnprocessableEntity, "The idempotency key was used for another request"},
	{TooMany, http.StatusTooManyRequests, "Too many requests"},
	{TooManyAtOnce, http.StatusTooManyRequests, "Too many requests at the same time"},
	{Internal, http.StatusInternalServerError, "The server made a mistake"},
	{Unavailable, http.StatusServiceUnavailable, "The server cannot do it now"},
	{Busy, http.StatusServiceUnavailable, "The server is busy"},
	{SignAnew, http.StatusServiceUnavailable, "Something signed then may have been taken already"},
}

func (k Kind) status() int {
	for _, about := range kinds {
		if about.kind == k {
			return about.status
		}
	}
	return http.StatusInternalServerError
}

func (k Kind) title() string {
	for _, about := range kinds {
		if about.kind == k {
			return about.title
		}
	}
	return ""
}

// kindOf is what a status says where nothing else does.
func kindOf(status int) Kind {
	for _, about := range kinds {
		if about.status == status {
			return about.kind
		}
	}
	if status < http.StatusInternalServerError {
		return Invalid
	}
	return Internal
}
