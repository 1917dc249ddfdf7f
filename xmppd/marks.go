package xmppd

import (
	"slices"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// A receipts knows which records the messages of a contact are that clients name by their ids, and how
// far they have arrived. They are of the moment: after a restart what was said before it is marked no
// more. Guarded by the support's mu.
type receipts struct {
	visitor, agents spoken
}

// A spoken is what one side has said lately.
type spoken struct {
	said            []numbered
	delivered, read int64 // up to which record
}

type numbered struct {
	id    string
	n     int64
	agent store.AgentID
}

// maxMarked is how many messages of each side can be marked.
const maxMarked = 64

func (s *spoken) add(m numbered) {
	if m.id == "" {
		return
	}
	if s.said = append(s.said, m); len(s.said) > maxMarked {
		s.said = s.said[1:]
	}
}

func (s *spoken) find(id string) int64 {
	for _, m := range s.said {
		if m.id == id {
			return m.n
		}
	}
	return 0
}

// noted keeps what was said, to be marked later. It runs on the dispatcher.
func (p *support) noted(ch *desk.Change, m *contact.Message, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.marks[ch.Is.ID]
	if k == nil {
		k = new(receipts)
		p.marks[ch.Is.ID] = k
	}
	if ch.Said.By == desk.Agents {
		k.agents.add(numbered{m.ID, n, ch.Said.Agent})
	} else {
		k.visitor.add(numbered{m.ID, n, 0})
	}
}

// saidBy says whether an agent has said something lately that her client knows by that id.
func (p *support) saidBy(contact store.ConversationID, agent store.AgentID, id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.marks[contact]
	return k != nil && slices.ContainsFunc(k.agents.said, func(m numbered) bool { return m.id == id && m.agent == agent })
}

// marked is an agent's client that says that something of the visitor's has arrived, or was read.
func (s *Session) marked(st *wire.Stanza, c *desk.Contact) {
	id, kind := im.Mark(st)
	if kind == 0 {
		return
	}
	p := s.agent.account.support
	p.mu.Lock()
	n := int64(0)
	if k := p.marks[c.ID]; k != nil {
		n = k.visitor.find(id)
		upTo := &k.visitor.delivered
		if kind == store.KindMessageRead {
			upTo = &k.visitor.read
		}
		if n <= *upTo {
			n = 0 // that is known
		} else {
			*upTo = n
		}
	}
	p.mu.Unlock()
	if n > 0 {
		p.contacts.Mark(c.ID, desk.Event{Kind: kind, By: desk.Agents, Actor: s.agent.id, N: n}, nil)
	}
}

// tellMarks shows agents how far what they have said has come (XEP-0184 §5, XEP-0333 §5). It runs on
// the dispatcher.
func (p *support) tellMarks(ch *desk.Change) {
	for _, e := range ch.Events {
		if e.By != desk.Visitor || e.Kind != store.KindMessageDelivered && e.Kind != store.KindMessageRead {
			continue
		}
		p.mu.Lock()
		var due []numbered
		if k := p.marks[ch.Is.ID]; k != nil {
			upTo := &k.agents.delivered
			if e.Kind == store.KindMessageRead {
				upTo = &k.agents.read
			}
			for _, m := range k.agents.said {
				if m.n > *upTo && m.n <= e.N {
					due = append(due, m)
				}
			}
			*upTo = max(*upTo, e.N)
		}
		p.mu.Unlock()
		for _, m := range due {
			if g := p.account.byID(m.agent); g != nil {
				g.hear(im.AppendMark(nil, p.jid(ch.Is), g.bare, m.id, e.Kind))
			}
		}
	}
}
