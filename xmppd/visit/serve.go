package visit

import (
	"net/http"
	"strings"

	"parley.im/parley/xmppd/panics"
)

// largeAtOnce is how many frames are read at a time that are larger than frameSmall bytes.
const (
	largeAtOnce = 64
	frameSmall  = 16 << 10
)

// take takes a place, if there is one.
func take(places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
		return false
	}
}

func give(places chan struct{}) { <-places }

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, answer := range map[string]func(*account, http.ResponseWriter, *http.Request) error{
		"POST /visit/{account}/contacts":      (*account).open,
		"GET /visit/{account}/config":         (*account).config,
		"GET /visit/{account}/socket":         (*account).socket,
		"GET /visit/{account}/events":         (*account).events,
		"POST /visit/{account}/frames":        (*account).frames,
		"POST /visit/{account}/files":         (*account).upload,
		"GET /visit/{account}/avatars/{name}": (*account).avatar,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, answer) })
	}
	return mux
}

// ServeHTTP answers a request below Prefix.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request, answer func(*account, http.ResponseWriter, *http.Request) error) {
	w.Header().Set("Cache-Control", "no-store")
	a := s.account(r.PathValue("account"))
	switch {
	case !own(r):
		s.write(w, refusal{codeOrigin, "pages of other origins ask for nothing here"}, 0, 0)
	case a == nil:
		s.write(w, errAccount, 0, 0)
	default:
		var err error
		if panics.Catch(a.log, func() { err = answer(a, w, r) }) {
			err = errCrowd // if something was answered already this changes nothing
		}
		if err != nil {
			a.refuse(w, err)
		}
	}
}

// own says whether a request comes from a page of the server's own, or from no page: the
// widget runs in a frame of this origin, and apps have none (RFC 6455 §10.2).
func own(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		site := r.Header.Get("Sec-Fetch-Site")
		return site != "cross-site" && site != "same-site"
	}
	return len(origins) == 1 && strings.EqualFold(origins[0], "https://"+strings.TrimSuffix(r.Host, ":443"))
}
