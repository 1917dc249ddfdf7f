package web

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// A List is a part of something long.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"Where to go on: the next request's after. Missing at the end."`
}

// A Page is what a list is asked for with.
type Page struct {
	After string `query:"after" maxLength:"128" doc:"The next of the part before; missing at the beginning."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many, at most."`
}

// body is an answer of one value.
type body[T any] struct{ Body T }

// made is an answer of what was just made, and where it is.
type made[T any] struct {
	Location string `header:"Location" doc:"Where it is."`
	Body     T
}

// tagged is an answer with the ETag that a change may ask for in If-Match (RFC 9110 §13.1.1).
type tagged[T any] struct {
	ETag string `header:"ETag" doc:"For If-Match: whether it has changed since."`
	Body T
}

// IfMatch is in requests that change what may have changed since.
type IfMatch struct {
	IfMatch []string `header:"If-Match" doc:"The ETag of what is to be changed: if it has changed since, nothing is done."`
}

// matches says whether something is still what the caller saw.
func (m IfMatch) matches(now string) error {
	if len(m.IfMatch) == 0 {
		return nil
	}
	for _, t := range m.IfMatch {
		if t = strings.TrimSpace(t); t == now || t == "*" {
			return nil
		}
	}
	return Refuse(Changed, "it has changed since you read it").
		hint("read it again, and look whether the change is still wanted")
}

// tagOf is the tag of something, secrets included: it tells nothing of them.
func (c *caller) tagOf(ctx context.Context, v any) (string, error) {
	key, err := c.Store.Secret(ctx, "etag", 32)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	m := hmac.New(sha256.New, key)
	m.Write(text)
	return `"` + hex.EncodeToString(m.Sum(nil)[:16]) + `"`, nil
}

// paged takes a Page out of a list that is at hand, sorted by name.
func paged[T any](all []T, p Page, name func(T) string) *body[List[T]] {
	out := List[T]{Items: make([]T, 0)}
	for i, v := range all {
		if p.After != "" && name(v) <= p.After {
			continue
		}
		if len(out.Items) == p.Limit {
			out.Next = name(all[i-1])
			break
		}
		out.Items = append(out.Items, v)
	}
	return &body[List[T]]{Body: out}
}

// pageBytes is when a page of what people said is long enough, whatever was asked for.
const pageBytes = 1 << 20

// whole is a list that is never long.
func whole[T any](all []T) *body[List[T]] {
	if all == nil {
		all = make([]T, 0)
	}
	return &body[List[T]]{Body: List[T]{Items: all}}
}

// randomID is 128 random bits in base32.
func randomID() string {
	b := make([]byte, 16)
	rand.Read(b)
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}
