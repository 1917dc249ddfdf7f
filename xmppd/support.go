package xmppd

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// A support is what an account's agents have to do with visitors: it shows them the contacts
// that the desk gives them, and tells the desk what they say and do. It is nil where an account
// has no visitors.
type support struct {
	account  *account
	contacts *contact.Contacts
	ban      func(ctx context.Context, agent store.AgentID, from netip.Addr, contact string, d time.Duration) error
	host     string // the domain of contacts' addresses
	end      context.CancelFunc

	supervises func(role string) bool
	record     func(ctx context.Context, d Deed, do func(context.Context) error) error

	showing  sync.Mutex                  // held while what is known of a contact is put into lists; taken before an agent's mu
	watching map[store.AgentID]time.Time // who reads along with others, since when; guarded by showing

	mu    sync.Mutex // guards what follows; nothing else is taken while it is held
	marks map[store.ConversationID]*receipts
}

// newSupport takes up the account's contacts where they were left.
func newSupport(ctx context.Context, a *account, from *Account) (*support, error) {
	p := &support{account: a, ban: from.Ban, host: contact.Host(a.domain), marks: make(map[store.ConversationID]*receipts),
		supervises: from.Supervises, record: from.Record, watching: make(map[store.AgentID]time.Time)}
	if p.supervises == nil {
		p.supervises = func(string) bool { return false }
	}
	if err := p.resumeWatching(ctx); err != nil {
		return nil, err
	}
	var err error
	p.contacts, err = contact.New(ctx, contact.Config{
		Domain: a.domain, Store: a.store, Settings: *from.Support, Name: a.nameOf, Paused: p.paused, Now: time.Now, Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	p.contacts.Listen(p.changed)
	p.contacts.ListenSignals(p.signalled)
	for _, c := range p.contacts.Contacts() {
		for _, id := range p.sees(c) {
			if g := a.byID(id); g != nil {
				g.showContact(p.shownTo(id, c))
			}
		}
	}
	return p, nil
}

// begin lets time pass for contacts, once the account has its support.
func (p *support) begin() {
	run, end := context.WithCancel(context.Background())
	p.end = end
	p.account.server.aside(func() { p.contacts.Run(run) })
}

// Contacts are those of an account; nil if it has none.
func (s *Server) Contacts(accountID string) *contact.Contacts {
	if a := s.accountByID(accountID); a != nil && a.support != nil {
		return a.support.contacts
	}
	return nil
}

// nameOf is an agent's name, also of one who is gone; "" if nothing is known of that id.
func (a *account) nameOf(id store.AgentID) string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.names[id]
}

// byID is the agent of that id, or nil.
func (a *account) byID(id store.AgentID) *agent {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.byIDs[id]
}

// changed shows all agents concerned what has become of a contact. It runs on the account's
// dispatcher, and does not wait.
func (p *support) changed(ch *desk.Change) {
	var before []store.AgentID
	p.showing.Lock()
	if ch.Was != nil {
		before = p.sees(ch.Was)
	}
	after := p.sees(ch.Is)
	for _, id := range before {
		if !slices.Contains(after, id) {
			p.farewell(id, ch)
		}
	}
	if ch.Is != ch.Was {
		for _, id := range after {
			if g := p.account.byID(id); g != nil && !p.unwanted(ch, g) {
				g.showContact(p.shownTo(id, ch.Is))
			}
		}
	}
	p.showing.Unlock()
	for _, id := range after {
		g := p.account.byID(id)
		if g == nil {
			continue
		}
		if p.unwanted(ch, g) {
			p.contacts.Decline(ch.Is.ID, id, "blocked", nil)
			continue
		}
		if text := p.news(ch, id); text != "" {
			g.hear(p.tells(ch.Is, g, text))
		}
		p.recall(ch, id)
	}
	if ch.Said != nil && !ch.Repeated {
		p.said(ch, after)
	}
	p.tellMarks(ch)
	if ch.Is.State == desk.Finalized {
		p.mu.Lock()
		delete(p.marks, ch.Is.ID)
		p.mu.Unlock()
	}
}

// offered says whether the agent is asked with this change, and was not before.
func offered(ch *desk.Change, id store.AgentID) bool {
	return ch.Is.OfferedTo(id) && (ch.Was == nil || !ch.Was.OfferedTo(id))
}

// unwanted says whether the agent is asked now to take a visitor whom she has blocked (XEP-0191): she hears nothing of it.
func (p *support) unwanted(ch *desk.Change, g *agent) bool {
	return offered(ch, g.id) && g.blocks(p.jid(ch.Is))
}

// farewell tells an agent who sees the contact no more why.
func (p *support) farewell(id store.AgentID, ch *desk.Change) {
	g := p.account.byID(id)
	if g == nil {
		return
	}
	if ch.Was.OfferedTo(id) && ch.Is.State.Owned() && ch.Is.Owner != id && ch.Is.Owner != ch.Was.Owner {
		g.hear(p.tells(ch.Is, g, p.account.nameOf(ch.Is.Owner)+" took this chat"))
	}
	if ch.Was.State.Owned() && ch.Was.Owner == id && ch.Is.State.Owned() {
		g.hear(p.tells(ch.Is, g, p.account.nameOf(ch.Is.Owner)+" has this chat now"))
	}
	g.parted(ch.Is.ID) // before it is hidden, so that at no time it is as if it had never been there
	g.hideContact(p.jid(ch.Is))
}

// parted notes a contact that the agent sees no more.
func (g *agent) parted(id store.ConversationID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lately = append(g.lately, id); len(g.lately) > maxLately {
		g.lately = g.lately[1:]
	}
}

// maxLately is how many contacts are remembered that an agent has seen, so that she hears why they
// are not hers.
const maxLately = 64

func (g *agent) recently(id store.ConversationID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Contains(g.lately, id)
}

func (p *support) jid(c *desk.Contact) string { return c.Address + "@" + p.host }

// full is where a contact's only device is, which speaks for the server, too.
func (p *support) full(c *desk.Contact) string { return p.jid(c) + "/" + im.ServerResource }

// says is a line of the server's own in a contact, for one agent's eyes: it is not kept, and never
// reaches the visitor.
func (p *support) says(c *desk.Contact, g *agent, text string) []byte {
	return aside(p.full(c), g.bare, text)
}

// tells is says for what the agent has not asked for. It is marked: many clients don't show which resource says something, and a
// visitor could write the same.
func (p *support) tells(c *desk.Contact, g *agent, text string) []byte {
	if text != closedByHer { // which is an answer
		text = im.Prefixed("* ", text)
	}
	return p.says(c, g, text)
}

func aside(from, to, text string) []byte {
	b := wire.AppendOpen(nil, wire.Message, wire.Attrs{Type: "chat", From: from, To: to})
	b = wire.AppendText(append(b, "<body>"...), text)
	b = append(b, "</body><no-store xmlns='urn:xmpp:hints'/><no-copy xmlns='urn:xmpp:hints'/>"...) // XEP-0334 §4
	return wire.AppendClose(b, wire.Message)
}

// said delivers what was said to the agents who see the contact: for those who take part it is kept, too. It runs
// on the dispatcher.
func (p *support) said(ch *desk.Change, to []store.AgentID) {
	m := ch.Said.Body.(*contact.Message)
	kept := ch.Kept.(contact.Records)
	record := kept[len(kept)-1]
	p.noted(ch, m, record.N)
	e := store.Entry{Ordinal: record.Ordinal, N: record.N, At: m.At, Actor: ch.Said.Agent}
	for _, id := range to {
		g := p.account.byID(id)
		switch {
		case g == nil || id == ch.Said.Agent:
		case ch.Is.With(id):
			seen := g.viewer.Seen(e.Actor, &m.Message)
			g.receive(&seen, &e)
		case !offered(ch, id): // who is asked hears what comes after the question
			seen := g.viewer.Seen(e.Actor, &m.Message)
			g.hear(live(&seen))
		}
	}
}

// live is a message that is not kept for whom it is.
func live(m *store.Message) []byte {
	return wire.AppendClose(append(inside(m, m.To), "<no-store xmlns='urn:xmpp:hints'/>"...), wire.Message)
}

// inside is a message for somebody, to which more can be added before it is closed.
func inside(m *store.Message, to string) []byte {
	b := wire.AppendOpen(nil, wire.Message, wire.Attrs{Type: m.Type, ID: []byte(m.ID), From: m.From, To: to, Lang: []byte(m.Lang), Decls: m.Decls})
	return append(b, m.Inner...)
}

// hear hands a stanza that is not kept to all of the agent's devices that take messages.
func (g *agent) hear(data []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hearLocked(data)
}

func (g *agent) hearLocked(data []byte) {
	for _, s := range g.sessions {
		if s.takes() && s.push(item{data: data, stanza: true}) {
			s.kick()
		}
	}
}

// receive hands a kept message of a contact to the agent's devices; it runs on the dispatcher.
// It is deliver for what no session of a colleague's has said.
func (g *agent) receive(m *store.Message, e *store.Entry) {
	a := g.account
	g.mu.Lock()
	defer g.mu.Unlock()
	o := e.Ordinal
	g.last = max(g.last, o)
	if g.delivery != nil && o <= g.delivery.Newest() {
		return // committed when the backlog was looked at: it is part of that
	}
	g.drainWith(nil) // what waits comes first
	bare, _, _ := strings.Cut(m.From, "/")
	if g.blocks(bare) {
		if g.delivery != nil {
			g.delivery.Sent(o, 0)
			g.drainWith(nil)
		}
		return
	}
	b := im.AppendStanzaID(inside(m, m.To), g.bare, g.viewer.ID(o))
	it := item{data: wire.AppendClose(b, wire.Message), ordinal: o, at: e.At.UnixMilli(), stanza: true}
	holders, later := 0, false
	for _, s := range g.sessions {
		switch {
		case s.takes() && g.draining(s):
			later = true
		case s.takes():
			if s.push(it) {
				holders++
				a.server.Stats.Delivered.Add(1)
				a.kicked = append(a.kicked, s)
			}
		case s.wantsCopies():
			copied := item{data: im.AppendCarbon(nil, im.ReceivedCopy, g.bare, s.address, m, g.viewer.ID(o)), at: it.at, stanza: true}
			if s.push(copied) {
				a.kicked = append(a.kicked, s)
			}
		}
	}
	if g.delivery != nil {
		g.delivery.Sent(o, holders)
		if later && holders > 0 {
			g.drain.expect(o)
		}
		g.drainWith(nil)
	}
}

// lines are the last n of what was said in a contact, each with who and when.
func (p *support) lines(ctx context.Context, c *desk.Contact, n int) (lines []string, err error) {
	err = p.account.store.Transcript(ctx, c.ID, func(e *store.Entry) error {
		if e.Kind != store.KindMessage || e.Locked {
			return nil
		}
		m, err := store.ParseMessage(e.Data)
		if err != nil {
			return nil // it is told where it is verified
		}
		who := p.visitor(c)
		if name := cmp.Or(p.account.nameOf(e.Actor), im.Program(&m)); name != "" { // of what no agent has said the actor is 0
			who = "[" + name + "]"
		}
		lines = append(lines, e.At.UTC().Format("15:04 ")+who+": "+im.OneLine(im.MessageText(&m), maxField))
		if len(lines) > n {
			lines = lines[1:]
		}
		return nil
	})
	return lines, err
}
