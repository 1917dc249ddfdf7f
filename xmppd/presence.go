package xmppd

import (
	"strconv"
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// A presence is what a session last said of itself (RFC 6121 §4). It is guarded by
// the session's mu; its slices are never changed.
type presence struct {
	available bool
	priority  int8
	lang      []byte
	decls     []byte
	inner     []byte
}

type savedPresence struct {
	Available          bool
	Priority           int8
	Lang, Decls, Inner []byte
}

func (p presence) saved() savedPresence {
	return savedPresence{p.available, p.priority, p.lang, p.decls, p.inner}
}

func (p savedPresence) restored() presence {
	return presence{p.Available, p.Priority, p.Lang, p.Decls, p.Inner}
}

// takes says whether the session takes messages for the bare JID: it is available
// with a priority that is not negative (RFC 6121 §8.5.2.1.1).
func (s *Session) takes() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.presence.available && s.presence.priority >= 0 && !s.ended && !s.cut
}

func (s *Session) wantsCopies() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.carbons && !s.ended && !s.cut
}

func (s *Session) interested() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roster && !s.ended
}

// presenceStanza handles what a client says of itself or to others (RFC 6121 §4).
func (s *Session) presenceStanza(st *wire.Stanza) error {
	if kind := im.PresenceKind(st.Type); kind != im.Presence { // to see whom, or who sees whom
		t := s.target(st.To)
		switch t.fate(kind) {
		case im.Refuse:
			s.answerError(st, s.refusal(t))
			return nil
		case im.Drop:
			return nil
		}
	}
	switch string(st.Type) {
	case "", "unavailable":
		if len(st.To) > 0 {
			s.direct(st)
			return nil
		}
		if len(st.Type) > 0 {
			s.unavailable(st)
			return nil
		}
		return s.available(st)
	case "error":
		return nil // rule 9: nobody waits for it
	case "probe":
		s.probe(st)
		return nil
	case "subscribe", "subscribed", "unsubscribe", "unsubscribed":
		t := s.target(st.To)
		if t.agent != nil && s.sees(t.agent) {
			return nil // RFC 6121 §3: both see each other already, and that is the server's doing
		}
		s.answerError(st, wire.StanzaError{Condition: wire.FeatureNotImplemented,
			Text: "this server manages who sees whom"})
		return nil
	}
	s.answerError(st, wire.StanzaError{Condition: wire.BadRequest}) // RFC 6121 §4.7.1
	return nil
}

// maxPresence bounds what a session says of itself, in bytes.
const maxPresence = 16 << 10

// available is initial presence or a change of it (RFC 6121 §4.2, §4.4).
func (s *Session) available(st *wire.Stanza) error {
	p := presence{available: true, lang: clone(st.Lang), decls: clone(st.Decls), inner: clone(st.Inner)}
	if c := st.Child(wire.NSClient, "priority"); c != nil {
		n, err := strconv.ParseInt(strings.TrimSpace(st.Text(c)), 10, 8)
		if err != nil {
			s.answerError(st, wire.StanzaError{Condition: wire.BadRequest, Text: "a priority is from -128 to 127"}) // RFC 6121 §4.7.2.3
			return nil
		}
		p.priority = int8(n)
	}
	if st.Size() > maxPresence {
		// Each colleague would get it, and the server keeps it.
		s.answerError(st, wire.StanzaError{Type: wire.Modify, Condition: wire.PolicyViolation, Text: "presence is too big"})
		return nil
	}
	g := s.agent
	g.mu.Lock()
	s.mu.Lock()
	first := !s.presence.available
	s.presence = p
	s.mu.Unlock()
	if first {
		g.present++
	}
	if first && g.present == 1 {
		g.account.happened(store.KindAgentAvailable, g.id, agentEvent(g))
	}
	if p.priority < 0 {
		g.stopDrain(s)
	}
	g.mu.Unlock()
	s.broadcast(p, string(st.ID), "")
	if first {
		s.meet()
	}
	g.mu.Lock()
	g.drainWith(s)
	g.mu.Unlock()
	return nil
}

func agentEvent(g *agent) any {
	type who struct {
		JID string `json:"jid"`
	}
	return map[string]any{"agent": who{g.bare}}
}

