package main

import (
	"net/http"
	"net/http/pprof"
	runtime "runtime/pprof"
)

// profiles lets operators see what the server is busy with, and what its memory is used
// for. Profiles name functions; they hold no values, apart from the hexadecimal ones of
// goroutine?debug=2, which is left out.
func (h *health) profiles(mux *http.ServeMux) {
	page := func(path string, show http.HandlerFunc) {
		mux.HandleFunc("GET /debug/pprof/"+path, h.forOperators(show))
	}
	page("profile", pprof.Profile)
	page("trace", pprof.Trace)
	page("symbol", pprof.Symbol)
	for _, p := range runtime.Profiles() {
		page(p.Name(), func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("debug") == "2" {
				http.Error(w, "debug=2 shows what functions were called with; ask for debug=1", http.StatusForbidden)
				return
			}
			pprof.Handler(p.Name()).ServeHTTP(w, r)
		})
	}
}
