package xmppd

import (
	"errors"
	"slices"
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// serves says whether a domain is where the account's visitors have their addresses.
func (p *support) serves(domain string) bool { return p != nil && domain == p.host }

// isVisitor says whether a bare JID is there.
func (p *support) isVisitor(jid string) bool {
	_, domain, _ := strings.Cut(jid, "@")
	return p.serves(domain)
}

// errGoneVisitor answers for a contact that is over, and for one that never was: who asks can't
// tell them apart.
var errGoneVisitor = wire.StanzaError{Type: wire.Cancel, Condition: wire.Gone, Text: "this conversation is closed"}

// contact is the one that a target names, if the agent has something to do with it.
func (s *Session) contact(t *target) (*desk.Contact, error) {
	c, err := s.agent.account.support.contacts.ByAddress(t.visitor)
	switch {
	case err != nil:
		return nil, errGoneVisitor
	case !s.agent.had(c):
		return nil, errGoneVisitor
	}
	return c, nil
}

// had says whether the agent sees the contact, or did: who had it, or was asked, hears why it is
// not hers any more. To all others it is not there.
func (g *agent) had(c *desk.Contact) bool {
	if g.visitors.Load().find(c.Address+"@"+g.account.support.host) != nil {
		return true
	}
	for _, leg := range c.Legs {
		if leg.Agent == g.id {
			return true
		}
	}
	return slices.Contains(c.Late, g.id) || g.recently(c.ID)
}

// toVisitor takes what an agent sends to a contact's address: something to say, a command, or a sign
// of the moment.
func (s *Session) toVisitor(st *wire.Stanza, t *target, kind im.Kind) {
	p := s.agent.account.support
	if kind == im.ErrorMessage || kind == im.Headline {
		return
	}
	c, err := s.contact(t)
	if err != nil {
		if im.Spoken(st) {
			s.answerError(st, s.asRefused(err))
		}
		return
	}
	if im.Secret(st) {
		s.answerError(st, wire.StanzaError{Type: wire.Modify, Condition: wire.NotAcceptable,
			Text: "this visitor can't read what your client encrypts; switch encryption off for this chat"})
		return
	}
	if im.Retracts(st) {
		s.answerError(st, wire.StanzaError{Type: wire.Cancel, Condition: wire.NotAllowed,
			Text: "what was said to a visitor can't be taken back; nothing was changed"})
		return
	}
	if !im.Spoken(st) || im.Reacts(st) {
		s.signal(st, c)
		return
	}
	text := narrow(strings.TrimLeftFunc(im.BodyText(st), im.Invisible))
	corrected := im.Corrects(st)
	switch {
	case text == "":
		return
	case corrected != "" && (strings.HasPrefix(text, "!") || c.With(s.agent.id) && !p.saidBy(c.ID, s.agent.id, corrected)):
		s.answerError(st, wire.StanzaError{Type: wire.Cancel, Condition: wire.NotAllowed,
			Text: "a command can't be corrected, nor into one, nor what was said long ago; nothing was sent"})
		return
	case strings.HasPrefix(text, "!") && !strings.HasPrefix(text, "!!"):
		s.copyAside(st, t)
		if s.composing == c.ID { // the visitor saw her write, but nothing comes
			s.signals(c, contact.Paused)
		}
		s.command(c, text[1:])
		return
	case corrected != "" && !c.With(s.agent.id):
		s.answerError(st, s.deskError(desk.ErrNotYours))
		return
	case !c.With(s.agent.id) && !typed(st, kind):
		return // what no person has typed takes no chat
	case p.watches(c, s.agent.id):
		s.answerError(st, wire.StanzaError{Type: wire.Cancel, Condition: wire.NotAllowed,
			Text: "you read along in this chat; your text was not sent: !note is for those who have it, !takeover makes it yours"})
		return
	}
	m := s.outgoing(st, t, kind)
	defer m.release()
	if rest, ok := strings.CutPrefix(text, "!!"); ok {
		m.msg.Inner = im.WithBody(st, s.agent.account.owns, "!"+rest)
	}
	said := &contact.Message{Message: m.msg, At: time.Now()}
	said.Decls, said.Inner = clone(said.Decls), clone(said.Inner)
	s.turn.pass() // others go on meanwhile
	if err := s.sends(c, text); err != nil {
		s.answerError(st, s.deskError(err))
		return
	}
	if err := s.say(c, said, m.toOwn); err != nil {
		s.answerError(st, s.deskError(err))
	}
}

// say says something in a contact, with copies for the agent's other devices if they are to have one.
func (s *Session) say(c *desk.Contact, m *contact.Message, copies bool) error {
	ch, err := contact.Wait(func(done desk.Done) {
		s.agent.account.support.contacts.AgentSays(c.ID, desk.Said{Agent: s.agent.id, Body: m}, done)
	})
	if err != nil || ch.Repeated {
		return err
	}
	s.server.Stats.Messages.Add(1)
	if copies {
		kept := ch.Kept.(contact.Records)
		s.agent.copyTo(s, &m.Message, kept[len(kept)-1].Ordinal)
	}
	return nil
}

// narrow is a text with the signs before it as other keyboards have them: a wide "！" (U+FF01) is one.
func narrow(text string) string {
	for _, wide := range [...]string{"！！", "！"} {
		if rest, ok := strings.CutPrefix(text, wide); ok {
			return "!!"[:len(wide)/len("！")] + rest
		}
	}
	return text
}

// typed says whether a message is one that a person has typed: a new one of a type that people
// chat with.
func typed(st *wire.Stanza, kind im.Kind) bool {
	return (kind == im.Chat || kind == im.Normal) && im.Corrects(st) == ""
}

// deskError is what a client sees of the desk's refusal.
func (s *Session) deskError(err error) wire.StanzaError {
	if e, ok := errors.AsType[wire.StanzaError](err); ok {
		return e
	}
	switch {
	case errors.Is(err, desk.ErrTaken):
		return wire.StanzaError{Type: wire.Cancel, Condition: wire.Conflict, Text: "another agent took this chat; your text was not sent"}
	case errors.Is(err, desk.ErrTooSoon):
		return wire.StanzaError{Type: wire.Wait, Condition: wire.ResourceConstraint,
			Text: "this chat was offered to you a moment ago; your text was not sent: send it again, or take the chat with !accept"}
	case errors.Is(err, desk.ErrNotYours):
		return wire.StanzaError{Type: wire.Auth, Condition: wire.Forbidden, Text: "this chat is not yours; your text was not sent"}
	case errors.Is(err, desk.ErrClosed), errors.Is(err, desk.ErrUnknown):
		return errGoneVisitor
	case errors.Is(err, desk.ErrNotNow), errors.Is(err, desk.ErrNobody), errors.Is(err, ErrNotSupervisor):
		return wire.StanzaError{Type: wire.Cancel, Condition: wire.NotAllowed, Text: err.Error()}
	}
	return s.storeError(err)
}

// copyTo gives the agent's other devices a copy of what one of them has said (XEP-0280 §8). o is 0
// for what is not kept.
func (g *agent) copyTo(from *Session, m *store.Message, o store.Ordinal) {
	id := ""
	if o != 0 {
		id = g.viewer.ID(o)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		if s != from && s.wantsCopies() && s.push(item{data: im.AppendCarbon(nil, im.SentCopy, g.bare, s.address, m, id), stanza: true}) {
			s.kick()
		}
	}
}

// copyAside is copyTo for a command, which goes no further.
func (s *Session) copyAside(st *wire.Stanza, t *target) {
	m := s.outgoing(st, t, im.Chat)
	s.agent.copyTo(s, &m.msg, 0)
	m.release()
}

// signal passes on what an agent's client says besides words: that she writes, that something has
// arrived or was read.
func (s *Session) signal(st *wire.Stanza, c *desk.Contact) {
	if !c.With(s.agent.id) {
		return
	}
	s.marked(st, c)
	switch im.ChatState(st) { // XEP-0085 §5.1
	case "composing":
		s.signals(c, contact.Composing)
	case "paused", "active", "inactive", "gone":
		s.signals(c, contact.Paused)
	}
}

// signals tells the others whether the agent writes.
func (s *Session) signals(c *desk.Contact, what contact.What) {
	if s.composing = 0; what == contact.Composing {
		s.composing = c.ID
	}
	s.agent.account.support.contacts.Signal(contact.Signal{Contact: c.ID, By: desk.Agents, Agent: s.agent.id, What: what})
}

// signalled shows agents what the visitor does.
func (p *support) signalled(sig contact.Signal) {
	c, err := p.contacts.Contact(sig.Contact)
	if err != nil {
		return
	}
	p.showing.Lock()
	list := p.sees(c)
	p.showing.Unlock()
	for _, id := range list {
		g := p.account.byID(id)
		if g == nil || id == sig.Agent {
			continue
		}
		switch sig.What {
		case contact.Composing, contact.Paused:
			if sig.By == desk.Visitor && c.State.Open() {
				state := string(contact.Composing)
				if sig.What == contact.Paused {
					state = "active" // what was written is sent, or taken away: "paused" would be shown on (XEP-0085 §2)
				}
				g.hear(im.AppendChatState(nil, p.full(c), g.bare, state))
			}
		case contact.Here, contact.Away:
			p.present(g, sig.Contact)
		}
	}
}

// present shows an agent a contact as it is now, unless she sees it no more: what she is shown is not
// from before a change that she was told of meanwhile.
func (p *support) present(g *agent, contact store.ConversationID) {
	p.showing.Lock()
	defer p.showing.Unlock()
	c, err := p.contacts.Contact(contact)
	if err == nil && slices.Contains(p.sees(c), g.id) {
		g.showContact(p.shownTo(g.id, c))
	}
}

// presenceToVisitor answers what an agent's client says to a contact's address: what the server
// has put into a roster it takes away itself, and who sees whom is not asked.
func (s *Session) presenceToVisitor(st *wire.Stanza) {
	t := s.target(st.To)
	c, err := s.contact(t)
	if err != nil {
		return // nobody is there
	}
	p := s.agent.account.support
	switch string(st.Type) {
	case "subscribe":
		b := wire.AppendOpen(nil, wire.Presence, wire.Attrs{Type: "subscribed", ID: st.ID, To: s.agent.bare, From: p.jid(c)})
		s.push(item{data: wire.AppendClose(b, wire.Presence), stanza: true})
		s.kick()
	case "unsubscribe":
		p.passOn(c, s.agent)
	case "probe":
		if shown := s.agent.visitors.Load().find(p.jid(c)); shown != nil {
			s.push(item{data: shown.presence, stanza: true})
			s.kick()
		}
	}
}

// rosterVisitor is a change that an agent's client wants of a contact's item.
func (s *Session) rosterVisitor(set *im.RosterSet) error {
	shown := s.agent.visitors.Load().find(set.JID)
	switch {
	case shown == nil:
		return wire.StanzaError{Condition: wire.ItemNotFound}
	case !set.Remove:
		return wire.StanzaError{Condition: wire.NotAllowed, Text: "the server names and groups visitors"}
	}
	p := s.agent.account.support
	c, err := p.contacts.Contact(shown.id)
	if err != nil {
		return errGoneVisitor
	}
	p.passOn(c, s.agent)
	return nil
}

// passOn is what removing a contact means: an offer is declined, a guest leaves, there is nothing more to say about
// what is over, and whose it is is asked whether she wants to.
func (p *support) passOn(c *desk.Contact, g *agent) {
	id := g.id
	switch {
	case c.OfferedTo(id):
		p.contacts.Decline(c.ID, id, "removed", nil)
	case c.State.Owned() && c.Owner == id:
		g.hear(p.tells(c, g, "You still have this chat. !leave gives it to another agent, !close ends it."))
		g.again(p.jid(c))
	case c.With(id):
		p.contacts.Leave(c.ID, id, nil)
	case c.State == desk.Closed && c.Owner == id:
		p.contacts.Finish(c.ID, id, nil)
	case p.watches(c, id) && !g.blocks(p.jid(c)):
		g.hear(p.tells(c, g, "You read along with all chats: watch off, written to "+p.desk()+", ends it."))
		g.again(p.jid(c))
	}
}

// quits leaves the chats with visitors whom the agent has blocked: others are asked to take them, so that nobody writes to
// someone who does not hear it.
func (g *agent) quits() {
	shown := g.visitors.Load()
	if shown == nil {
		return
	}
	p := g.account.support
	for _, v := range shown.list {
		if !g.blocks(v.jid) {
			continue
		}
		c, err := p.contacts.Contact(v.id)
		if err != nil {
			continue
		}
		if c.State.Owned() && c.Owner == g.id {
			p.contacts.Leave(c.ID, g.id, nil)
		} else {
			p.passOn(c, g)
		}
	}
}

// again pushes an item that a client may believe to be gone.
func (g *agent) again(jid string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.view().pushLocked(jid)
}

// askVisitor answers an iq to a contact's address.
func (s *Session) askVisitor(st *wire.Stanza, t *target) {
	c, err := s.contact(t)
	child := &st.Children[0]
	switch space := string(child.Space); {
	case err != nil:
		s.answerError(st, s.asRefused(err))
	case s.commands(st, child, commands, c):
	case string(st.Type) == "get" && space == im.NSDiscoInfo && len(st.ChildAttr(child, "node")) == 0:
		info := im.Info{Identities: []im.Identity{{Category: "client", Type: "web", Name: s.calledHere(c)}}, Features: im.VisitorFeatures}
		s.answer(st, info.Append(nil, ""))
	case string(st.Type) == "get" && space == im.NSCard:
		s.answer(st, im.AppendCard(nil, s.calledHere(c)))
	case string(st.Type) == "get" && space == im.NSPing:
		s.answer(st, nil)
	default:
		s.answerError(st, wire.StanzaError{Condition: wire.ServiceUnavailable})
	}
}

// calledHere is the name of a contact's visitor, for an agent who sees it; others hear no news of it.
func (s *Session) calledHere(c *desk.Contact) string {
	p := s.agent.account.support
	if s.agent.visitors.Load().find(p.jid(c)) == nil {
		return unnamed
	}
	return p.visitor(c)
}
