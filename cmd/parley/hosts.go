package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"parley.im/parley/xmppd/upload"
	"parley.im/parley/xmppd/visit"
	"parley.im/parley/xmppd/web"
)

// securityTextFor is how long security.txt says that it holds: less than a year
// (RFC 9116 §2.5.5).
const securityTextFor = 90 * 24 * time.Hour

// hosted lets a request through to what the name it came to is for, and gives every
// answer the headers that browsers go by.
func (h *health) hosted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := ""
		origins := h.server.inst.config().Hosts.Origins()
		for what, origin := range origins {
			if strings.EqualFold("https://"+hostOf(r), origin) {
				at = what
			}
		}
		secureHeaders(w.Header(), at != "")
		if strings.HasPrefix(r.URL.Path, web.Prefix) && at != "api" && (at != "" || origins["api"] != "") {
			web.Refuse(web.OtherHost, "the API is not under this name").Write(w) // RFC 9110 §15.5.20
			return
		}
		if strings.HasPrefix(r.URL.Path, visit.Prefix) && at != "widget" && (at != "" || origins["widget"] != "") {
			web.Refuse(web.OtherHost, "visitors are not under this name").Write(w)
			return
		}
		if strings.HasPrefix(r.URL.Path, upload.Prefix) && at != filesHost(origins) && (at != "" || filesHost(origins) != "") {
			web.Refuse(web.OtherHost, "files are not under this name").Write(w)
			return
		}
		if !web.Straight(r.URL) {
			web.Refuse(web.NotFound, "there is no such path").Write(w) // net/http would send the client to what it takes this for
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf is the name that a request came to, without what says nothing.
func hostOf(r *http.Request) string {
	host, port, _ := strings.Cut(strings.TrimSuffix(r.Host, ":443"), ":")
	if host = strings.TrimSuffix(host, "."); port != "" {
		host += ":" + port
	}
	return host
}

// secureHeaders are in every answer over HTTPS. WCP-13 … WCP-17
func secureHeaders(h http.Header, own bool) {
	if own { // other names may be somebody else's, who has yet to serve http there
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Xss-Protection", "0") // the filter that it steers was a hole itself, and is gone from browsers
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
}

// securityText says where weaknesses are reported (RFC 9116). KIS-14
func (h *health) securityText(w http.ResponseWriter, r *http.Request) {
	contacts := h.server.inst.config().Contact.Security
	if len(contacts) == 0 {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, c := range contacts {
		fmt.Fprintf(w, "Contact: %s\n", c)
	}
	expires := h.server.inst.now().Add(securityTextFor).UTC().Truncate(24 * time.Hour)
	fmt.Fprintf(w, "Expires: %s\nPreferred-Languages: en\n", expires.Format(time.RFC3339))
}
