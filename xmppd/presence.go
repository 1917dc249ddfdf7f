package xmppd

import (
	"strconv"
	"strings"
	"time"

	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// A presence is what a session last said of itself (RFC 6121 §4). It is guarded by
// the session's mu; its slices are never changed.
type presence struct {
	available bool
	priority  int8
	away      bool      // it says that it is away, for longer, or not to be disturbed
	at        time.Time // when it was said
	lang      []byte
	decls     []byte
	inner     []byte
}

type savedPresence struct {
	Available          bool
	Priority           int8
	Away               bool
	At                 time.Time
	Lang, Decls, Inner []byte
}

func (p presence) saved() savedPresence {
	return savedPresence{p.available, p.priority, p.away, p.at, p.lang, p.decls, p.inner}
}

func (p savedPresence) restored() presence {
	return presence{p.Available, p.Priority, p.Away, p.At, p.Lang, p.Decls, p.Inner}
}

// presenceOf is what a stanza says, without what only a server may say in it.
func (a *account) presenceOf(st *wire.Stanza) presence {
	return presence{at: time.Now(), lang: clone(st.Lang), decls: clone(st.Decls), inner: clone(im.Cleaned(st, a.owns))}
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

// interested says whether the session has asked for the roster, and whether it knows of
// versions (RFC 6121 §2.2, §2.6).
func (s *Session) interested() (asked, versions bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roster && !s.ended, s.versions
}

// maxPresence bounds what a session says of itself, in bytes: each of many would get
// it, and the server keeps it.
const maxPresence = 16 << 10

// presenceStanza handles what a client says of itself or to others (RFC 6121 §3, §4).
func (s *Session) presenceStanza(st *wire.Stanza) {
	typ := string(st.Type)
	verb, manages := im.VerbOf(typ)
	switch {
	case typ == "error":
		// Rule 9: nobody waits for it.
	case st.Size() > maxPresence:
		s.answerError(st, wire.StanzaError{Condition: wire.PolicyViolation, Text: "presence is too big"})
	case s.target(st.To).visitor != "":
		s.presenceToVisitor(st)
	case manages:
		s.subscription(st, verb)
	case typ == "probe":
		s.probe(st)
	case typ != "" && typ != "unavailable":
		s.answerError(st, wire.StanzaError{Condition: wire.BadRequest}) // RFC 6121 §4.7.1
	case len(st.To) > 0:
		s.direct(st)
	case typ == "":
		s.available(st)
	default:
		s.unavailable(st)
	}
}

// available is initial presence or a change of it (RFC 6121 §4.2, §4.4).
func (s *Session) available(st *wire.Stanza) {
	g := s.agent
	p := g.account.presenceOf(st)
	p.available = true
	if c := st.Child(wire.NSClient, "show"); c != nil {
		p.away = strings.TrimSpace(st.Text(c)) != "chat" // RFC 6121 §4.7.2.1
	}
	if c := st.Child(wire.NSClient, "priority"); c != nil {
		n, err := strconv.ParseInt(strings.TrimSpace(st.Text(c)), 10, 8)
		if err != nil {
			s.answerError(st, wire.StanzaError{Condition: wire.BadRequest, Text: "a priority is from -128 to 127"}) // RFC 6121 §4.7.2.3
			return
		}
		p.priority = int8(n)
	}
	g.mu.Lock()
	s.mu.Lock()
	first := !s.presence.available
	s.presence = p
	s.mu.Unlock()
	if first {
		if g.present++; g.present == 1 {
			g.came = time.Now()
			g.tellComing()
		}
	}
	if p.priority < 0 {
		g.stopDrain(s)
	}
	v := g.view()
	g.mu.Unlock()
	s.tells(s.broadcast(v, notice{presence: p, id: string(st.ID)}))
	if first {
		s.meet()
		s.meetVisitors()
		g.quits() // what could not be kept when she blocked them, or the server was killed before
		s.askAgain()
	}
	g.tellDesk()
	g.mu.Lock()
	g.drainWith(s)
	g.mu.Unlock()
}

// unavailable takes the session's presence away, once: said by the client (st) or
// at the end of the session (nil). RFC 6121 §4.5; rule 31.
func (s *Session) unavailable(st *wire.Stanza) {
	g := s.agent
	n := notice{presence: presence{at: time.Now()}, typ: "unavailable", told: true}
	if st != nil {
		n.presence, n.id = g.account.presenceOf(st), string(st.ID)
	}
	g.mu.Lock()
	s.mu.Lock()
	was := s.presence.available
	n.known = s.directed
	s.presence, s.directed = presence{}, nil
	s.mu.Unlock()
	if was {
		if g.present--; g.present == 0 {
			g.tellComing()
			g.leaves(st)
		}
	}
	if st != nil {
		g.stopDrain(s) // what is left waits for the next presence
	}
	v := g.view() // those who saw it until now: see publish and part
	n.blocked = g.blocked.Load()
	g.mu.Unlock()
	if was {
		copies := s.broadcast(v, n)
		if st != nil {
			s.tells(copies)
		} else {
			g.share.tell(time.Now(), copies)
		}
	}
	s.tellDirected(n, v, was)
	g.tellDesk()
}

// broadcast tells those who see the agent, and all of her own devices, this one
// included (RFC 6121 §4.2.2, §4.4.2; rule 29), and says how much that was.
func (s *Session) broadcast(v view, n notice) (copies int) {
	for o := range v.others(im.State.Shows) {
		if o.online.Load() > 0 {
			n.to = o
			copies += s.sendPresence(n)
		}
	}
	n.to = s.agent
	return copies + s.sendPresence(n)
}

func (s *Session) isAvailable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.presence.available
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
