package upload

import (
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/panics"
)

// uploadsAtOnce is how many files come at a time, those of all accounts; of one account half as many do, and one always.
const uploadsAtOnce = 32

// silence is how long a peer may neither send nor take anything of a file.
const silence = 30 * time.Second

// uploadFor is how long all of a file may take to come.
const uploadFor = 10 * time.Minute

// CachedFor is how long caches may keep a file, also one that is erased here meanwhile.
const CachedFor = time.Hour

// A Server gives files to whoever has a link, and takes what agents' clients put.
type Server struct {
	log *slog.Logger
	mux *http.ServeMux

	mu       sync.Mutex // guards what follows
	accounts map[string]*Files
}

// NewServer returns one without accounts.
func NewServer(log *slog.Logger) *Server {
	s := &Server{log: log, mux: http.NewServeMux(), accounts: make(map[string]*Files)}
	const path = Prefix + "{account}/{id}/{signed}/{name}"
	s.mux.HandleFunc("GET "+path, s.get)
	s.mux.HandleFunc("PUT "+path, s.put)
	s.mux.HandleFunc("OPTIONS "+path, s.options)
	return s
}

// Add serves an account's files, or with nil does so no more.
func (s *Server) Add(id string, f *Files) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == nil {
		delete(s.accounts, id)
	} else {
		s.accounts[id] = f
	}
}

// Account is an account's files; nil if it has none.
func (s *Server) Account(id string) *Files {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts[id]
}

// ServeHTTP answers a request below Prefix.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if panics.Catch(s.log, func() { s.mux.ServeHTTP(w, r) }) {
		panic(http.ErrAbortHandler)
	}
}

// shared lets pages of any origin ask: a link is all the right that there is (XEP-0363 §12).
func shared(h http.Header) { h.Set("Access-Control-Allow-Origin", "*") }

func (s *Server) options(w http.ResponseWriter, _ *http.Request) {
	shared(w.Header())
	w.Header().Set("Access-Control-Allow-Methods", "GET, HEAD, PUT")
	w.Header().Set("Access-Control-Allow-Headers", "Content-Type, Range")
	w.Header().Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// answer says something to whoever follows a link.
func answer(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, text+"\n") // an error means that nobody is there
}

// get gives a file.
func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	shared(w.Header())
	f, id := s.Account(r.PathValue("account")), r.PathValue("id")
	if f == nil {
		answer(w, http.StatusNotFound, "There is no such file.")
		return
	}
	until, ok := f.valid(r.PathValue("signed"), "get", id)
	switch left := until.Sub(f.Now()); {
	case !ok:
		answer(w, http.StatusNotFound, "There is no such file.")
	case left <= 0:
		answer(w, http.StatusGone, "This link holds no more. Ask for the file again.")
	default:
		f.give(w, r, id, left)
	}
}

func (f *Files) give(w http.ResponseWriter, r *http.Request, id string, left time.Duration) {
	is, content, err := f.Store.OpenFile(r.Context(), id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		answer(w, http.StatusGone, "This file is not there any more.")
		return
	case err != nil:
		f.Log.Error("a file can't be read", "file", id, "err", err)
		answer(w, http.StatusServiceUnavailable, "This file can't be read now.")
		return
	}
	defer content.Close()
	h := w.Header()
	disposition := "attachment"
	if IsPicture(is.Type) {
		disposition = "inline"
	}
	h.Set("Content-Type", is.Type)
	if d := mime.FormatMediaType(disposition, map[string]string{"filename": is.Name}); d != "" {
		disposition = d
	}
	h.Set("Content-Disposition", disposition)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // the widget shows pictures
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(min(left, CachedFor).Seconds()))+", immutable")
	h.Set("ETag", `"`+id+`"`)
	http.ServeContent(patient{w, http.NewResponseController(w)}, r, "", is.Made, content)
}

// A patient writer gives up when nothing is taken for a while, however long all of it takes.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p patient) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return p.ResponseWriter.Write(b)
}

// Body is what comes in a request: it is given up when nothing comes for a while, or not all of it in uploadFor.
func Body(w http.ResponseWriter, r *http.Request) io.Reader {
	return &waiting{r.Body, http.NewResponseController(w), time.Now().Add(uploadFor)}
}

type waiting struct {
	r       io.Reader
	control *http.ResponseController
	until   time.Time
}

func (w *waiting) Read(p []byte) (int, error) {
	now := time.Now()
	end := now.Add(silence)
	if end.After(w.until) {
		end = w.until
	}
	if err := errors.Join(w.control.SetReadDeadline(end), w.control.SetWriteDeadline(now.Add(scanFor+2*silence))); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}

// places counts the files that come, those of all accounts.
var places atomic.Int32

// Enter takes a place for a file that comes; leave gives it back. ok is that there is one: whatever comes to others, an account
// has one.
func (f *Files) Enter() (leave func(), ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.places > 0 && (f.places >= uploadsAtOnce/2 || places.Load() >= uploadsAtOnce) {
		return nil, false
	}
	f.places++
	places.Add(1)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.places--
		places.Add(-1)
	}, true
}

// Statuses are those of HTTP for refusals.
var Statuses = map[Why]int{
	TooLarge: http.StatusRequestEntityTooLarge, BadType: http.StatusUnsupportedMediaType, Harmful: http.StatusUnprocessableEntity,
	Quota: http.StatusInsufficientStorage, Broken: http.StatusBadRequest, Later: http.StatusServiceUnavailable,
}

// put takes what an agent's client puts into its slot (XEP-0363 §6).
func (s *Server) put(w http.ResponseWriter, r *http.Request) {
	shared(w.Header())
	f, id, q := s.Account(r.PathValue("account")), r.PathValue("id"), r.URL.Query()
	if f == nil {
		answer(w, http.StatusNotFound, "There is no such slot.")
		return
	}
	who, bytes, typ := q.Get("agent"), q.Get("size"), q.Get("type")
	until, ok := f.valid(r.PathValue("signed"), "put", id, who, bytes, typ)
	agent, err := strconv.ParseInt(who, 10, 64)
	size, err2 := strconv.ParseInt(bytes, 10, 64)
	given := mediaType(r.Header.Get("Content-Type"))
	switch {
	case !ok || err != nil || err2 != nil:
		answer(w, http.StatusForbidden, "There is no such slot.")
		return
	case !f.Now().Before(until):
		answer(w, http.StatusForbidden, "This slot can't be used any more: ask for another one.")
		return
	case r.ContentLength != size:
		answer(w, http.StatusBadRequest, "This slot is for a file of "+bytes+" bytes.")
		return
	case given != "" && given != typ && given != "application/octet-stream":
		answer(w, http.StatusUnsupportedMediaType, "This slot is for a file of type "+typ+".")
		return
	}
	leave, ok := f.Enter()
	if !ok {
		w.Header().Set("Retry-After", "30")
		answer(w, http.StatusServiceUnavailable, "Too many files are coming; try again in a moment.")
		return
	}
	defer leave()
	_, err = f.Take(r.Context(), &Upload{ID: id, Agent: store.AgentID(agent), Name: r.PathValue("name"), Type: typ, Size: size}, Body(w, r))
	var no Refusal
	switch {
	case err == nil:
		answer(w, http.StatusCreated, "Thank you.")
	case errors.As(err, &no):
		answer(w, Statuses[no.Why], no.Text)
	default:
		f.Log.Error("a file can't be kept", "err", err)
		answer(w, http.StatusServiceUnavailable, "The file can't be kept now; try again later.")
	}
}