// unavailable takes the session's presence away, once: said by the client (st) or
// at the end of the session (nil). RFC 6121 §4.5; rule 31.
func (s *Session) unavailable(st *wire.Stanza) {
	g := s.agent
	p := presence{}
	id := ""
	if st != nil {
		p.lang, p.decls, p.inner, id = clone(st.Lang), clone(st.Decls), clone(st.Inner), string(st.ID)
	}
	g.mu.Lock()
	s.mu.Lock()
	was := s.presence.available
	s.presence = presence{}
	s.mu.Unlock()
	if was {
		if g.present--; g.present == 0 {
			g.account.happened(store.KindAgentUnavailable, g.id, agentEvent(g))
			g.leaves(st)
		}
	}
	if st != nil {
		g.stopDrain(s) // what is left waits for the next presence
	}
	g.mu.Unlock()
	if was {
		s.broadcast(p, id, "unavailable")
	}
	s.tellDirected(p, id, was)
}

// broadcast tells the colleagues and all of the agent's own devices, this one
// included (RFC 6121 §4.2.2, §4.4.2; rule 29).
func (s *Session) broadcast(p presence, id, typ string) {
	for _, g := range s.agent.account.colleagues() {
		if g != s.agent && g.online.Load() > 0 {
			s.sendPresence(g, "", p, id, typ)
		}
	}
	s.sendPresence(s.agent, "", p, id, typ)
}

// sendPresence tells another agent's available devices, or one of them.
func (s *Session) sendPresence(g *agent, resource string, p presence, id, typ string) {
	to := g.bare
	if resource != "" {
		to += "/" + resource
	}
	data := s.presenceOf(p, id, typ, to)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range g.sessions {
		if resource != "" && o.resource != resource || resource == "" && !o.isAvailable() || s.apart(o) {
			continue
		}
		if o.push(item{data: data, stanza: true}) {
			o.kick()
		}
	}
}

func (s *Session) isAvailable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.presence.available
}

func (s *Session) presenceOf(p presence, id, typ, to string) []byte {
	b := make([]byte, 0, len(p.inner)+len(p.decls)+stanzaOverhead)
	b = wire.AppendOpen(b, wire.Presence, wire.Attrs{
		Type: typ, ID: []byte(id), To: to, From: s.address, Lang: p.lang, Decls: p.decls,
	})
	return wire.AppendClose(append(b, p.inner...), wire.Presence)
}

// meet tells a session that has just become available who else is (RFC 6121
// §4.2.2: the server probes on its behalf).
func (s *Session) meet() {
	for _, g := range s.agent.account.colleagues() {
		if g != s.agent && g.online.Load() > 0 {
			s.seeAll(g)
			s.room()
		}
	}
	s.seeAll(s.agent)
	s.kick()
}

// seeAll queues the presence of an agent's devices, this one apart.
func (s *Session) seeAll(g *agent) {
	for _, o := range g.list() {
		if o != s {
			s.see(o)
		}
	}
}

// see queues another session's presence for this one. The other's agent is locked
// meanwhile, so that a newer presence of it comes later.
func (s *Session) see(o *Session) {
	o.agent.mu.Lock()
	defer o.agent.mu.Unlock()
	o.mu.Lock()
	p := o.presence
	o.mu.Unlock()
	if p.available && !s.apart(o) {
		s.push(item{data: o.presenceOf(p, "", "", s.agent.bare), stanza: true})
	}
}

// sees says whether the session's agent may see g's presence.
func (s *Session) sees(g *agent) bool {
	if g == s.agent {
		return true
	}
	a := s.agent.account
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.grouped() && a.agents[g.name] == g
}

// probe answers for a colleague at once (RFC 6121 §4.3).
func (s *Session) probe(st *wire.Stanza) {
	t := s.target(st.To)
	if t.agent == nil || !s.sees(t.agent) {
		return // rule 29: silence for strangers
	}
	for _, o := range t.agent.list() {
		if t.resource == "" || o.resource == t.resource {
			s.see(o)
		}
	}
	s.kick()
}

func clone(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}

// pingStanza asks a silent peer for a sign of life (XEP-0199 §4.1).
func (s *Session) pingStanza() []byte {
	return []byte("<iq type='get' id='ping-" + strconv.FormatInt(time.Now().UnixNano(), 36) + "' from='" + s.agent.account.domain +
		"' to='" + string(wire.AppendText(nil, s.address)) + "'><ping xmlns='urn:xmpp:ping'/></iq>")
}
