package web

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// A saidHeader is one that answers carry, besides those that handlers' types tell of (ETag,
// Location).
type saidHeader struct {
	name, does string
	on         []int // these statuses; empty is all
	not        []int // but not those
	kind       string
}

var saidHeaders = []saidHeader{
	{name: "Cache-Control", does: "no-store: nobody keeps an answer.", kind: huma.TypeString},
	{name: "RateLimit", does: "How many requests are left to the key, and for how many seconds they are counted; missing where there is no limit.",
		not: []int{http.StatusUnauthorized}, kind: huma.TypeString},
	{name: "RateLimit-Policy", does: "How many requests a key may send in how many seconds; missing where there is no limit.",
		not: []int{http.StatusUnauthorized}, kind: huma.TypeString},
	{name: "Retry-After", does: "In how many seconds the same may go through.", // RFC 9110 §10.2.3
		on: []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}, kind: huma.TypeInteger},
	{name: "WWW-Authenticate", does: "The ways to say who asks.", on: []int{http.StatusUnauthorized}, kind: huma.TypeString}, // RFC 9110 §11.6.1
}

// describeHeaders adds to the description what headers come with which answers.
func describeHeaders(doc *huma.OpenAPI) {
	for _, path := range doc.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Post, path.Put, path.Patch, path.Delete} {
			if op == nil {
				continue
			}
			for status, r := range op.Responses {
				for _, h := range r.Headers { // handlers' types tell it of the value
					h.Description, h.Schema.Description = h.Schema.Description, ""
				}
				code, _ := strconv.Atoi(status) // they are numbers, all of them
				for _, h := range saidHeaders {
					if h.with(code) {
						r.Headers = with(r.Headers, h.name, &huma.Header{Description: h.does, Schema: &huma.Schema{Type: h.kind}})
					}
				}
			}
		}
	}
}

func (h *saidHeader) with(status int) bool {
	return !slices.Contains(h.not, status) && (h.on == nil || slices.Contains(h.on, status))
}

func with(all map[string]*huma.Header, name string, h *huma.Header) map[string]*huma.Header {
	if all == nil {
		all = make(map[string]*huma.Header)
	}
	all[name] = h
	return all
}
