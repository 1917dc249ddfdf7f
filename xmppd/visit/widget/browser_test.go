package widget

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"parley.im/parley/xmppd/visit/widget/chromium"
)

// A shop is a page of another site with the widget's line on it, and who answers there.
type shop struct {
	*counter
	url string
}

// newShop has attributes in its line, and things in the account's config.
func newShop(t *testing.T, attributes string, config frame) *shop {
	t.Helper()
	page := httptest.NewUnstartedServer(nil)
	_, port, _ := net.SplitHostPort(page.Listener.Addr().String())
	url := "https://localhost:" + port // another site than the widget's
	c := newCounter(t, config)
	s := server(t, c.routes, func(account string) ([]string, bool) { return []string{url}, account == "acme" })
	page.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// All that docs/visitors.md asks of a shop that has a policy.
		w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src 'self'; style-src 'self'; script-src "+s.URL+"; frame-src "+s.URL)
		switch r.URL.Path {
		case "/style.css":
			w.Header().Set("Content-Type", "text/css")
			io.WriteString(w, `body { font: 17px/1.6 Georgia, serif; margin: 8vmin; color: #333; background: #fbf8f3 } button, dialog { all: unset; background: red !important }`)
		case "/favicon.ico":
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, `<!doctype html><html lang="en"><head><title>Lamps &amp; more</title><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/style.css"></head><body><h1>Lamps &amp; more</h1><p><a href="#lamps">Lamps</a> for every room, made by hand since 1962.</p>
<p>We send within two days, and you have thirty to change your mind.</p>
<script src="%s/visit/loader.js" data-account="acme" %s async></script></body></html>`, s.URL, attributes)
		}
	})
	page.StartTLS()
	t.Cleanup(page.Close)
	return &shop{counter: c, url: url}
}

// A visitor and a scripted agent go through a conversation in a real browser.
func TestBrowser(t *testing.T) {
	t.Parallel()
	b := chromium.Start(t)
	for _, sub := range []struct {
		name string
		test func(*testing.T, *chromium.Browser)
	}{{"Keyboard", keyboard}, {"Markup", markup}, {"Reconnect", reconnect}, {"Blocked", blocked}, {"Phone", phone}, {"Page", nextPage}, {"Foreign", foreign}, {"Away", away}, {"Files", sendFiles}} {
		t.Run(sub.name, func(t *testing.T) { sub.test(t, b) })
	}
}

const (
	field = "document.activeElement.name"
	focus = "document.activeElement.id"
)

// begin opens the chat and says something, for tests about what comes then.
func begin(t *testing.T, s *shop, p *chromium.Tab, text string) {
	t.Helper()
	p.Visit(s.url)
	p.Button("Open the chat", false)
	p.Page("parley('open')")
	p.Await(focus + " === 'first'")
	p.Write(text)
	p.Press("Enter")
	p.Shows(text)
	p.Await(focus + " === 'text'")
	s.until("a connection", func() bool { return len(s.lines) > 0 })
}

