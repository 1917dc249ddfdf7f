package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"parley.im/parley/xmppd/web"
)

// I3, I7: of what visitors and programs say nothing is in clear in any file, and kill -9 loses nothing that was answered.
func TestI3Contacts(t *testing.T) {
	t.Parallel()
	d := visited(t)
	c := d.api("-role", "supervisor")
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	m := newMarkers()
	in := func(what string) string { return m.make(spoken, what) }
	path := "/v1/contacts/" + d.openContact(fmt.Sprintf(`{"id":"0123456789abcdef","name":%q,"text":%q,"form":true,"fields":{"order":%q},"title":%q,"page":"https://shop.example/%s"}`,
		in("name"), in("question"), in("field"), in("title"), in("page"))).Contact.ID
	c.headers.Set("Idempotency-Key", "once")
	hello := fmt.Sprintf(`{"text":%q}`, in("bot's text"))
	var said, again web.MessageInfo
	c.ask("POST", path+"/messages", hello, 201, &said)
	c.headers.Del("Idempotency-Key")
	c.ask("POST", path+"/notes", fmt.Sprintf(`{"text":%q}`, in("note")), 200, nil)
	c.ask("PATCH", path, fmt.Sprintf(`{"tags":[%q],"fields":{%q:%q}}`, in("tag"), in("field's name"), in("another field")), 200, nil)
	c.ask("POST", "/v1/desk/agents/anna/pause", fmt.Sprintf(`{"reason":%q}`, in("reason to pause")), 200, nil)
	c.ask("POST", path+"/close", fmt.Sprintf(`{"reason":%q}`, in("reason to close")), 200, nil)
	c.ask("GET", path+"/transcript?format=signed", "", 200, nil)
	for i, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		d.end(signal)
		for name, what := range m.below(t, d.dir, func(path string) bool { return path == filepath.Join(d.dir, "root.key") }, spoken) {
			t.Errorf("%s holds %q", name, what)
		}
		if what := m.found([]byte(d.log()), spoken); len(what) > 0 {
			t.Errorf("the log holds %q", what)
		}
		d.start()
		all := c.ask("GET", path+"/export", "", 200, nil).body
		for _, x := range m.all[spoken] {
			if x.in != "reason to pause" && !strings.Contains(all, x.text) {
				t.Errorf("after %d ends the export leaves out the %s", i+1, x.in)
			}
		}
	}
	c.headers.Set("Idempotency-Key", "once") // what was answered holds, although the contact is over
	c.ask("POST", path+"/messages", hello, 201, &again)
	if again != said {
		t.Errorf("%+v, and again %+v", said, again)
	}
}

// An export of what was changed outside the server is shown as far as it can be read, and never taken for all.
func TestExportBreaksOff(t *testing.T) {
	t.Parallel()
	d := visited(t)
	c := d.api("-role", "supervisor")
	is := d.openContact(`{"id":"0123456789abcdef","text":"one","form":true}`)
	path := "/v1/contacts/" + is.Contact.ID
	for _, text := range []string{"two", "three"} {
		c.ask("POST", path+"/messages", fmt.Sprintf(`{"text":%q}`, text), 201, nil)
	}
	d.end(syscall.SIGTERM)
	db, err := sql.Open("sqlite3", filepath.Join(d.dir, "data/accounts/desk/data.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE log SET sealed = zeroblob(length(sealed)) WHERE n = 3"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	d.start()
	resp, err := c.http.Do(c.request("GET", path+"/export", ""))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err == nil || json.Valid(text) || !strings.Contains(string(text), `"text":"three"`) {
		t.Errorf("%v, and\n%s", err, text)
	}
	refused(t, "cut off", "", "contact", "export", is.Contact.ID, "-config", filepath.Join(d.dir, "parley.toml"))
}

// A file that was sent is part of its contact, and of no other.
func TestFilesOfContacts(t *testing.T) {
	t.Parallel()
	d := visited(t)
	c := d.api("-role", "supervisor")
	one, other := d.openContact(`{"id":"0123456789abcdef"}`), d.openContact(`{"id":"0123456789abcdee"}`)
	sent := picture("PICTURE")
	resp, body := d.web("POST", "/visit/desk/files?name="+url.QueryEscape("Mia & söhne.png"), sent, "Authorization", "Bearer "+one.Token, "Content-Type", "image/png")
	var f struct{ File struct{ ID string } }
	if err := json.Unmarshal(body, &f); err != nil || f.File.ID == "" {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	var all struct{ Files []web.ExportedFile }
	c.ask("GET", "/v1/contacts/"+one.Contact.ID+"/export", "", 200, &all)
	if len(all.Files) != 1 || all.Files[0].ID != f.File.ID || all.Files[0].Name != "Mia & söhne.png" || all.Files[0].Type != "image/png" || all.Files[0].Size != int64(len(sent)) {
		t.Errorf("the export has %+v", all.Files)
	}
	got := c.ask("GET", "/v1/contacts/"+one.Contact.ID+"/files/"+f.File.ID, "", 200, nil)
	_, params, err := mime.ParseMediaType(got.header.Get("Content-Disposition"))
	if got.body != string(sent) || got.header.Get("Content-Type") != "application/octet-stream" || params["filename"] != "Mia & söhne.png" {
		t.Errorf("%d bytes, %v, %v", len(got.body), got.header, err)
	}
	for _, path := range []string{other.Contact.ID + "/files/" + f.File.ID, one.Contact.ID + "/files/none", "aaaaaaaaaa/files/" + f.File.ID} {
		c.ask("GET", "/v1/contacts/"+path, "", 404, nil)
	}
}
