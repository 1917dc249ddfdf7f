package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// visited is an installation with visitors.
func visited(t *testing.T, options ...string) *daemon {
	t.Helper()
	return healthy(t, append(options, "-set", "account.desk.visitors=true", "-set", "account.desk.widget.sites=['https://shop.example']")...)
}

// host is the name that the server has.
func (d *daemon) host() string { return cmp.Or(d.name, "desk.example") }

// visitors are asked for as a browser does it.
func (d *daemon) visitors() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			if d.pipe != nil {
				return d.pipe(ctx)
			}
			return new(net.Dialer).DialContext(ctx, network, d.https)
		},
		TLSClientConfig: &tls.Config{RootCAs: d.roots(), ServerName: d.host()},
	}}
}

type visitorFrame struct {
	Type, ID, Text, Code, Token, Visitor string
	Seq                                  int64
	From                                 struct{ Kind, Name string }
	Contact                              struct {
		ID, State string
		Agent     struct{ Name string }
	}
	File sentFile
}

type sentFile struct {
	ID, Name, Type, URL string
	Size                int64
}

// openContact opens one.
func (d *daemon) openContact(text string) visitorFrame {
	d.t.Helper()
	return d.openContactAt("desk", text)
}

// openContactAt opens one of that account.
func (d *daemon) openContactAt(account, text string) (is visitorFrame) {
	d.t.Helper()
	resp, err := d.visitors().Post("https://"+d.host()+"/visit/"+account+"/contacts", "application/json", strings.NewReader(text))
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&is); err != nil || resp.StatusCode != http.StatusCreated {
		d.t.Fatalf("%s: %v", resp.Status, err)
	}
	return is
}

// joinContact opens a WebSocket to a contact; next reads the next frame of a type, "" for any.
func (d *daemon) joinContact(token string, after int64) (ws *websocket.Conn, next func(kind string) visitorFrame) {
	d.t.Helper()
	c := d.visitors()
	c.Timeout = 0
	ws, _, err := websocket.Dial(d.t.Context(), "wss://"+d.host()+"/visit/desk/socket", &websocket.DialOptions{HTTPClient: c, Subprotocols: []string{"parley.visit.1"}})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { ws.CloseNow() })
	hello, _ := json.Marshal(map[string]any{"type": "hello", "token": token, "after": after})
	if err := ws.Write(d.t.Context(), websocket.MessageText, hello); err != nil {
		d.t.Fatal(err)
	}
	return ws, func(kind string) visitorFrame {
		d.t.Helper()
		ctx, cancel := context.WithTimeout(d.t.Context(), patience)
		defer cancel()
		for {
			var f visitorFrame
			_, data, err := ws.Read(ctx)
			if err == nil {
				err = json.Unmarshal(data, &f)
			}
			if err != nil {
				d.t.Fatalf("waiting for %s: %v", kind, err)
			}
			if f.Type == kind || kind == "" {
				return f
			}
		}
	}
}

// A visitor and an agent's Jabber client talk with each other, and a server that is killed loses nothing of it.
func TestVisitorsOverHTTPS(t *testing.T) {
	t.Parallel()
	d := visited(t)
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	is := d.openContact(`{"id":"0123456789abcdef","name":"Mia <b>","text":"Is <anyone> there?"}`)
	offer := anna.until("an offer", func(x *tree) bool {
		return x.name.Local == "message" && strings.Contains(x.child("body").text(), "Is <anyone> there?")
	})
	address, _, _ := strings.Cut(offer.attr("from"), "/")
	if address != is.Contact.ID+"@visitors.desk.example" {
		t.Errorf("the offer comes from %s", address)
	}
	ws, next := d.joinContact(is.Token, 0)
	next("message")
	anna.send("<message type='chat' to='%s' id='a1'><body>Yes &amp; you?</body></message>", address)
	answer := next("message")
	if answer.Text != "Yes & you?" {
		t.Errorf("the answer is %+v", answer)
	}
	if err := ws.Write(t.Context(), websocket.MessageText, []byte(`{"type":"say","id":"m1","text":"Fine."}`)); err != nil {
		t.Fatal(err)
	}
	said := next("said")
	d.end(syscall.SIGKILL)
	d.start()
	_, next = d.joinContact(is.Token, answer.Seq)
	if f := next("message"); f.ID != "m1" || f.Seq != said.Seq || f.Text != "Fine." {
		t.Errorf("after the kill there is %+v", f)
	}
}

// Under which names visitors are answered, and with which headers.
func TestVisitorsHeaders(t *testing.T) {
	t.Parallel()
	d := visited(t, "-set", `hosts.widget="https://chat.desk.example"`, "-set", `hosts.api="https://api.desk.example"`)
	at := func(host, path string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+host+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := d.visitors().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	resp := at("chat.desk.example", "/visit/desk/config")
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
		"Cache-Control": "no-store", "Content-Type": "application/json", "Access-Control-Allow-Origin": "",
		"Strict-Transport-Security": "max-age=31536000; includeSubDomains",
	} {
		if got := resp.Header.Get(name); got != want || resp.StatusCode != http.StatusOK {
			t.Errorf("%s, %s: %q, want %q", resp.Status, name, got, want)
		}
	}
	for _, c := range []struct {
		host, path string
		status     int
	}{
		{"api.desk.example", "/visit/desk/config", http.StatusMisdirectedRequest},
		{"desk.example", "/visit/desk/config", http.StatusMisdirectedRequest},
		{"chat.desk.example", "/v1/account", http.StatusMisdirectedRequest},
		{"chat.desk.example", "/visit/nobody/config", http.StatusNotFound},
		{"chat.desk.example", "/visit/desk/nothing", http.StatusNotFound},
	} {
		if resp := at(c.host, c.path); resp.StatusCode != c.status {
			t.Errorf("%s%s: %s, want %d", c.host, c.path, resp.Status, c.status)
		}
	}
}

// Visitors who are connected take no place from others.
func TestVisitorsLeavePlaces(t *testing.T) {
	t.Parallel()
	d := visited(t, "-set", "visitors.connections_per_address=0")
	is := d.openContact(`{"id":"0123456789abcdef"}`)
	for range httpsPerAddress + 10 { // each contact has eight, and the others say goodbye
		d.joinContact(is.Token, 0)
	}
	streams := d.visitors()
	streams.Timeout = 0
	for range httpsPerAddress + 10 {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://desk.example/visit/desk/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+is.Token)
		resp, err := streams.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	if status, body := d.get("/healthz"); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	began := time.Now()
	d.end(syscall.SIGTERM)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it ends in %s", took)
	}
}