// keyboard never touches the mouse.
func keyboard(t *testing.T, b *chromium.Browser) {
	s := newShop(t, `data-colour="#0b6e4f" data-group="sales"`, frame{"form": []frame{{"name": "name", "label": "Your name"}, {"name": "email", "label": frame{"en": "Your e-mail", "de": "Ihre E-Mail"}, "type": "email", "required": true}}, "transcript": "known"})
	s.mail = "m…@home.example"
	p := b.Open(t, 1100, 760, false)
	p.Visit(s.url + "/lamps?colour=red#top")
	p.Button("Open the chat", false)
	p.Picture("shop")

	p.Press("Tab", "Tab") // the page's link, then the button
	p.Finds("focus on the button", func(x chromium.Thing) bool { return x.Role == "button" && x.Focused })
	p.Press("Enter")
	p.Button("Close the chat", true)
	p.Await(field + " === 'name'")
	p.Write("Mia")
	p.Press("Tab")
	p.Await(field + " === 'email'")
	p.Picture("form")
	p.Press("Tab")
	p.Await(focus + " === 'first'")
	p.Write("Is the red lamp")
	p.Press("Shift+Enter")
	p.Write("still there?")
	p.Press("Enter") // but the address is required
	p.Await(field + " === 'email'")
	p.Write("mia@home.example")
	p.Press("Tab", "Tab", "Enter")
	p.Shows("You are number 2 in the queue. It takes about 2 minutes.")
	p.Await(focus + " === 'text'")
	asked := s.opened[0]
	wanted := frame{"name": "Mia", "fields": frame{"email": "mia@home.example"}, "text": "Is the red lamp\nstill there?", "page": s.url + "/lamps?colour=red",
		"title": "Lamps & more", "lang": "en", "group": "sales"}
	for k, want := range wanted {
		if fmt.Sprint(asked[k]) != fmt.Sprint(want) {
			t.Errorf("the contact was opened with %s %q, want %q", k, asked[k], want)
		}
	}
	if id := fmt.Sprint(asked["id"]); len(id) < 16 || len(id) > 64 {
		t.Errorf("its id is %q", id)
	}
	p.Picture("queue")

	s.becomesWith("active", "Anna Bianchi", portrait)
	p.Shows("\u2068Anna Bianchi\u2069 is here for you now.")
	s.tell(frame{"type": "typing", "on": true, "from": frame{"kind": "agent", "name": "Anna Bianchi"}})
	p.Shows("is writing")
	s.saysWith("Anna Bianchi", portrait, "Yes! We have two of them, see https://shop.example/lamps/red (and the blue one).")
	p.Await("!document.querySelector('#typing').textContent && document.querySelector('#log a').href === 'https://shop.example/lamps/red'")
	s.hears("read", frame{"seq": 4})
	p.Await("document.querySelectorAll('#face img, #log .face img').length === 2 && [...document.images].every((i) => i.naturalWidth === 96)")
	p.Write("Great")
	s.hears("typing", frame{"on": true})
	p.Press("Enter")
	s.hears("say", frame{"text": "Great"})
	s.hears("typing", frame{"on": false})
	state := func(what string) {
		t.Helper()
		p.Await(fmt.Sprintf("[...document.querySelectorAll('.mine')].at(-1).querySelector('.foot .sr').textContent === %q", what))
	}
	state("Sent")
	s.tell(frame{"type": "delivered", "seq": 5})
	state("Delivered")
	s.tell(frame{"type": "read", "seq": 5})
	state("Read")
	p.Picture("conversation")
	for _, x := range p.Things(p.Within()) {
		if x.Name == "" && (x.Role == "button" || x.Role == "textbox" || x.Role == "log" || x.Role == "link" || x.Role == "heading") {
			t.Errorf("a screen reader has no name for a %s", x.Role)
		}
	}

	p.Press("Escape")
	p.Button("Open the chat", false)
	p.Finds("focus on the button", func(x chromium.Thing) bool { return x.Role == "button" && x.Focused })
	s.says("Anna Bianchi", "Shall I put one aside?")
	s.hears("received", frame{"seq": 6})
	p.Button("Open the chat; new messages: 1", false)
	p.Picture("unread")
	p.Press("Enter")
	p.Await(focus + " === 'text'")
	s.hears("read", frame{"seq": 6})
	for range 5 { // past the link and the log, which scrolls by keys, and the arrow
		if p.In(focus) != "end" {
			p.Press("Shift+Tab")
		}
	}
	p.Await(focus + " === 'end'")
	p.Press("Enter")
	p.Await("document.querySelector('#ask').open")
	p.Press("Escape") // leaves the question, not the chat
	p.Await("!document.querySelector('#ask').open")
	p.Button("Close the chat", true)
	p.Press("Enter")
	p.Await("document.querySelector('#ask').open")
	p.Picture("question")
	p.Await(focus + " === 'no'")
	p.Press("Tab", "Enter")
	s.hears("close", nil)
	p.Shows("The chat has ended.")
	p.In("document.querySelector('#stars input').focus()")
	p.Press("Space", "Right", "Right", "Right")
	p.Await("document.querySelector('#stars :checked').value === '4'")
	p.Press("Tab")
	p.Write("not now") // the server can't keep it
	p.Press("Tab", "Enter")
	p.Shows("The chat cannot be reached. Please try again.")
	s.tell(frame{"type": "bye", "code": "closed"}) // and the connection ends
	p.In("document.querySelector('#comment').value = 'Quick!'")
	p.Await("(({scrollHeight, scrollTop, clientHeight}) => scrollHeight - scrollTop - clientHeight < 2)(document.querySelector('#log'))")
	p.Picture("rating")
	p.In("document.querySelector('#rated').focus()")
	p.Press("Enter")
	s.hears("rate", frame{"stars": 4, "comment": "Quick!"})
	p.Shows("Thank you!")
	p.Await("document.querySelector('#rating').hidden")
	p.Await(focus + " === 'anew'")
	p.Shows("It goes to m…@home.example.")
	p.Picture("copy-known")
	p.Press("Shift+Tab", "Enter")
	s.hears("transcript", frame{"email": ""})
	p.Shows("The chat is on its way to you by e-mail.")
	p.Await("document.querySelector('#copy').hidden && " + focus + " === 'anew'")
	p.Press("Enter")
	p.Await(field + " === 'name'")
}

