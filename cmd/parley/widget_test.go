package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"parley.im/parley/xmppd/visit/widget/chromium"
)

// A visitor in a real browser and an agent in a Jabber client, through a server that is killed between them.
func TestWidget(t *testing.T) {
	t.Parallel()
	page := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src https://desk.example; frame-src https://desk.example")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>Lamps</title><script src="https://desk.example/visit/loader.js" data-account="desk" async></script></html>`)
	}))
	_, port, _ := net.SplitHostPort(page.Listener.Addr().String())
	shop, https := "https://localhost:"+port, freeAddress(t)
	browser := chromium.Start(t, "--host-resolver-rules=MAP desk.example:443 "+https+", MAP desk.example 127.0.0.1")
	page.StartTLS()
	t.Cleanup(page.Close)

	dir, config := quickstarted(t, "-set", "account.desk.visitors=true", "-set", "account.desk.widget.sites=['"+shop+"']", "-set", "account.desk.widget.colour='#0b6e4f'",
		"-starttls", "127.0.0.1:0", "-tls", "127.0.0.1:0", "-https", https, "desk.example")
	must(t, "anna@desk.example\tcorrect horse 42\n", "agent", "import", "-config", config)
	d := startDaemon(t, dir)
	anna := d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	anna.send("<iq type='set' id='card'><vCard xmlns='vcard-temp'><FN>Anna Bianchi</FN><PHOTO><BINVAL>R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=</BINVAL></PHOTO></vCard></iq>")
	anna.until("her card is kept", func(x *tree) bool { return x.attr("id") == "card" && x.attr("type") == "result" })
	asked := func(text string) *tree {
		t.Helper()
		return anna.until(text, func(x *tree) bool { return x.name.Local == "message" && strings.Contains(x.child("body").text(), text) })
	}

	p := browser.Open(t, 1000, 700, false)
	p.Visit(shop)
	p.Button("Open the chat", false)
	p.Page("parley('open')")
	p.Await("document.activeElement.id === 'first'")
	p.Write("Is the <b>red</b> lamp there?")
	p.Press("Enter")
	address, _, _ := strings.Cut(asked("Is the <b>red</b> lamp there?").attr("from"), "/")
	p.Shows("You are next.")
	anna.send("<message type='chat' to='%s' id='a1'><body>Yes &lt;i&gt;two&lt;/i&gt; https://shop.example/red</body></message>", address)
	p.Shows("Yes <i>two</i> https://shop.example/red")
	p.Shows("\u2068Anna Bianchi\u2069 is here for you now.")
	p.Await("document.querySelectorAll('#face img, #log .face img').length === 2 && [...document.images].every((i) => i.naturalWidth === 1)")
	p.Await("document.querySelector('#log a').href === 'https://shop.example/red'")
	p.Await("document.activeElement.id === 'text'")
	p.Write("Great")
	anna.until("typing", func(x *tree) bool { return x.child("composing") != nil })
	p.Press("Enter")
	great := asked("Great")
	anna.send("<message type='chat' to='%s'><displayed xmlns='urn:xmpp:chat-markers:0' id='%s'/></message>", address, great.attr("id"))
	p.Await("document.querySelectorAll('#log .read').length === 2")
	p.Picture("real")

	p.In("{ const d = new DataTransfer(); d.items.add(new File(['%PDF-1.7 the bill'], 'bill.pdf', {type: 'application/pdf'})); const i = document.querySelector('#files'); i.files = d.files; i.dispatchEvent(new Event('change')) }")
	bill := anna.until("a file", func(x *tree) bool { return x.child("x") != nil && x.child("x").child("url") != nil })
	if _, all := d.web("GET", bill.child("x").child("url").text(), nil); string(all) != "%PDF-1.7 the bill" {
		t.Errorf("Anna gets %q", all)
	}
	gif := []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")
	slot := anna.slot("lamp.gif", "image/gif", len(gif)).child("slot")
	if resp, all := d.web("PUT", slot.child("put").attr("url"), gif); resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %s", resp.Status, all)
	}
	anna.send("<message type='chat' to='%s' id='a3'><body>%[2]s</body><x xmlns='jabber:x:oob'><url>%[2]s</url></x></message>", address, slot.child("get").attr("url"))
	p.Await("document.querySelector('.theirs .file img')?.naturalWidth === 1")
	p.Picture("real-files")

	p.In("WebSocket = function () { throw new Error('blocked') }") // then by events and posts
	d.end(syscall.SIGKILL)
	p.Shows("The connection is lost.")
	p.Write("Are you there?")
	p.Press("Enter")
	d.start()
	anna = d.login("anna", "correct horse 42", "phone").in(t)
	anna.available("")
	p.In("dispatchEvent(new Event('online'))")
	asked("Are you there?")
	anna.send("<message type='chat' to='%s' id='a2'><body>Yes!</body></message>", address)
	p.Shows("Yes!")
	p.Await("performance.getEntriesByType('resource').some(r => r.name.endsWith('/visit/desk/frames'))") // known when it is answered
	if got := p.In("[...document.querySelectorAll('#log .text')].map(e => e.firstChild.data || e.querySelector('img')?.alt || e.querySelector('bdi').textContent).join('|')"); got != "Is the <b>red</b> lamp there?|Yes <i>two</i> |Great|bill.pdf|lamp.gif|Are you there?|Yes!" {
		t.Errorf("the visitor sees %s", got)
	}
	p.Visit(shop + "/next") // as it was
	p.Shows("Yes!")
	p.Page("parley('open')")
	p.In("document.getElementById('end').click()")
	p.Await("document.activeElement.id === 'no'")
	p.Press("Tab", "Enter")
	p.Shows("How was it?")
	p.In("document.querySelectorAll('#stars input')[4].click()")
	p.Await("!document.querySelector('#rated').hidden")
	p.In("document.getElementById('rated').click()")
	p.Shows("Thank you!")
	p.Picture("rated")
}
