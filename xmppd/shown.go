package xmppd

import (
	"cmp"
	"slices"
	"strings"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// A shownContact is a contact as one agent has it in her roster. It is never changed.
type shownContact struct {
	id       store.ConversationID
	jid      string
	item     []byte
	version  im.RosterVersion // of the item
	presence []byte           // of its visitor, for her
	offer    []byte           // what she reads while she is asked to take it; else nil
}

// How contacts are grouped in an agent's roster.
const (
	groupWaiting    = "Waiting"
	groupMine       = "My chats"
	groupColleagues = "Colleagues' chats"
)

// maxName is how much of a visitor's name, or of a page's title, is shown, in characters.
const maxName = 40

// shownTo is the contact as the agent sees it.
func (p *support) shownTo(id store.AgentID, c *desk.Contact) *shownContact {
	group := groupColleagues
	switch {
	case c.OfferedTo(id):
		group = groupWaiting
	case c.Owner == id:
		group = groupMine
	}
	n := &shownContact{id: c.ID, jid: p.jid(c)}
	n.item = im.AppendVisitor(nil, n.jid, p.title(c), group)
	n.version = im.VersionOf(n.item)
	to := p.account.bare(p.account.nameOf(id))
	n.presence = p.presence(c, to)
	if c.OfferedTo(id) {
		n.offer = aside(p.full(c), to, p.offer(c))
	}
	return n
}

// title is what a contact is called: its visitor, what it is about, and a part of its address that
// tells it from others.
func (p *support) title(c *desk.Contact) string {
	parts := []string{p.visitor(c)}
	if about := im.OneLine(c.Wants.Group, maxName); about != "" {
		parts = append(parts, about)
	}
	return strings.Join(append(parts, c.Address[len(c.Address)-4:]), " · ")
}

// visitor is what a contact's visitor is called.
func (p *support) visitor(c *desk.Contact) string {
	return cmp.Or(im.Named(c.Name, maxName), unnamed)
}

// unnamed is what a visitor is called who has not said a name.
const unnamed = "Visitor"

// presence is that of a contact's visitor. It is a device's, as all presence is: clients take no notice of other (Gajim), or
// believe whom they have heard the server's words from to be offline (Profanity).
func (p *support) presence(c *desk.Contact, to string) []byte {
	show := ""
	switch {
	case !c.State.Open():
		return wire.AppendClose(wire.AppendOpen(nil, wire.Presence, wire.Attrs{Type: "unavailable", From: p.full(c), To: to}), wire.Presence)
	case !p.contacts.VisitorIsHere(c.ID):
		show = "xa"
	case c.State.Waiting():
		show = "chat"
	case c.State == desk.Idle:
		show = "away"
	}
	b := wire.AppendOpen(nil, wire.Presence, wire.Attrs{From: p.full(c), To: to})
	if show != "" {
		b = append(append(append(b, "<show>"...), show...), "</show>"...)
	}
	if about := p.about(c); about != "" {
		b = append(wire.AppendText(append(b, "<status>"...), about), "</status>"...)
	}
	b = append(b, "<nick xmlns='http://jabber.org/protocol/nick'>"...) // XEP-0172 §4.1
	b = append(wire.AppendText(b, p.visitor(c)), "</nick>"...)
	return wire.AppendClose(b, wire.Presence)
}

// about is where a visitor is, in a line.
func (p *support) about(c *desk.Contact) string {
	about := im.OneLine(c.Subject, maxName)
	if lang := im.OneLine(c.Lang, maxName); lang != "" {
		about = strings.TrimSpace(about + " (" + lang + ")")
	}
	return about
}

// shownContacts are an agent's, by JID. They are never changed.
type shownContacts struct {
	list []*shownContact
	sum  im.RosterVersion // of their items
}

func (l *shownContacts) find(jid string) *shownContact {
	if l == nil {
		return nil
	}
	if i, ok := l.at(jid); ok {
		return l.list[i]
	}
	return nil
}

func (l *shownContacts) at(jid string) (int, bool) {
	return slices.BinarySearchFunc(l.list, jid, func(c *shownContact, jid string) int { return strings.Compare(c.jid, jid) })
}

// with is the list with c in place of what has its JID; nil takes that away.
func (l *shownContacts) with(jid string, c *shownContact) *shownContacts {
	if l == nil {
		l = &shownContacts{}
	}
	i, found := l.at(jid)
	n := &shownContacts{list: slices.Clone(l.list), sum: l.sum}
	if found {
		n.sum = n.sum.Minus(n.list[i].version)
		n.list = slices.Delete(n.list, i, i+1)
	}
	if c != nil {
		n.sum = n.sum.Plus(c.version)
		n.list = slices.Insert(n.list, i, c)
	}
	return n
}

// showContact shows an agent's devices a contact as it is now. Who has asked for the roster gets the
// item, if that is another one; who is available gets the visitor's presence, and, if she is asked
// to take it now, what she is to read.
func (g *agent) showContact(c *shownContact) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.visitors.Load().find(c.jid)
	if before != nil && string(before.item) == string(c.item) && string(before.presence) == string(c.presence) && (before.offer == nil) == (c.offer == nil) {
		return
	}
	g.visitors.Store(g.visitors.Load().with(c.jid, c))
	if before == nil || string(before.item) != string(c.item) {
		g.view().pushLocked(c.jid)
	}
	if before == nil || string(before.presence) != string(c.presence) {
		g.presenceLocked(c.presence)
	}
	if c.offer != nil && (before == nil || before.offer == nil) {
		g.hearLocked(c.offer)
	}
}

// hideContact takes a contact away.
func (g *agent) hideContact(jid string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.visitors.Load().find(jid) == nil {
		return
	}
	g.visitors.Store(g.visitors.Load().with(jid, nil))
	g.presenceLocked(wire.AppendClose(wire.AppendOpen(nil, wire.Presence, wire.Attrs{Type: "unavailable", From: jid + "/" + im.ServerResource, To: g.bare}), wire.Presence))
	g.view().pushLocked(jid)
}

func (g *agent) presenceLocked(data []byte) {
	for _, s := range g.sessions {
		if s.isAvailable() && s.push(item{data: data, stanza: true}) {
			s.kick()
		}
	}
}

// meetVisitors tells a session that has just become available of the visitors in its roster, and what is asked of its agent.
func (s *Session) meetVisitors() {
	g := s.agent
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.visitors.Load(); l != nil {
		for _, c := range l.list {
			s.push(item{data: c.presence, stanza: true})
			if c.offer != nil && s.takes() {
				s.push(item{data: c.offer, stanza: true})
			}
		}
		s.kick()
	}
}