// markup is what strangers would have the page be.
func markup(t *testing.T, b *chromium.Browser) {
	p := b.Open(t, 1000, 700, false)
	bad := `<img src=x onerror="document.title='gone'"><script>document.title='gone'</script>&amp;`
	s := newShop(t, `data-text-title="Ask &lt;us&gt;" data-colour="#fff;}*{color:red"`,
		frame{"form": []frame{{"name": "x", "label": frame{"en": bad}}}})
	p.Visit(s.url)
	p.Button("Open the chat", false)
	p.Page("parley('open')")
	p.Await("document.querySelector('#fields label').textContent === " + fmt.Sprintf("%q", bad))
	p.Shows("Ask <us>")
	p.Await(field + " === 'x'")
	p.Press("Tab")
	p.Write("too long")
	p.Press("Enter")
	p.Shows("what you say is <b>too</b> long")
	p.In("document.querySelector('#first').value = ''")
	p.Press("Shift+Tab") // from the button, where the fault was told
	p.Write("hello " + bad)
	p.Press("Enter")
	s.until("a connection", func() bool { return len(s.lines) > 0 })
	s.becomesWith("active", bad, "https://evil.example/a.png")
	s.saysWith(bad, "javascript:alert(1)", bad+" javascript:alert(1) https://bank.example@evil.example http://plain.example")
	s.says("\u202eevil\u202c", "\u202etxet gnorw")
	s.tell(frame{"type": "message", "id": "sys", "from": frame{"kind": "system"}, "text": bad, "at": "<b>now</b>"})
	s.tell(frame{"type": "typing", "on": true, "from": frame{"kind": "agent", "name": bad}})
	p.Await("document.querySelectorAll('#log .text').length === 4")
	p.Shows("is writing")
	p.Await(fmt.Sprintf("[...document.querySelectorAll('#log .text')].filter(e => e.textContent.includes(%q)).length === 3", bad))
	if n := p.In("document.querySelectorAll('img, #log script, #log a, b').length + document.scripts.length"); n != "1" { // our own
		t.Errorf("there are %s elements that nobody made", n)
	}
	if title := p.In("document.title"); title != "Ask <us>" {
		t.Errorf("the title is %q", title)
	}
	if colour := p.In("document.documentElement.style.getPropertyValue('--accent')"); colour != "#2f5bea" {
		t.Errorf("a colour that is none is %q", colour)
	}
	if dir := p.In("getComputedStyle(document.querySelectorAll('#log .text')[2]).unicodeBidi"); dir != "isolate" && dir != "isolate-override" && dir != "plaintext" {
		t.Errorf("what is written from right to left is not kept apart: %s", dir)
	}
	// The policy holds even if the code were wrong.
	if got := p.In("(() => { try { document.body.innerHTML = '<b>x</b>'; return 'markup' } catch (e) { return e.name } })()"); got != "TypeError" {
		t.Errorf("a text became %s", got)
	}
	p.Forgive()
	p.Picture("markup")
}

// reconnect loses and doubles nothing.
func reconnect(t *testing.T, b *chromium.Browser) {
	s := newShop(t, "", nil)
	p := b.Open(t, 1000, 700, false)
	begin(t, s, p, "one")
	s.becomes("active", "Anna")
	s.says("Anna", "two")
	p.Shows("two")
	s.change(func() { s.deaf = true })
	p.Write("three")
	p.Press("Enter") // kept, but the line breaks before the answer
	s.hears("say", frame{"text": "three"})
	p.Shows("The connection is lost.")
	p.Write("four")
	p.Press("Enter") // there is no line
	s.change(func() { s.deaf = false })
	s.says("Anna", "five")
	p.In("dispatchEvent(new Event('online'))") // rather than wait a second
	s.until("four", func() bool { return s.log[len(s.log)-1]["text"] == "four" })
	p.Await("document.querySelectorAll('#log .sent').length === 3")
	if got := p.In("[...document.querySelectorAll('#log .text')].map(e => e.textContent).join()"); got != "one,two,three,five,four" {
		t.Errorf("the visitor sees %s", got)
	}
	said := map[any]int{}
	s.until("all", func() bool {
		clear(said)
		for _, m := range s.log {
			said[m["text"]]++
		}
		return true
	})
	if said["three"] != 1 || said["four"] != 1 {
		t.Errorf("the server has %v", said)
	}
	if len(s.hellos) < 2 || s.hellos[len(s.hellos)-1] != 4 {
		t.Errorf("it came back for what follows %v", s.hellos)
	}
	s.tell(frame{"type": "bye", "code": "elsewhere"})
	p.Shows("The chat goes on in another window.")
	p.Await("document.querySelector('#composer').hidden")
	p.In("document.querySelector('#notice button').click()")
	p.Await("!document.querySelector('#composer').hidden && !document.querySelector('#notice').textContent")
	if got := p.In("document.querySelectorAll('#log li').length"); got != "6" {
		t.Errorf("what is known came again: there are %s lines", got)
	}
}

