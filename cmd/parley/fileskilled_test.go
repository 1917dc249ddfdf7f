package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// A sendingKilled is one server that is killed over and over while files are sent.
type sendingKilled struct {
	t       *testing.T
	d       *daemon
	is      visitorFrame // the contact
	address string
	asked   *apiClient
	given   map[string]bool   // files of the contact, as events tell
	links   map[string][]byte // what was acknowledged, and what it holds
}

// A server that is killed between a file's bytes, its row and the record that tells of it has all of it after a restart, or nothing; and all
// of it where it was acknowledged. I2, I4
func TestKilledWhileFilesAreSent(t *testing.T) {
	t.Parallel()
	d := visited(t, "-set", "visitors.opens_per_minute=0")
	k := &sendingKilled{t: t, d: d, is: d.openContact(`{"id":"0123456789abcdef","name":"Mia","text":"Look at this"}`),
		asked: d.api("-role", "supervisor"), given: make(map[string]bool), links: make(map[string][]byte)}
	k.address = k.is.Contact.ID + "@visitors.desk.example"
	anna := k.anna()
	anna.until("an offer", func(x *tree) bool { return strings.HasPrefix(x.attr("from"), k.address) && x.child("body") != nil })
	anna.send("<message type='chat' to='%s' id='a0'><body>Yes?</body></message>", k.address)
	anna.rest()
	anna.drop()

	wal := filepath.Join(d.dir, "data/accounts/desk/data.db-wal")
	const naming = "rename,renameat,renameat2"
	for _, at := range []struct {
		what, calls string
		most        int // strace counts what each thread does
		send        func(what string, options []string) (killed bool)
		options     []string
	}{
		{"a visitor's bytes", "write", 3, k.visitors, nil},
		{"a visitor's syncs", "fsync,fdatasync", 3, k.visitors, nil},
		{"a visitor's name", naming, 1, k.visitors, nil},
		{"a visitor's row", "pwrite64", 2, k.visitors, []string{"-P", wal}},
		{"an agent's name", naming, 1, k.agents, nil},
		{"an agent's syncs", "fsync,fdatasync", 2, k.agents, nil},
		{"an agent's gift", "pwrite64", 2, k.gives, []string{"-P", wal}},
		{"an agent's gift synced", "fsync,fdatasync", 2, k.gives, []string{"-P", wal}},
	} {
		deaths := 0
		for n := 1; n <= at.most; n++ {
			options := append(slices.Clone(at.options), "-e", "trace="+at.calls, "-e", "inject="+at.calls+":signal=KILL:when="+strconv.Itoa(n))
			what := fmt.Sprintf("%s %d", at.what, n)
			killed := at.send(what, options)
			k.check(what)
			if !killed {
				break
			}
			deaths++
		}
		if deaths == 0 {
			t.Errorf("it was not killed at %s", at.what)
		}
	}
}

func (k *sendingKilled) anna() *jabber {
	k.t.Helper()
	j := k.d.login("anna", "correct horse 42", "phone").in(k.t)
	j.available("")
	return j
}

// sends does something while strace looks on, and begins the server anew if that has killed it.
func (k *sendingKilled) sends(options []string, do func()) (killed bool) {
	k.t.Helper()
	detach := k.d.attach(k.t, options...)
	do()
	detach()
	if status, _ := k.d.get("/healthz"); status == http.StatusOK {
		return false
	}
	<-k.d.ended
	k.d.start()
	return true
}

// put sends bytes, to a server that may not live to answer: then the status is 0.
func (k *sendingKilled) put(method, link string, body []byte, out any) (status int) {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), method, link, bytes.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Authorization", "Bearer "+k.is.Token)
	resp, err := k.d.visitors().Do(r)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if out != nil && json.NewDecoder(resp.Body).Decode(out) != nil {
		return 0
	}
	return resp.StatusCode
}

func (k *sendingKilled) visitors(what string, options []string) bool {
	body := bytes.Repeat([]byte(what+" "), 10_000)
	return k.sends(options, func() {
		var f struct{ File sentFile }
		switch status := k.put("POST", "https://desk.example/visit/desk/files?name=x.txt", body, &f); status {
		case 0:
		case http.StatusCreated:
			k.given[f.File.ID], k.links[f.File.URL] = true, body
		default:
			k.t.Errorf("%s: %d", what, status)
		}
	})
}

// slot is one for a text, and the file's id.
func (k *sendingKilled) slot(j *jabber, size int) (put, get, id string) {
	slot := j.slot("x.txt", "text/plain", size).child("slot")
	put, get = slot.child("put").attr("url"), slot.child("get").attr("url")
	return put, get, strings.Split(get, "/")[5]
}

func (k *sendingKilled) agents(what string, options []string) bool {
	body := bytes.Repeat([]byte(what+" "), 10_000)
	anna := k.anna()
	put, get, id := k.slot(anna, len(body))
	killed := k.sends(options, func() {
		if status := k.put("PUT", put, body, nil); status != 0 && status != http.StatusCreated {
			k.t.Errorf("%s: %d", what, status)
		}
	})
	anna.drop()
	if killed { // and her client tries again
		if status := k.put("PUT", put, body, nil); status != http.StatusCreated && status != http.StatusBadRequest {
			k.t.Errorf("%s, tried again: %d", what, status)
		}
	}
	k.links[get] = body
	k.given[id] = false
	return killed
}

