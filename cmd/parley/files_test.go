package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"
)

// picture is a file that is a PNG for whoever looks at its beginning, of several chunks.
func picture(marker string) []byte {
	return append([]byte("\x89PNG\r\n\x1a\n"), strings.Repeat(marker+" ", 12_000)...)
}

// web asks over HTTPS, for a link under whatever name.
func (d *daemon) web(method, link string, body []byte, header ...string) (*http.Response, []byte) {
	d.t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		d.t.Fatal(err)
	}
	if u.Host == "" {
		u.Scheme, u.Host = "https", "desk.example"
	}
	r, err := http.NewRequestWithContext(d.t.Context(), method, u.String(), bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := d.visitors().Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp, all
}

// slot asks for one.
func (j *jabber) slot(name, typ string, size int) *tree {
	return j.ask("get", "upload.desk.example", fmt.Sprintf("<request xmlns='urn:xmpp:http:upload:0' filename='%s' size='%d' content-type='%s'/>", name, size, typ))
}

// Files go both ways between a visitor's page and an agent's Jabber client, as links that hold for a while; they are read
// over a kill, and nowhere on disk in clear. WCP-20, I3
func TestFilesBothWays(t *testing.T) {
	t.Parallel()
	d := visited(t)
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	if items := anna.ask("get", "desk.example", "<query xmlns='http://jabber.org/protocol/disco#items'/>"); !strings.Contains(items.String(), "upload.desk.example") {
		t.Fatalf("files have no place: %s", items)
	}
	is := d.openContact(`{"id":"0123456789abcdef","name":"Mia","text":"Look at this"}`)
	ws, next := d.joinContact(is.Token, 0)
	address := is.Contact.ID + "@visitors.desk.example"
	anna.until("an offer", func(x *tree) bool { return strings.HasPrefix(x.attr("from"), address) && x.child("body") != nil })
	anna.send("<message type='chat' to='%s' id='a1'><body>Yes?</body></message>", address)
	for next("message").ID != "a1" {
	}

	// From the visitor ...
	bill := picture("MARKER-FROM-VISITOR")
	upload := func(name, typ string, body []byte) (*http.Response, sentFile) {
		t.Helper()
		resp, answer := d.web("POST", "/visit/desk/files?name="+url.QueryEscape(name), body, "Authorization", "Bearer "+is.Token, "Content-Type", typ)
		var f struct{ File sentFile }
		if err := json.Unmarshal(answer, &f); err != nil {
			t.Fatalf("%s: %s", resp.Status, answer)
		}
		return resp, f.File
	}
	resp, f := upload("../MARKER-NAME\u202egnp.png", "image/png", bill)
	if resp.StatusCode != http.StatusCreated || f.Name != "MARKER-NAMEgnp.png" || f.Size != int64(len(bill)) {
		t.Fatalf("%s: %+v", resp.Status, f)
	}
	say := func(frame string) {
		t.Helper()
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	say(`{"type":"say","id":"m1","file":"` + f.ID + `"}`)
	next("said")
	got := anna.until("the file", func(x *tree) bool { return x.child("x") != nil && x.child("x").child("url") != nil })
	link := got.child("x").child("url").text()
	if body := got.child("body").text(); body != link || link != f.URL {
		t.Errorf("Anna gets %s with the link %s, want %s", body, link, f.URL)
	}
	check := func(link string, want []byte) {
		t.Helper()
		resp, all := d.web("GET", link, nil)
		h := resp.Header
		if resp.StatusCode != http.StatusOK || !bytes.Equal(all, want) || h.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.Contains(h.Get("Cache-Control"), "immutable") || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s gives %s, %d bytes, %v", link, resp.Status, len(all), h)
		}
	}
	check(link, bill)

	// ... and from the agent.
	plan := append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte("MARKER-FROM-AGENT "), 10_000)...)
	slot := anna.slot("MARKER-PLAN.pdf", "application/pdf", len(plan)).child("slot")
	put, get := slot.child("put").attr("url"), slot.child("get").attr("url")
	if resp, _ := d.web("PUT", put, plan[1:]); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("another size is answered with %s", resp.Status)
	}
	if resp, all := d.web("PUT", put, plan, "Content-Type", "application/pdf"); resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %s", resp.Status, all)
	}
	if resp, _ := d.web("PUT", put, plan); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a second time is answered with %s", resp.Status)
	}
	anna.send("<message type='chat' to='%s' id='a2'><body>%s</body><x xmlns='jabber:x:oob'><url>%s</url></x></message>", address, get, get)
	seen := next("message")
	for seen.ID != "a2" {
		seen = next("message")
	}
	if seen.File.Name != "MARKER-PLAN.pdf" || seen.File.Type != "application/pdf" || seen.File.Size != int64(len(plan)) {
		t.Errorf("the visitor sees %+v", seen)
	}
	check(seen.File.URL, plan)
	if resp, _ := d.web("GET", get, nil, "Range", "bytes=5-7"); resp.StatusCode != http.StatusPartialContent || !strings.HasPrefix(resp.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("a part is answered with %s, %v", resp.Status, resp.Header)
	}

	// What is not what it says, or nobody's, is refused.
	for _, c := range []struct {
		name, typ string
		body      []byte
		status    int
	}{
		{"x.png", "image/png", []byte("<html><script>alert(1)</script>"), http.StatusUnsupportedMediaType},
		{"x.html", "text/html", []byte("<html>"), http.StatusUnsupportedMediaType},
		{"x.pdf", "application/pdf", []byte("MZ\x90\x00 a program"), http.StatusUnsupportedMediaType},
		{"x.png", "", bill, http.StatusUnsupportedMediaType},
		{"x.png", "image/png", make([]byte, 11<<20), http.StatusRequestEntityTooLarge},
	} {
		if resp, _ := upload(c.name, c.typ, c.body); resp.StatusCode != c.status {
			t.Errorf("%s of type %q is answered with %s, want %d", c.name, c.typ, resp.Status, c.status)
		}
	}
	say(`{"type":"say","id":"m2","file":"another"}`)
	if e := next("error"); e.Code != "unknown" {
		t.Errorf("another's file: %+v", e)
	}
	if e := anna.slot("x.iso", "application/pdf", 1<<30); e.child("error").child("file-too-large").child("max-file-size").text() != "10485760" {
		t.Errorf("a slot for too much: %s", e)
	}
	for _, forged := range []string{strings.Replace(get, "/MARKER", "A/MARKER", 1), strings.Replace(get, "/files/desk/", "/files/shop/", 1), strings.Replace(put, "size=", "size=1", 1)} {
		if resp, _ := d.web("GET", forged, nil); resp.StatusCode != http.StatusNotFound && !strings.Contains(forged, "size=") {
			t.Errorf("%s is answered with %s", forged, resp.Status)
		}
		if resp, _ := d.web("PUT", forged, plan); resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusNotFound {
			t.Errorf("PUT %s is answered with %s", forged, resp.Status)
		}
	}

	// After a kill.
	d.end(syscall.SIGKILL)
	for _, marker := range []string{"MARKER-", get} {
		if out, err := exec.Command("grep", "-rlF", marker, d.dir).Output(); err == nil {
			t.Errorf("%s is in clear in %s", marker, out)
		}
	}
	d.start()
	check(get, plan)
	ws, next = d.joinContact(is.Token, 0)
	for f := next("message"); ; f = next("message") {
		if f.ID == "m1" {
			check(f.File.URL, bill)
		}
		if f.ID == "a2" {
			check(f.File.URL, plan)
			break
		}
	}
	_ = ws
}