// blocked is a network that lets no WebSockets through.
func blocked(t *testing.T, b *chromium.Browser) {
	s := newShop(t, "", nil)
	s.change(func() { s.blocked = true })
	p := b.Open(t, 1000, 700, false)
	p.Visit(s.url)
	p.Button("Open the chat", false)
	p.Page("parley('open')")
	p.Await(focus + " === 'first'")
	p.Write("hello")
	p.Press("Enter")
	s.until("events", func() bool { return len(s.hellos) > 0 })
	s.says("Anna", "hi")
	p.Shows("hi")
	s.hears("read", frame{"seq": 3})
	p.Write("bye")
	p.Press("Enter")
	p.Await("document.querySelectorAll('#log .sent').length === 2")
	s.hears("say", frame{"text": "bye"})
}

// phone is a small screen, in the dark.
func phone(t *testing.T, b *chromium.Browser) {
	s := newShop(t, `data-lang="de"`, frame{"colours": frame{"accent": "#ffd166"}, "transcript": "any"}) // so bright that black is on it
	p := b.Open(t, 390, 844, true)
	p.Visit(s.url)
	p.Button("Chat öffnen", false)
	dark := chromium.Attrs{"features": []chromium.Attrs{{"name": "prefers-color-scheme", "value": "dark"}}}
	b.Ask(t, p.Session, "Emulation.setEmulatedMedia", dark, nil)
	b.Ask(t, p.Within(), "Emulation.setEmulatedMedia", dark, nil)
	p.Page("parley('open')")
	p.Await("innerWidth === 390 && innerHeight === 844") // all of it
	p.Await(focus + " === 'first'")
	p.Picture("phone-start")
	p.Write("Haben Sie die rote Lampe noch?")
	p.Press("Enter")
	p.Shows("Sie sind Nummer 2 in der Warteschlange. Es dauert etwa 2 Minuten.")
	s.becomes("active", "Jürgen")
	s.says("Jürgen", "Guten Tag! Ja, zwei Stück sind noch da.")
	s.tell(frame{"type": "message", "id": "b", "from": frame{"kind": "bot", "name": "Lampo"}, "text": "Das Protokoll wird aufgezeichnet.", "at": "2026-01-02T10:00:00Z"})
	p.Shows("aufgezeichnet")
	p.Await(fmt.Sprintf("getComputedStyle(document.querySelector('.mine .text')).color === %q", "rgb(0, 0, 0)"))
	p.Picture("phone-dark")
	s.tell(frame{"type": "ask", "what": "rating"})
	p.Shows("Wir wüssten gern, wie es war.")
	p.Picture("phone-asked")
	p.In("document.querySelector('#later').click()")
	p.Await("document.querySelector('#over').hidden && " + focus + " === 'text'")
	s.tell(frame{"type": "ask", "what": "rating"})
	p.In("document.querySelectorAll('#stars input')[4].click()")
	p.In("document.querySelector('#rated').click()")
	s.hears("rate", frame{"stars": 5})
	p.Shows("Vielen Dank!")
	p.Await("document.querySelector('#rating').hidden && document.querySelector('#anew').hidden && !document.querySelector('#composer').hidden")
	s.says("Jürgen", "Gern!")
	p.Await("document.querySelector('#over').hidden")
	s.becomes("closed", "Jürgen")
	p.Await("!document.querySelector('#mine').hidden && document.querySelector('#rating').hidden")
	p.In("document.querySelector('#email').focus()")
	p.Write("nobody@home.example")
	p.Press("Enter")
	p.Shows("An diese Adresse kann keine E-Mail gesendet werden.")
	p.Picture("phone-copy")
	p.In("document.querySelector('#email').value = 'mia@home.example'")
	p.Press("Enter")
	s.hears("transcript", frame{"email": "mia@home.example"})
	p.Shows("Der Chat ist per E-Mail zu Ihnen unterwegs.")
	for _, x := range p.Things(p.Session) { // what is behind is out of reach
		if x.Role == "link" {
			t.Errorf("behind the chat there is %+v", x)
		}
	}
	p.Press("Escape")
	p.Button("Chat öffnen", false)
}

