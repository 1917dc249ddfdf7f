package xmppd

import (
	"crypto/rand"

	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// iq handles a request or an answer (RFC 6120 §8.2.3; rule 9).
func (s *Session) iq(st *wire.Stanza) error {
	typ := string(st.Type)
	switch {
	case typ == "result" || typ == "error":
		s.forwardAnswer(st)
		return nil
	case typ != "get" && typ != "set", len(st.ID) == 0, len(st.Children) != 1:
		s.answerError(st, wire.StanzaError{Condition: wire.BadRequest, Text: "an iq has a type, an id and one payload"})
		return nil
	}
	t := s.target(st.To)
	switch fate := t.fate(im.Request); {
	case t.visitor != "":
		s.askVisitor(st, t)
	case t.control:
		s.askDesk(st)
	case t.slots:
		s.askSlots(st)
	case fate == im.ByServer && (t.agent == nil || t.agent == s.agent):
		s.serve(st, t)
	case fate == im.ToDevice && s.mayAsk(t):
		s.forwardRequest(st, t)
	case t.place == im.Nobody && t.resource == "":
		s.serveOther(st, t)
	default:
		// Rule 18: the same for whoever is not there and whoever must not be seen.
		s.answerError(st, s.refusal(t))
	}
	return nil
}

// serve answers what is asked of the server or of the agent's own account.
func (s *Session) serve(st *wire.Stanza, t *target) {
	c := &st.Children[0]
	own := t.agent != nil || len(st.To) == 0 // asked of the account, not of the server
	space, name, set := string(c.Space), string(c.Name), string(st.Type) == "set"
	if set {
		s.charge(setCost)
	}
	switch {
	case !set && s.discover(st, c, t):
	case space == im.NSRoster && name == "query" && own:
		s.rosterRequest(st, c, set)
	case space == nsCarbons && set && (name == "enable" || name == "disable"):
		s.mu.Lock()
		s.carbons = name == "enable" // XEP-0280 §4, §5
		s.mu.Unlock()
		s.answer(st, nil)
	case space == nsSession && set:
		s.answer(st, nil) // RFC 6121, appendix E: nothing to do any more
	case space == nsBind && set:
		s.answerError(st, wire.StanzaError{Condition: wire.NotAllowed, Text: "a resource is bound already"})
	case own && s.ownRequest(st, c, set):
	case space == im.NSArchive && own:
		s.archive(st, c, set)
	case space == im.NSRegister:
		s.register(st, c, set)
	default:
		s.answerError(st, wire.StanzaError{Condition: wire.ServiceUnavailable}) // RFC 6120 §8.4
	}
}

// rosterPush is a push to this session (RFC 6121 §2.1.6).
func (s *Session) rosterPush(query []byte) []byte {
	b := wire.AppendOpen(nil, wire.IQ, wire.Attrs{Type: "set", ID: []byte("push-" + rand.Text()[:8]), To: s.address})
	return wire.AppendClose(append(b, query...), wire.IQ)
}

// answer sends a result with that payload.
func (s *Session) answer(st *wire.Stanza, payload []byte) {
	s.push(item{data: s.result(st, payload), stanza: true})
	s.kick()
}

func (s *Session) result(st *wire.Stanza, payload []byte) []byte {
	b := wire.AppendOpen(nil, wire.IQ, wire.Attrs{Type: "result", ID: st.ID, To: s.address, From: string(st.To)})
	return wire.AppendClose(append(b, payload...), wire.IQ)
}

// answerError refuses a stanza; what is an error or a result itself gets none.
func (s *Session) answerError(st *wire.Stanza, e wire.StanzaError) {
	st.From = []byte(s.address)
	if b := wire.AppendError(nil, st, string(st.To), e); len(b) > 0 {
		s.push(item{data: b, stanza: true})
		s.kick()
	}
}

// mayAsk says whether the session may know that a device is there: it sees its agent, or
// the device has shown itself to it (RFC 6121 §4.6, §8.5.3.1).
func (s *Session) mayAsk(t *target) bool {
	if s.sees(t.agent) {
		return true
	}
	t.agent.mu.Lock()
	o := t.agent.session(t.resource)
	t.agent.mu.Unlock()
	return o != nil && o.directedTo(s)
}

// forwardRequest passes a request on to one device (RFC 6121 §8.5.3.1).
func (s *Session) forwardRequest(st *wire.Stanza, t *target) {
	if !s.forward(st, t) {
		s.answerError(st, wire.StanzaError{Condition: wire.ServiceUnavailable}) // RFC 6121 §8.5.3.2.3
	}
}

// forwardAnswer passes an answer on to the device that asked; otherwise, as an answer
// to our own ping, it is dropped.
func (s *Session) forwardAnswer(st *wire.Stanza) {
	if t := s.target(st.To); t.fate(im.Answer) == im.ToDevice {
		s.forward(st, t)
		s.answered(st.ID, t.address)
	}
}

// forward hands an iq to one device as it came, with our own start tag (I9).
func (s *Session) forward(st *wire.Stanza, t *target) bool {
	b := wire.AppendOpen(make([]byte, 0, len(st.Inner)+stanzaOverhead), wire.IQ, wire.Attrs{
		Type: string(st.Type), ID: st.ID, To: t.to, From: s.address, Lang: st.Lang, Decls: st.Decls,
	})
	b = wire.AppendClose(append(b, st.Inner...), wire.IQ)
	return t.agent.hand(s, t.resource, item{data: b, stanza: true})
}
