package audit

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The outcomes of what was tried.
const (
	Done    = "done"
	Refused = "refused" // by a rule: nothing was changed
	Failed  = "failed"  // in part or in whole
	Unknown = "unknown" // the server ended meanwhile
)

// The kinds of actors.
const (
	Operator = "operator" // a user of this machine, by number
	Key      = "key"      // an API key, by its id
	Agent    = "agent"    // an agent in her client, by her number
	Server   = "server"   // itself
)

// An Actor is who did it.
type Actor struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// A Record is one thing that was done, or tried.
type Record struct {
	N       int64             `json:"n"`  // from 1, without gaps
	ID      string            `json:"id"` // made by Begin
	At      time.Time         `json:"at"` // when it began
	Actor   Actor             `json:"actor"`
	Action  string            `json:"action"`  // "agent.create"
	Object  string            `json:"object"`  // "agent/17"
	Outcome string            `json:"outcome"` // Done, …
	Address string            `json:"address"` // where the actor spoke from; "local" for the control socket
	Detail  map[string]string `json:"detail,omitempty"`
}

// What a record holds at most. Longer text is cut, so that every line has room in
// what was reserved for it.
const (
	fieldMax  = 512 // bytes
	detailMax = 8
	lineMax   = 16 << 10
)

// timeForm is RFC 3339 in UTC with milliseconds, always as long.
const timeForm = "2006-01-02T15:04:05.000Z"

// appendRecord writes a record as canonical JSON: sorted keys, no white space, no
// escape that is not needed (RFC 8785 §3.2).
func appendRecord(b []byte, r *Record) []byte {
	b = appendString(append(b, `{"action":`...), r.Action)
	b = appendString(append(b, `,"actor":{"id":`...), r.Actor.ID)
	b = appendString(append(b, `,"kind":`...), r.Actor.Kind)
	b = appendString(append(b, `},"address":`...), r.Address)
	b = appendString(append(b, `,"at":`...), r.At.UTC().Format(timeForm))
	if len(r.Detail) > 0 {
		b = append(b, `,"detail":{`...)
		for i, name := range slices.Sorted(maps.Keys(r.Detail)) {
			if i == detailMax {
				break
			}
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(append(appendString(b, name), ':'), r.Detail[name])
		}
		b = append(b, '}')
	}
	b = appendString(append(b, `,"id":`...), r.ID)
	b = strconv.AppendInt(append(b, `,"n":`...), r.N, 10)
	b = appendString(append(b, `,"object":`...), r.Object)
	b = appendString(append(b, `,"outcome":`...), r.Outcome)
	return append(b, '}')
}

// appendString writes text, cut where it is too long. What steers terminals, or is no
// character, becomes U+FFFD, so nothing but quotation marks and backslashes is escaped.
func appendString(b []byte, text string) []byte {
	b = append(b, '"')
	most := len(b) + fieldMax
	for _, r := range text {
		if len(b)+utf8.UTFMax > most {
			break
		}
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			b = utf8.AppendRune(b, utf8.RuneError)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// parseRecord reads a record that appendRecord wrote.
func parseRecord(text []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("not a record: %w", err)
	}
	return r, nil
}

// A Filter says which records are wanted. What is empty wants all.
type Filter struct {
	Since, Until time.Time // inclusive, exclusive
	Actor        string    // "operator", or with its id "operator/1000"
	Action       string    // "agent.create", or "agent.*"
}

// Wants says whether the record passes.
func (f *Filter) Wants(r *Record) bool {
	switch {
	case !f.Since.IsZero() && r.At.Before(f.Since), !f.Until.IsZero() && !r.At.Before(f.Until):
		return false
	case f.Actor != "" && f.Actor != r.Actor.Kind && f.Actor != r.Actor.Kind+"/"+r.Actor.ID:
		return false
	}
	if prefix, wild := strings.CutSuffix(f.Action, "*"); wild {
		return strings.HasPrefix(r.Action, prefix)
	}
	return f.Action == "" || f.Action == r.Action
}