// nextPage is what a visitor does who looks around while she waits.
func nextPage(t *testing.T, b *chromium.Browser) {
	s := newShop(t, "", nil)
	p := b.Open(t, 1000, 700, false)
	begin(t, s, p, "one")
	p.Visit(s.url + "/next")
	p.Button("Close the chat", true) // still open, but the page has the focus
	p.Shows("one")
	if active := p.Page("document.activeElement.localName"); active != "body" {
		t.Errorf("%s has the focus", active)
	}
	s.until("she came back for all", func() bool { return len(s.hellos) == 2 && s.hellos[1] == 0 })
	if got := p.Page("JSON.stringify([localStorage.length, sessionStorage.length, document.cookie, frames.length])"); got != `[0,0,"",0]` {
		t.Errorf("the page has %s of the chat's", got)
	}
	// A page can't pretend to be the frame.
	p.Page("postMessage({parley: 1, type: 'unread', count: 7, label: 'forged'}, '*')")
	p.Page("parley('close')")
	p.Button("Open the chat", false)
	if got := p.Page("(() => { try { parley('listen') } catch (e) { return e.message } })()"); !strings.Contains(got, "only open, close, identity, group") {
		t.Errorf("an unknown word is %q", got)
	}
	// A token that is forgotten begins anew.
	p.In("localStorage.setItem('parley:acme', '{\"token\":\"old\"}')")
	p.Visit(s.url + "/third")
	p.Button("Open the chat", false)
	p.Page("parley('identity', 'e30.e30.x')")
	p.Page("parley('open')")
	p.Await(focus + " === 'first'")
	p.Write("again")
	p.Press("Enter")
	s.until("another contact", func() bool { return len(s.opened) == 2 })
	if got := s.opened[1]["identity"]; got != "e30.e30.x" {
		t.Errorf("the contact is that of %v", got)
	}
}

// foreign is a page that is none of the account's.
func foreign(t *testing.T, b *chromium.Browser) {
	s := newShop(t, "", nil)
	p := b.Open(t, 1000, 700, false)
	p.Visit(strings.Replace(s.url, "localhost", "other.localhost", 1))
	for end, refused := time.After(chromium.Patience), false; !refused; {
		select {
		case said := <-p.Logged:
			refused = strings.Contains(said, "frame-ancestors")
		case <-end:
			t.Fatal("the browser does not say that it refuses the frame")
		}
	}
	for _, x := range p.Things(p.Session) {
		if x.Role == "button" {
			t.Errorf("there is a button: %+v", x)
		}
	}
	p.Forgive()
}

// chosen has the visitor choose files, written as JavaScript.
func chosen(p *chromium.Tab, files ...string) {
	p.In("{ const d = new DataTransfer(); for (const f of [" + strings.Join(files, ",") + "]) d.items.add(f); const i = document.querySelector('#files'); i.files = d.files; i.dispatchEvent(new Event('change')) }")
}

