package xmppd

import (
	"iter"
	"sync"

	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// A view is a roster as its agent is shown it: her colleagues, as she calls them, and
// the contacts of her own.
type view struct {
	agent    *agent
	team     *team
	roster   *im.Roster
	visitors *shownContacts
}

func (g *agent) view() view {
	return view{g, g.account.team.Load(), g.contacts(), g.visitors.Load()}
}

// appendItem writes what stands there under a JID.
func (v view) appendItem(b []byte, jid string) []byte {
	if c := v.visitors.find(jid); c != nil {
		return append(b, c.item...)
	}
	own := v.roster.Contact(jid)
	switch o := v.team.find(jid); {
	case o != nil && own == nil:
		return append(b, o.item...)
	case o != nil:
		return im.AppendColleague(b, o.bare, o.name, own)
	case own != nil:
		return own.AppendTo(b)
	}
	return im.AppendRemoved(b, jid)
}

// appendAll writes all items.
func (v view) appendAll(b []byte) []byte {
	if v.team != nil {
		for _, o := range v.team.agents {
			if o != v.agent {
				b = v.appendItem(b, o.bare)
			}
		}
	}
	for _, c := range v.roster.Contacts {
		if v.team.find(c.JID) == nil {
			b = c.AppendTo(b)
		}
	}
	if v.visitors != nil {
		for _, c := range v.visitors.list {
			b = append(b, c.item...)
		}
	}
	return b
}

// version is that of appendAll, at the cost of her own contacts only.
func (v view) version() (sum im.RosterVersion) {
	if v.team != nil {
		sum = v.team.sum
		if v.team.find(v.agent.bare) == v.agent {
			sum = sum.Minus(v.agent.itemVersion)
		}
	}
	for _, c := range v.roster.Contacts {
		if o := v.team.find(c.JID); o != nil {
			sum = sum.Minus(o.itemVersion)
		}
		sum = sum.Plus(im.VersionOf(v.appendItem(nil, c.JID)))
	}
	if v.visitors != nil {
		sum = sum.Plus(v.visitors.sum)
	}
	return sum
}

func openQuery(b []byte, version string) []byte {
	b = append(b, "<query xmlns='"+im.NSRoster+"'"...)
	if version != "" {
		b = wire.AppendAttr(b, "ver", version)
	}
	return append(b, '>')
}

func closeQuery(b []byte) []byte { return append(b, "</query>"...) }

// pushItem tells an agent's devices what v shows of a JID from now on: those that have
// asked for the roster, whoever changed it (RFC 6121 §2.1.6; rule 25). Their answers
// go nowhere. a.rosters is held, so that the pushes come in the order of the changes.
func (v view) pushItem(jid string) {
	if v.agent.online.Load() == 0 {
		return
	}
	v.agent.mu.Lock()
	defer v.agent.mu.Unlock()
	v.pushLocked(jid)
}

// pushLocked is pushItem where the agent's mu is held.
func (v view) pushLocked(jid string) {
	shown := v.appendItem(nil, jid)
	version := sync.OnceValue(func() string { return v.version().String() })
	for _, s := range v.agent.sessions {
		asked, versions := s.interested()
		if !asked {
			continue
		}
		ver := ""
		if versions {
			ver = version()
		}
		s.push(item{data: s.rosterPush(closeQuery(append(openQuery(nil, ver), shown...))), stanza: true})
		s.kick()
	}
}

// others are the agents whom a view's agent is connected with: all in a team, otherwise
// those that her roster has in such a state. Their presence concerns her, or hers them.
func (v view) others(which func(im.State) bool) iter.Seq[*agent] {
	return func(yield func(*agent) bool) {
		if v.team != nil {
			for _, o := range v.team.agents {
				if o != v.agent && !yield(o) {
					return
				}
			}
			return
		}
		a := v.agent.account
		for _, c := range v.roster.Contacts {
			if !which(c.State) {
				continue
			}
			name, _ := a.localPart(c.JID)
			if o := a.agent(name); o != nil && o.id == c.With && !yield(o) {
				return
			}
		}
	}
}

// sees says whether the session's agent may see g's presence.
func (s *Session) sees(g *agent) bool { return s.agent.view().has(g, im.State.Sees) }

// shows says whether g lets o see her presence. She has sessions.
func (g *agent) shows(o *agent) bool { return g.view().has(o, im.State.Shows) }

func (v view) has(o *agent, which func(im.State) bool) bool {
	if o == v.agent || v.team != nil {
		return true
	}
	c := v.roster.Contact(o.bare)
	return c != nil && which(c.State) && c.With == o.id
}