// What there is no room for, and what the operator's program does not like, is refused with a word why; webhooks hear of the latter.
func TestFilesRefused(t *testing.T) {
	t.Parallel()
	d := visited(t, "-set", "account.desk.files.total='100 KiB'", "-set", `account.desk.files.scan=["/bin/sh", "-c", "! grep -q VIRUS"]`)
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	e := anna.slot("plan.pdf", "application/pdf", 200<<10).child("error")
	if stamp := e.child("retry").attr("stamp"); e.child("resource-constraint") == nil || !strings.HasSuffix(stamp, "Z") { // XEP-0363 §4, rule 54
		t.Errorf("a slot for more than there is room: %s", e)
	}
	is := d.openContact(`{"id":"0123456789abcdef","name":"Mia","text":"Look at this"}`)
	for _, c := range []struct {
		body, code string
		status     int
	}{
		{strings.Repeat("x", 200<<10), "limit", http.StatusTooManyRequests},
		{"a VIRUS", "refused", http.StatusUnprocessableEntity},
		{"harmless", "", http.StatusCreated},
	} {
		resp, answer := d.web("POST", "/visit/desk/files?name=x.txt", []byte(c.body), "Authorization", "Bearer "+is.Token, "Content-Type", "text/plain")
		var got struct{ Code string }
		if err := json.Unmarshal(answer, &got); err != nil || resp.StatusCode != c.status || got.Code != c.code {
			t.Errorf("%d bytes are answered with %s, %s", len(c.body), resp.Status, answer)
		}
	}
	var events struct {
		Items []struct {
			Type string
			Data struct{ Name, Reason string }
		}
	}
	c := d.api("-role", "supervisor")
	c.ask("GET", "/v1/events?types=attachment.created,attachment.rejected", "", 200, &events)
	if len(events.Items) != 2 || events.Items[0].Type != "attachment.rejected" || events.Items[0].Data.Reason == "" || events.Items[1].Type != "attachment.created" {
		t.Errorf("the events are %+v", events.Items)
	}
}