// sendFiles: files are sent and shown: pictures as such, what is not taken with a word why.
func sendFiles(t *testing.T, b *chromium.Browser) {
	s := newShop(t, "", frame{"files": frame{"size": 100_000, "types": []string{"image/*", "application/pdf"}}})
	p := b.Open(t, 1000, 760, false)
	begin(t, s, p, "My lamp is broken")
	s.becomes("active", "Anna")
	p.Shows("Anna")
	p.Await("!document.querySelector('#clip').hidden && document.querySelector('#files').accept === 'image/*,application/pdf'")
	p.In("fetch('" + portrait + "').then((r) => r.blob()).then((b) => window.picture = new File([b], 'lamp\u202egnp.png', {type: 'image/png'}))")
	p.Await("window.picture")
	chosen(p, "window.picture", "new File(['%PDF-1.7 the bill'], 'bill.pdf', {type: 'application/pdf'})")
	s.hears("say", frame{"file": "f0"})
	s.hears("say", frame{"file": "f1"})
	p.Await("[...document.querySelectorAll('.mine .file img')].every((i) => i.naturalWidth === 96 && i.alt === 'lampgnp.png') && document.querySelectorAll('.mine .file a').length === 2")
	p.Await("[...document.querySelectorAll('.mine')].at(-1).querySelector('.foot .sr').textContent === 'Sent'")
	chosen(p, "new File(['x'.repeat(100001)], 'long.pdf', {type: 'application/pdf'})", "new File(['<script>'], 'page.html', {type: 'text/html'})", "new File(['%PDF-'], 'virus.pdf', {type: 'application/pdf'})")
	p.Shows("the file is too large; at most 98 kB")
	p.Shows("files of this kind are not taken")
	p.Shows("the file may do harm")
	p.In("[...document.querySelectorAll('.foot button')].filter((b) => b.textContent === 'Remove').forEach((b) => b.click())")
	p.Await("document.querySelectorAll('.mine').length === 3 && !document.querySelector('.foot.bad')")
	anna, plan := frame{"kind": "agent", "name": "Anna"}, frame{"id": "x", "name": "How to mend it <b>.pdf", "type": "application/pdf", "size": 1_258_291, "url": "https://files.example/plan.pdf"}
	s.tell(frame{"type": "message", "id": "a1", "from": anna, "text": "https://files.example/plan.pdf", "at": time.Now().UTC(), "file": plan})
	p.Await("document.querySelector('.theirs .file a').href === 'https://files.example/plan.pdf' && document.querySelector('.theirs .file .name').textContent === 'How to mend it <b>.pdf'")
	p.Shows("1.2 MB")
	p.Picture("files")
	for _, x := range p.Things(p.Within()) {
		if x.Name == "" && (x.Role == "button" || x.Role == "link" || x.Role == "image") {
			t.Errorf("a screen reader has no name for a %s", x.Role)
		}
	}
	s.tell(frame{"type": "corrected", "id": "a1", "from": anna, "text": "Not this one", "at": time.Now().UTC()})
	p.Await("!document.querySelector('.theirs .file') && document.querySelector('.theirs .text').textContent === 'Not this one'")
	s.tell(frame{"type": "corrected", "id": "a1", "from": anna, "text": "https://files.example/plan.pdf", "at": time.Now().UTC(), "file": plan})
	p.Await("document.querySelector('.theirs .file a') && !document.querySelector('.theirs .text').textContent.includes('Not this one')")
	p.Visit(s.url + "/next") // all of it is there on the next page
	p.Button("Close the chat", true)
	p.Await("document.querySelectorAll('.mine .file a').length === 2 && document.querySelectorAll('.theirs .file a').length === 1")
}

// away is when nobody is there.
func away(t *testing.T, b *chromium.Browser) {
	s := newShop(t, `data-lang="it" data-side="left"`, frame{"open": false, "opens": "2026-11-30T08:00:00Z", "work": frame{"challenge": "c", "bits": 9}})
	p := b.Open(t, 1000, 700, false)
	p.Visit(s.url)
	p.Button("Apri la chat", false)
	p.Page("parley('open')")
	p.Shows("Non c’è nessuno fino a lunedì")
	p.Await(focus + " === 'first'")
	p.Picture("away")
	p.Write("lost")
	p.Press("Enter")
	p.Shows("La chat non è raggiungibile. Riprova.")
	p.In("document.querySelector('#first').value = ''")
	p.Press("Shift+Tab")
	p.Await(focus + " === 'first'")
	p.Write("Richiamatemi")
	p.Press("Enter")
	s.until("a connection", func() bool { return len(s.lines) > 0 })
	s.until("both contacts", func() bool {
		return len(s.opened) == 2 && s.opened[1]["text"] == "Richiamatemi" && s.opened[0]["id"] != s.opened[1]["id"]
	})
	proof := s.opened[1]["work"].(frame)
	if hash := sha256.Sum256(fmt.Appendf(nil, "c:%s:%s", s.opened[1]["id"], proof["nonce"])); hash[0] != 0 || hash[1] > 0x7f {
		t.Errorf("the work %v is not done: %x", proof, hash)
	}
	s.becomes("offline", "")
	p.Shows("Al momento non c’è nessuno libero. Abbiamo il tuo messaggio e ti risponderemo.")
	s.tell(frame{"type": "bye", "code": "closed"})
	p.Shows("Inizia una nuova chat")
	p.Await("document.querySelector('#composer').hidden")
}
