package upload_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
	"parley.im/parley/xmppd/upload"
)

// A shelf is an account's files, served over HTTPS, with a clock of its own.
type shelf struct {
	*upload.Files
	t      *testing.T
	now    time.Time
	dir    string // of the store
	store  *sqlite.Account
	anna   store.AgentID
	server *httptest.Server
}

func newShelf(t *testing.T, limits upload.Limits) *shelf {
	t.Helper()
	s := &shelf{t: t, now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	s.dir = filepath.Join(dir, "data")
	k, err := keys.Open(t.Context(), keys.Config{Dir: filepath.Join(dir, "keys"), Account: "desk", Root: seal.NewKey()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	if s.store, err = sqlite.Open(t.Context(), sqlite.Config{Dir: s.dir, Account: "desk", Keys: k, Sealed: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	g, err := s.store.AddAgent(t.Context(), "anna", "agent", store.Credential{Scope: "xmpp", Label: "password"})
	if err != nil {
		t.Fatal(err)
	}
	s.anna = g.ID
	served := upload.NewServer(slog.New(slog.DiscardHandler))
	s.server = httptest.NewTLSServer(served)
	t.Cleanup(s.server.Close)
	s.Files, err = upload.New(t.Context(), upload.Config{ID: "desk", Store: s.store, Limits: limits, Log: slog.New(slog.DiscardHandler),
		Origin: func() string { return s.server.URL }, Now: func() time.Time { return s.now }})
	if err != nil {
		t.Fatal(err)
	}
	served.Add("desk", s.Files)
	return s
}

var some = upload.Limits{Size: 1 << 20, Contact: 2 << 20, Total: 3 << 20, Types: []string{"text/plain", "image/*"}, Links: 2 * time.Hour}

func (s *shelf) do(method, link, body string, header ...string) (status int, answer string, h http.Header) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, link, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.server.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func (s *shelf) take(name, typ, content string) (store.File, error) {
	return s.Take(s.t.Context(), &upload.Upload{Agent: s.anna, Name: name, Type: typ, Size: -1}, strings.NewReader(content))
}

func why(err error) upload.Why {
	no, _ := errors.AsType[upload.Refusal](err)
	return no.Why
}

// XEP-0363 §7: a slot is for one file, of one size and type, within minutes; a link holds until it says.
func TestSlotsAndLinks(t *testing.T) {
	s := newShelf(t, some)
	put, get, err := s.Slot(s.anna, "très cool.txt", "text/plain", 5)
	if err != nil || strings.ContainsAny(put+get, " è") || !strings.HasSuffix(get, "/tr%C3%A8s%20cool.txt") {
		t.Fatal(put, get, err)
	}
	later, _, err := s.Slot(s.anna, "later.txt", "text/plain", 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, method, link, body, typ string
		status                        int
	}{
		{"nothing there yet", "GET", get, "", "", http.StatusGone},
		{"another size", "PUT", put, "hello!", "", http.StatusBadRequest},
		{"another type", "PUT", put, "hello", "image/png", http.StatusUnsupportedMediaType},
		{"for another size", "PUT", strings.Replace(put, "size=5", "size=6", 1), "hello!", "", http.StatusForbidden},
		{"of another agent", "PUT", strings.Replace(put, "agent=1", "agent=2", 1), "hello", "", http.StatusForbidden},
		{"a link is no slot", "PUT", get, "hello", "", http.StatusForbidden},
		{"as it was asked for", "PUT", put, "hello", "text/plain; charset=utf-8", http.StatusCreated},
		{"again", "PUT", put, "hallo", "", http.StatusBadRequest},
		{"a slot is no link", "GET", put, "", "", http.StatusNotFound},
		{"there", "GET", get, "", "", http.StatusOK},
		{"its head", "HEAD", get, "", "", http.StatusOK},
		{"a page asks", "OPTIONS", put, "", "", http.StatusNoContent},
		{"something else", "DELETE", get, "", "", http.StatusMethodNotAllowed},
	} {
		status, answer, h := s.do(c.method, c.link, c.body, "Content-Type", c.typ)
		if status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, status, answer, c.status)
		}
		if c.name == "there" && (answer != "hello" || h.Get("Content-Disposition") != "attachment; filename*=utf-8''tr%C3%A8s%20cool.txt" ||
			h.Get("Cache-Control") != "public, max-age=3600, immutable") {
			t.Errorf("it is %q with %v", answer, h)
		}
		if origin := h.Get("Access-Control-Allow-Origin"); origin != "*" && status != http.StatusMethodNotAllowed {
			t.Errorf("%s: pages of %q may ask", c.name, origin)
		}
	}
	if id := s.Linked(" " + get + "\n"); id == "" || s.Linked("see "+get) != "" || s.Linked(put) != "" || s.Linked(strings.Replace(get, "desk", "shop", 1)) != "" {
		t.Errorf("a link is not known as one: %q", id)
	}
	s.now = s.now.Add(5 * time.Minute)
	if status, _, _ := s.do("PUT", later, "hello"); status != http.StatusForbidden {
		t.Errorf("a slot of five minutes ago: %d", status)
	}
	s.now = s.now.Add(85 * time.Minute)
	if _, _, h := s.do("GET", get, ""); h.Get("Cache-Control") != "public, max-age=1800, immutable" {
		t.Errorf("half an hour before it ends caches may keep it: %v", h)
	}
	s.now = s.now.Add(30 * time.Minute)
	if status, _, _ := s.do("GET", get, ""); status != http.StatusGone {
		t.Errorf("a link of two hours ago: %d", status)
	}
}

// What is too much, or not what it says, does not come in, and leaves nothing.
func TestWhatIsNotTaken(t *testing.T) {
	s := newShelf(t, some)
	png := "\x89PNG\r\n\x1a\n"
	for _, c := range []struct {
		name, typ, content string
		why                upload.Why
	}{
		{"a text", "text/plain", "hello", ""},
		{"a picture", "image/png", png, ""},
		{"an empty file", "text/plain", "", ""},
		{"a page in a text", "text/plain", "<html><script>", ""}, // which is only downloaded, as a text
		{"a photograph that browsers don't know", "image/heic", "\x00\x00\x00\x18ftypheic", ""},
		{"too much", "text/plain", strings.Repeat("x", 1<<20+1), upload.TooLarge},
		{"a type that is not taken", "application/pdf", "%PDF-1", upload.BadType},
		{"no type", "", "hello", upload.BadType},
		{"what browsers run", "image/svg+xml", "<svg>", upload.BadType},
		{"a page that says it is a picture", "image/png", "<html>", upload.BadType},
		{"one picture for another", "image/jpeg", png, upload.BadType},
		{"a program", "text/plain", "#!/bin/sh", upload.BadType},
		{"a picture for a text", "text/plain", png, upload.BadType},
	} {
		f, err := s.take(c.name, c.typ, c.content)
		if why(err) != c.why || c.why == "" && (err != nil || f.Size != int64(len(c.content))) {
			t.Errorf("%s: %+v, %v", c.name, f, err)
		}
	}
	half := io.MultiReader(strings.NewReader("hel"), brokenReader{})
	if _, err := s.Take(t.Context(), &upload.Upload{Agent: s.anna, Name: "x", Type: "text/plain", Size: 5}, half); why(err) != upload.Broken {
		t.Errorf("half a file: %v", err)
	}
	// Two files of one owner may come at a time; the others are told to wait.
	var going []*io.PipeWriter
	ended := make(chan error, 2)
	for range 2 {
		r, w := io.Pipe()
		going = append(going, w)
		go func() {
			_, err := s.Take(t.Context(), &upload.Upload{Agent: s.anna, Name: "x", Type: "text/plain", Size: 5}, r)
			ended <- err
		}()
		if _, err := io.WriteString(w, "hel"); err != nil { // it is read
			t.Fatal(err)
		}
	}
	if _, err := s.take("a third", "text/plain", "hello"); why(err) != upload.Later {
		t.Errorf("a third file: %v", err)
	}
	for _, w := range going {
		if _, err := io.WriteString(w, "lo"); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if _, err := s.take("a third", "text/plain", "hello"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	mega := strings.Repeat("x", 1<<20)
	for range 2 {
		if _, err := s.take("large", "text/plain", mega); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.take("large", "text/plain", mega); why(err) != upload.Quota {
		t.Errorf("more than there is room for: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "files/new/*")); err != nil || len(left) > 0 {
		t.Errorf("what was not taken has left %v, %v", left, err)
	}
}

// Refusing a file that has come whole, of an agent who has gone, leaves neither bytes nor a descriptor.
func TestRefusingLeavesNothing(t *testing.T) {
	s := newShelf(t, some)
	if _, err := s.Take(t.Context(), &upload.Upload{Agent: s.anna + 1, Name: "x", Type: "text/plain", Size: -1}, strings.NewReader("hello")); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("a file of nobody: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "files/*/*")); err != nil || len(left) > 0 {
		t.Errorf("there are %v, %v", left, err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here to see open files in")
	}
	for _, fd := range open {
		if path, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(path, filepath.Join(s.dir, "files")) {
			t.Errorf("%s is open", path)
		}
	}
}

// However many files come to one account, or to some, each other one has a place for one.
func TestPlaces(t *testing.T) {
	var shelves [3]*shelf
	var got [3]int
	for i := range shelves {
		shelves[i] = newShelf(t, some)
		for leave, ok := shelves[i].Enter(); ok; leave, ok = shelves[i].Enter() {
			got[i]++
			t.Cleanup(leave)
		}
	}
	if got != [3]int{16, 16, 1} {
		t.Errorf("they have %d places", got)
	}
}

// A place that was left is there again.
func TestPlacesComeBack(t *testing.T) {
	s := newShelf(t, some)
	for range 100 {
		leave, ok := s.Enter()
		if !ok {
			t.Fatal("there is no place")
		}
		leave()
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the line is dead") }

// The operator's program reads each file; only what it lets in comes in.
func TestScan(t *testing.T) {
	t.Setenv("PARLEY_SECRET", "for the server alone")
	for script, want := range map[string]upload.Why{
		`grep -q GOOD`:                "",
		`! grep -q BAD`:               upload.Harmful,
		`exit 0`:                      "", // it need not read
		`! env | grep -q SECRET`:      "",
		`test -n "$PATH"`:             "",
		`exit 2`:                      upload.Later,
		`kill -9 $$`:                  upload.Later,
		`cat >/dev/null; nosuchthing`: upload.Later,
	} {
		limits := some
		limits.Scan = []string{"/bin/sh", "-c", script}
		s := newShelf(t, limits)
		if _, err := s.take("x", "text/plain", strings.Repeat("x", 100_000)+" GOOD BAD"); why(err) != want || want == "" && err != nil {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
	limits := some
	limits.Scan = []string{"/nonexistent"}
	if _, err := newShelf(t, limits).take("x", "text/plain", "x"); why(err) != upload.Later {
		t.Errorf("without the program: %v", err)
	}
}

// newHangingShelf is one with a program that never ends; looks waits until it looks at one file more.
func newHangingShelf(t *testing.T) (s *shelf, looks func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "looking")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	looking, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { looking.Close() })
	if err := looking.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	limits := some
	limits.Scan = []string{"/bin/sh", "-c", "echo >" + path + "; exec sleep 60"}
	return newShelf(t, limits), func() {
		t.Helper()
		if _, err := looking.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// An account whose program hangs holds up nobody else's files.
func TestScansOfOthers(t *testing.T) {
	s, looks := newHangingShelf(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for range cap(ended) {
		go func() {
			_, err := s.Take(ctx, &upload.Upload{Agent: s.anna, Name: "x", Type: "text/plain", Size: -1}, strings.NewReader("hello"))
			ended <- err
		}()
		looks()
	}
	limits := some
	limits.Scan = []string{"/bin/sh", "-c", "exit 0"}
	if _, err := newShelf(t, limits).take("x", "text/plain", "hello"); err != nil {
		t.Errorf("another account's file: %v", err)
	}
	cancel()
	for range cap(ended) {
		if err := <-ended; why(err) != upload.Broken {
			t.Errorf("what was looked at: %v", err)
		}
	}
}

// Whoever hangs up while the program looks at the file has not made it fail: no operator need look for why.
func TestHangingUpIsNoFaultOfTheScan(t *testing.T) {
	s, looks := newHangingShelf(t)
	var said bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&said, nil))
	put, _, err := s.Slot(s.anna, "x.txt", "text/plain", 5)
	if err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "PUT", put, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := s.server.Client().Do(r)
		ended <- err
	}()
	looks()
	hangUp()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it is answered: %v", err)
	}
	s.server.Close() // waits for who is served
	if said.Len() > 0 {
		t.Errorf("the log says %s", &said)
	}
	if n, err := s.store.FilesSize(t.Context(), 0); err != nil || n != 0 {
		t.Errorf("%d bytes have come, %v", n, err)
	}
}

func TestCleanName(t *testing.T) {
	for name, want := range map[string]string{
		"bill.pdf": "bill.pdf", "": "file", "..": "file", "../../etc/passwd": "passwd", `C:\tmp\a.txt`: "a.txt", "a\u202egpj.exe": "agpj.exe",
		"a\nb\x00c": "abc", "  .hidden. ": "hidden", `x"<y>.png`: "x__y_.png", strings.Repeat("ä", 200) + ".jpeg": strings.Repeat("ä", 115) + ".jpeg",
	} {
		if got := upload.CleanName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

// A link that somebody has made up never panics, nor is it one.
func FuzzLinked(f *testing.F) {
	f.Add("https://desk.example/files/desk/abc/1.x/y")
	f.Add("https://")
	var s *shelf
	f.Fuzz(func(t *testing.T, text string) {
		if s == nil {
			s = &shelf{}
			s.Files = new(upload.Files)
			s.Files.ID = "desk"
		}
		_ = s.Files.Linked(text)
		if name := upload.CleanName(text); name == "" || strings.ContainsAny(name, "/\\\n\r\x00\"") {
			t.Errorf("%q becomes %q", text, name)
		}
	})
}
