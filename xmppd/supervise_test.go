package xmppd

import (
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
)

// serves gives an office visitors, whom its agents of that role look after.
func (d *office) serves(role string) *support {
	d.t.Helper()
	if d.account.support != nil {
		d.account.support.end() // as at a restart
	}
	settings := desk.Defaults()
	p, err := newSupport(d.t.Context(), d.account, &Account{Support: &settings, Supervises: func(r string) bool { return r == role }})
	if err != nil {
		d.t.Fatal(err)
	}
	d.account.support = p
	p.begin()
	return p
}

// accepted is a contact that an agent has.
func (p *support) accepted(t *testing.T, g *agent) *desk.Contact {
	t.Helper()
	p.contacts.SetAgent(desk.Agent{ID: g.id, Name: g.name, Here: true, Takes: true}) // whose device has no connection
	c, err := p.contacts.Begin(t.Context(), desk.Contact{Address: contact.NewAddress(), Visitor: "v_mia", Name: "Mia"}, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "an offer", func() bool { is, err := p.contacts.Contact(c.ID); return err == nil && is.OfferedTo(g.id) })
	if err := wait(func(done desk.Done) { p.contacts.Accept(c.ID, g.id, done) }); err != nil {
		t.Fatal(err)
	}
	return c
}

func (d *office) role(name, role string) {
	d.t.Helper()
	if err := d.store.SetRole(d.t.Context(), d.agent(name).id, role); err != nil {
		d.t.Fatal(err)
	}
}

// Who reads along no more has nothing left in her list, not even what ended in that moment: the farewells of what is on its way are
// for those who see it still.
func TestNothingIsLeftOfReadingAlong(t *testing.T) {
	d := newOffice(t, "anna", "vera")
	d.role("vera", "supervisor")
	p := d.serves("supervisor")
	anna, vera := d.device("anna", "laptop", "1"), d.device("vera", "tablet", "")
	c := p.accepted(t, anna.agent)
	vera.says(t, "<message type='chat' to='parley@desk.example'><body>watch on</body></message>")
	if vera.agent.visitors.Load().find(p.jid(c)) == nil {
		t.Fatal("she does not read along")
	}
	done := make(chan error, 1)
	p.showing.Lock() // the dispatcher comes as far as this
	p.contacts.Erase(c.ID, func(_ *desk.Change, err error) { done <- err })
	until(t, "it is over", func() bool { _, err := p.contacts.Contact(c.ID); return errors.Is(err, desk.ErrUnknown) })
	delete(p.watching, vera.agent.id)
	p.arrange(vera.agent)
	p.showing.Unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Session{anna, vera} {
		if s.agent.visitors.Load().find(p.jid(c)) != nil {
			t.Errorf("%s sees it still", s.agent.name)
		}
	}
}

// Who is switched off in the moment in which she asks does not read along, nor does she by what an earlier role has left.
func TestReadingAlongIsForWhoMay(t *testing.T) {
	d := newOffice(t, "anna", "vera")
	d.role("vera", "supervisor")
	p := d.serves("supervisor")
	vera := d.device("vera", "tablet", "")
	vera.says(t, "<message type='chat' to='parley@desk.example'><body>watch on</body></message>")
	if p.since(vera.agent.id).IsZero() {
		t.Fatal("she does not read along")
	}
	is, err := d.store.Agent(t.Context(), "vera")
	if err != nil {
		t.Fatal(err)
	}
	if p = d.serves("supervisor"); p.since(is.ID).IsZero() {
		t.Error("she does not after a restart")
	}
	d.role("vera", "agent") // while nothing runs
	if p = d.serves("supervisor"); !p.since(is.ID).IsZero() {
		t.Error("she reads along though she is no supervisor")
	}
	d.role("vera", "supervisor")
	if p = d.serves("supervisor"); !p.since(is.ID).IsZero() {
		t.Error("she reads along again without having asked to")
	}
	if err := d.store.DisableAgent(t.Context(), is.ID, true); err != nil {
		t.Fatal(err)
	}
	vera.says(t, "<message type='chat' to='parley@desk.example'><body>watch on</body></message>")
	value, err := d.store.OwnNamed(t.Context(), is.ID, store.OwnWatching, "")
	if !p.since(is.ID).IsZero() || value != nil || err != nil {
		t.Errorf("she reads along though she is switched off (%q, %v)", value, err)
	}
}

// A block that was kept, but not what follows from it, since the server was killed between: its agent leaves the chat when she comes.
func TestABlockIsFollowed(t *testing.T) {
	d := newOffice(t, "anna")
	p := d.serves("supervisor")
	anna := d.device("anna", "laptop", "1")
	c := p.accepted(t, anna.agent)
	anna.says(t, "<presence type='unavailable'/>")
	after := anna.agent.blocked.Load().With([]string{p.jid(c)})
	if err := anna.agent.keepBlocked([]string{p.jid(c)}, true, 1); err != nil {
		t.Fatal(err)
	}
	anna.agent.blocked.Store(&after)
	anna.says(t, "<presence/>")
	until(t, "she has left it", func() bool {
		is, err := p.contacts.Contact(c.ID)
		return err == nil && !slices.Contains(is.Sees(), anna.agent.id)
	})
}

// until waits for what comes from others.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%s: not yet", what)
		}
	}
}
