package widget

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Sites are the origins of an account's pages, such as https://shop.example or https://*.shop.example; ok says whether there is
// such an account.
type Sites func(account string) (origins []string, ok bool)

// Pictures is the origin that an account's files are at, such as https://files.example; "" is nowhere else.
type Pictures func(account string) string

// Register serves the widget:
//
//	/visit/loader.js                     the script of the shop's page
//	/visit/{account}/frame               the frame, on pages of the account's sites alone
//	/visit/assets/{version}/{name...}    what the frame is made of
func Register(mux *http.ServeMux, sites Sites, pictures Pictures) {
	all := load()
	mux.HandleFunc("GET /visit/loader.js", func(w http.ResponseWriter, r *http.Request) {
		// A new version comes to the shops' visitors within ten minutes, and none waits for it.
		secure(w.Header(), nothing+"; frame-ancestors 'none'")
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		all.loader.serve(w, r, "public, max-age=600, stale-while-revalidate=86400")
	})
	mux.HandleFunc("GET /visit/{account}/frame", func(w http.ResponseWriter, r *http.Request) {
		origins, ok := sites(r.PathValue("account"))
		if !ok {
			missing(w)
			return
		}
		// X-Frame-Options can't name origins, and where both are there, browsers go by frame-ancestors
		// (Content Security Policy Level 3 §6.4.2): this answer alone is without it. WCP-14
		secure(w.Header(), framed(origins, pictures(r.PathValue("account"))))
		w.Header().Del("X-Frame-Options")
		all.frame.serve(w, r, "no-cache") // other sites, and another version, hold at once
	})
	mux.HandleFunc("GET /visit/assets/{version}/{name...}", func(w http.ResponseWriter, r *http.Request) {
		f, ok := all.assets[r.PathValue("name")]
		if !ok || r.PathValue("version") != all.version {
			missing(w)
			return
		}
		secure(w.Header(), nothing+"; frame-ancestors 'none'")
		f.serve(w, r, "public, max-age=31536000, immutable") // RFC 8246 §2
	})
}

// What nothing allows is not loaded, sent or embedded. WCP-17
const nothing = "default-src 'none'; base-uri 'none'; form-action 'none'"

// framed is the policy of the frame. Without Trusted Types a text could become markup only by a fault of the widget's; with
// them the browser refuses it. WCP-18
func framed(origins []string, pictures string) string {
	origins = slices.DeleteFunc(slices.Clone(origins), func(o string) bool { return !origin.MatchString(o) })
	if len(origins) == 0 {
		origins = []string{"'none'"}
	}
	images := "'self'"
	if origin.MatchString(pictures) {
		images += " " + pictures
	}
	return nothing + "; script-src 'self'; style-src 'self'; img-src " + images + "; connect-src 'self'; " +
		"require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors " + strings.Join(origins, " ")
}

// origin is what may stand in a policy: what else is there would end it, or begin another.
var origin = regexp.MustCompile(`^https?://(\*\.)?[A-Za-z0-9.-]+(:[0-9]+)?$`)

func secure(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
}

func missing(w http.ResponseWriter) {
	secure(w.Header(), nothing+"; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "there is no such thing here", http.StatusNotFound)
}
