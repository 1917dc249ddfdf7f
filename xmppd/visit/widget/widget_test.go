package widget

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// server serves the widget as the daemon does: within headers that hold for everything else.
func server(t *testing.T, more func(*http.ServeMux), sites Sites) *httptest.Server {
	mux := http.NewServeMux()
	Register(mux, sites, func(string) string { return "https://files.example" })
	if more != nil {
		more(mux)
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Frame-Options", "DENY")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func shops(account string) ([]string, bool) {
	switch account {
	case "acme":
		return []string{"https://shop.example", "https://*.acme.example:8443"}, true
	case "odd":
		return []string{"https://a.example; script-src *", "*", "https:", "'self'", "javascript://x", "https://b.example\r\nX: y", "https://c.example/path"}, true
	case "none":
		return nil, true
	}
	return nil, false
}

// get fetches one path; the transport leaves what comes as it is.
func get(t *testing.T, s *httptest.Server, path string, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequest("GET", s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

// RFC 8246 §2, RFC 9239 §6
func TestHeaders(t *testing.T) {
	s := server(t, nil, shops)
	frame := func(account, ancestors string) {
		t.Helper()
		resp, _ := get(t, s, "/visit/"+account+"/frame")
		h := resp.Header
		policy := h.Get("Content-Security-Policy")
		if _, rest, _ := strings.Cut(policy, "frame-ancestors "); rest != ancestors || strings.Count(policy, "frame-ancestors") != 1 {
			t.Errorf("%s may be framed by %q, want %q", account, rest, ancestors)
		}
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(policy+";", part+";") {
				t.Errorf("the policy %q lacks %s", policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src *") {
			t.Errorf("the policy is %q", policy)
		}
		if xfo, there := h["X-Frame-Options"]; there {
			t.Errorf("X-Frame-Options is %q: it can't name the sites", xfo)
		}
		if h.Get("Cache-Control") != "no-cache" || h.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("frame: %v", h)
		}
	}
	frame("acme", "https://shop.example https://*.acme.example:8443")
	frame("none", "'none'")
	frame("odd", "'none'") // nothing of an account's list gets out of its place

	_, html := get(t, s, "/visit/acme/frame")
	for path, caching := range map[string]string{
		"/visit/loader.js":            "public, max-age=600, stale-while-revalidate=86400",
		address(t, html, "app.js"):    "public, max-age=31536000, immutable",
		address(t, html, "style.css"): "public, max-age=31536000, immutable",
	} {
		resp, _ := get(t, s, path)
		kind := "text/javascript; charset=utf-8"
		if strings.HasSuffix(path, ".css") {
			kind = "text/css; charset=utf-8"
		}
		for name, want := range map[string]string{"Cache-Control": caching, "Content-Type": kind, "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Vary": "Accept-Encoding", "Referrer-Policy": "no-referrer"} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if own := resp.Header.Get("Cross-Origin-Resource-Policy") == "same-origin"; own == (path == "/visit/loader.js") {
			t.Errorf("%s: for other origins' pages: %v", path, !own)
		}
	}
	for _, path := range []string{"/visit/nobody/frame", "/visit/assets/0000000000000000/app.js", strings.Replace(address(t, html, "app.js"), "app.js", "../../loader.js", 1),
		strings.Replace(address(t, html, "app.js"), "app.js", "index.html", 1), strings.TrimSuffix(address(t, html, "app.js"), "app.js")} {
		resp, _ := get(t, s, path)
		if resp.StatusCode != http.StatusNotFound && resp.Request.URL.Path != "/visit/loader.js" { // where "..", tidied, leads
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

// address is where the frame finds one of its assets.
func address(t *testing.T, html []byte, name string) string {
	t.Helper()
	m := regexp.MustCompile(`"\.\.(/assets/[0-9a-f]{16}/` + name + `)"`).FindSubmatch(html)
	if m == nil {
		t.Fatalf("the frame does not name %s:\n%s", name, html)
	}
	return "/visit" + string(m[1])
}

// RFC 9110 §13.1.2
func TestUnchanged(t *testing.T) {
	s := server(t, nil, shops)
	for _, encoding := range []string{"identity", "gzip", "br, gzip;q=0.8", "gzip;q=0", "gzip; q=0.0"} {
		for _, path := range []string{"/visit/loader.js", "/visit/acme/frame"} {
			first, body := get(t, s, path, "Accept-Encoding", encoding)
			squeezed := first.Header.Get("Content-Encoding") == "gzip"
			if want := strings.Contains(encoding, "gzip") && !strings.Contains(encoding, "q=0") || strings.Contains(encoding, "q=0.8"); squeezed != want {
				t.Errorf("%s for %q: gzip %v", path, encoding, squeezed)
			}
			if squeezed {
				z, err := gzip.NewReader(bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				if body, err = io.ReadAll(z); err != nil {
					t.Fatal(err)
				}
			}
			if _, plain := get(t, s, path); !bytes.Equal(plain, body) {
				t.Errorf("%s for %q differs", path, encoding)
			}
			again, body := get(t, s, path, "Accept-Encoding", encoding, "If-None-Match", first.Header.Get("ETag"))
			if again.StatusCode != http.StatusNotModified || len(body) > 0 || again.Header.Get("Content-Security-Policy") != first.Header.Get("Content-Security-Policy") {
				t.Errorf("%s for %q again: %s with %v", path, encoding, again.Status, again.Header)
			}
			if other, _ := get(t, s, path, "Accept-Encoding", encoding, "If-None-Match", `"other"`); other.StatusCode != http.StatusOK {
				t.Errorf("%s for %q with another tag: %s", path, encoding, other.Status)
			}
		}
	}
}

// A phone on a bad line has it all in a moment.
func TestSize(t *testing.T) {
	all := load()
	one := len(all.loader.squeezed)
	if one > 5_000 {
		t.Errorf("what every page of the shop loads has %d bytes", one)
	}
	total := one + len(all.frame.squeezed)
	for name, f := range all.assets {
		if !strings.HasPrefix(name, "lang/") || name == "lang/de.js" { // a visitor has one language
			total += len(f.squeezed)
		}
	}
	if total > 40_000 {
		t.Errorf("the widget has %d bytes, compressed", total)
	}
	t.Logf("loader %d bytes, all %d", one, total)
}

// What strangers write can't become markup where there is nothing that makes markup.
func TestNoMarkup(t *testing.T) {
	forbidden := regexp.MustCompile(`(?i)(inner|outer)HTML|insertAdjacent|document\.write|\beval\b|\bFunction\(|srcdoc|DOMParser|createContextualFragment|setHTML|` +
		`javascript:|setAttribute\('(on|style)|set(Timeout|Interval)\('`)
	inline := regexp.MustCompile(`(?i)\sstyle=|\son[a-z]+=|<style|<script(>|[^>]*>[^<])`)
	for name, f := range load().assets {
		if m := forbidden.Find(f.plain); m != nil {
			t.Errorf("%s has %q", name, m)
		}
	}
	if m := forbidden.Find(load().loader.plain); m != nil {
		t.Errorf("the loader has %q", m)
	}
	if m := inline.Find(load().frame.plain); m != nil {
		t.Errorf("the frame has %q, which its policy forbids", m)
	}
	for _, bad := range []string{"e.innerHTML = x", "eval(x)", "setAttribute('onclick', x)"} {
		if !forbidden.MatchString(bad) {
			t.Errorf("%q passes", bad)
		}
	}
}