// gives has an agent say a file's link to the visitor, and say it again after a kill.
func (k *sendingKilled) gives(what string, options []string) bool {
	body := bytes.Repeat([]byte(what+" "), 10_000)
	anna := k.anna()
	put, get, id := k.slot(anna, len(body))
	if status := k.put("PUT", put, body, nil); status != http.StatusCreated {
		k.t.Fatalf("%s: %d", what, status)
	}
	say := fmt.Sprintf("<message type='chat' to='%s' id='%s'><body>%s</body><x xmlns='jabber:x:oob'><url>%s</url></x></message>", k.address, id, get, get)
	killed := k.sends(options, func() {
		anna.send("%s<iq type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>", say)
		for e := anna.next(); e != nil && e.attr("id") != "last"; e = anna.next() {
		}
	})
	anna.drop()
	if killed {
		anna = k.anna()
		anna.send("<enable xmlns='urn:xmpp:sm:3'/>%s", say)
		anna.acknowledges(1)
		anna.drop()
	}
	ws, next := k.d.joinContact(k.is.Token, 0)
	defer ws.CloseNow()
	for next("message").File.ID != id {
	}
	if err := ws.Write(k.t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)); err != nil {
		k.t.Fatal(err)
	}
	seen := 1
	for f := next(""); f.Type != "pong"; f = next("") {
		if f.File.ID == id {
			seen++
		}
	}
	if seen != 1 {
		k.t.Errorf("%s: the visitor sees the file %d times", what, seen)
	}
	k.given[id], k.links[get] = true, body
	return killed
}

// check compares what there is with what was told, and with what was acknowledged.
func (k *sendingKilled) check(what string) {
	k.t.Helper()
	for link, want := range k.links {
		if resp, all := k.d.web("GET", link, nil); resp.StatusCode != http.StatusOK || !bytes.Equal(all, want) {
			k.t.Errorf("%s: %s gives %s, %d bytes", what, link, resp.Status, len(all))
		}
	}
	var events struct {
		Items []struct {
			Data struct{ File struct{ ID string } }
		}
	}
	k.asked.ask("GET", "/v1/events?types=attachment.created&limit=100", "", 200, &events)
	told := make(map[string]bool)
	for _, e := range events.Items {
		if told[e.Data.File.ID] {
			k.t.Errorf("%s: file %s is told twice", what, e.Data.File.ID)
		}
		told[e.Data.File.ID] = true
		k.given[e.Data.File.ID] = true // it was kept, and its sender may not have heard
	}
	there, err := filepath.Glob(filepath.Join(k.d.dir, "data/accounts/desk/files/*/*"))
	if err != nil || len(there) != len(k.given) {
		k.t.Errorf("%s: there are %d files, %v, want %d", what, len(there), err, len(k.given))
	}
	for id, contacts := range k.given {
		if contacts != told[id] {
			k.t.Errorf("%s: file %s is the contact's: %v, told: %v", what, id, contacts, told[id])
		}
		if !slices.ContainsFunc(there, func(path string) bool { return filepath.Base(path) == id }) {
			k.t.Errorf("%s: file %s is not there", what, id)
		}
	}
	if out, _, err := typed(k.t, "", "verify", "-config", filepath.Join(k.d.dir, "parley.toml")); err != nil {
		k.t.Errorf("%s: %v\n%s", what, err, out)
	}
}

// A file's bytes, and the names of where they are, are durable before its row is, and that before its sender hears that it was taken. I2
func TestFileIsDurableBeforeItIsTaken(t *testing.T) {
	t.Parallel()
	d := visited(t)
	is := d.openContact(`{"id":"0123456789abcdef","name":"Mia","text":"Look at this"}`)
	trace := filepath.Join(t.TempDir(), "calls")
	detach := d.attach(t, "-o", trace, "-e", tracedCalls)
	defer detach()
	client := ""
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { client = "->" + c.Conn.LocalAddr().String() + "]" }})
	r, err := http.NewRequestWithContext(ctx, "POST", "https://desk.example/visit/desk/files?name=x.txt", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Authorization", "Bearer "+is.Token)
	resp, err := d.visitors().Do(r)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatal(resp, err)
	}
	resp.Body.Close()

	account := filepath.Join(d.dir, "data/accounts/desk")
	wal, there := filepath.Join(account, "data.db-wal"), ""
	var calls []*systemCall
	next := func(after *systemCall, fits func(*systemCall) bool) *systemCall {
		for _, c := range calls {
			if after != nil && c.begun > after.done && fits(c) {
				return c
			}
		}
		return nil
	}
	var named, told *systemCall
	eventually(t, "the trace shows the answer", func() bool {
		text, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		calls = parseTrace(string(text))
		for _, c := range calls {
			if paths := quotedPath.FindAllStringSubmatch(c.args, -1); strings.HasPrefix(c.name, "rename") && len(paths) == 2 && strings.HasPrefix(paths[1][1], account+"/files/") {
				named, there = c, paths[1][1]
			}
		}
		told = next(named, func(c *systemCall) bool { return c.writes(client) })
		return told != nil
	})
	before := func(what string, c, limit *systemCall) *systemCall {
		t.Helper()
		if c == nil || c.done >= limit.begun {
			t.Errorf("%s only after line %d, or never", what, limit.begun+1)
			return limit
		}
		return c
	}
	start := &systemCall{done: -1}
	before("its bytes are synced", next(start, func(c *systemCall) bool { return c.syncs(account + "/files/new/" + filepath.Base(there)) }), named)
	row := before("its row is written", next(named, func(c *systemCall) bool { return c.writes("<" + wal) }), told)
	before("its row is synced", next(row, func(c *systemCall) bool { return c.syncs(wal) }), told)
	for path, at := range made(calls, account, nil) {
		if !strings.HasPrefix(path, account+"/files/new") { // what is not whole need not outlive anything
			before(path+" is synced", next(&systemCall{done: at}, func(c *systemCall) bool { return c.syncs(filepath.Dir(path)) }), row)
		}
	}
}
