package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley.im/parley/xmppd/web"
)

// Who looks after an agent sees which of her devices are signed in, and from where, and ends
// one of them; the others go on.
func TestAPISessions(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	c := d.api("-role", "admin")
	config := filepath.Join(d.dir, "parley.toml")
	const path = "/v1/agents/anna@desk.example/sessions"
	sessions := func() (list []web.SessionInfo) {
		t.Helper()
		var all web.List[web.SessionInfo]
		c.ask("GET", path, "", 200, &all)
		return all.Items
	}
	if n := len(sessions()); n != 0 {
		t.Errorf("%d sessions of who is not there", n)
	}
	began := time.Now().Truncate(time.Millisecond)
	var device web.CredentialInfo
	c.ask("POST", "/v1/agents/anna@desk.example/credentials", `{"label":"laptop"}`, 201, &device)
	laptop := d.login("anna", device.Secret, "laptop").in(t)
	_, _, err := knock{login: d.login("anna", "correct horse 42", ""), client: phoneID, wants: "<bind xmlns='urn:xmpp:bind:0'><tag>Phone</tag></bind>",
		says: "<software>Teapot 2 &#x202e;" + strings.Repeat("ä", 100) + "</software><device>Pixel</device>"}.try(t)
	if err != nil {
		t.Fatal(err)
	}
	var onLaptop, onPhone web.SessionInfo
	for _, v := range sessions() {
		if !v.Connected || v.From != "127.0.0.1" || !strings.HasPrefix(v.TLS, "TLS 1.3, TLS_") || v.Since.Before(began) || v.Since.After(time.Now()) || v.Credential == "" {
			t.Errorf("%+v", v)
		}
		if v.Resource == "laptop" {
			onLaptop = v
		} else {
			onPhone = v
		}
	}
	if onLaptop.Credential != device.ID || onLaptop.Software != "" || onPhone.Credential == device.ID || !strings.HasPrefix(onPhone.Resource, "Phone/") ||
		!strings.HasPrefix(onPhone.Software, "Teapot 2 \u202eää") || len(onPhone.Software) > 100 || onPhone.Device != "Pixel" {
		t.Errorf("laptop %+v, phone %+v", onLaptop, onPhone)
	}
	out := must(t, "", "session", "list", "anna@desk.example", "-config", config)
	for _, want := range []string{onLaptop.ID + "  laptop  ", ", from 127.0.0.1  TLS 1.3, ", `Teapot 2 \u{202e}ää`} {
		if !strings.Contains(out, want) {
			t.Errorf("the command lists\n%s\nwant %q", out, want)
		}
	}
	c.ask("DELETE", path+"/"+onLaptop.ID, "", 204, nil)
	laptop.until("the end", func(e *tree) bool {
		return strings.Contains(e.String(), "policy-violation") && strings.Contains(e.String(), "this session was ended")
	})
	c.ask("DELETE", path+"/"+onLaptop.ID, "", 404, nil)
	c.ask("DELETE", "/v1/agents/ben@desk.example/sessions/"+onPhone.ID, "", 404, nil) // it is Anna's
	if left := sessions(); len(left) != 1 || left[0].ID != onPhone.ID {
		t.Errorf("left: %+v", left)
	}
	must(t, "", "session", "end", "anna@desk.example", onPhone.ID, "-config", config)
	refused(t, "anna@desk.example has no session", "", "session", "end", "anna@desk.example", onPhone.ID, "-config", config)
	d.login("anna", device.Secret, "laptop").in(t).lives() // what keeps a device out is to revoke its credential
}
