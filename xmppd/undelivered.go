package xmppd

import (
	"bytes"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// returned answers for what a session leaves behind that the log does not have, as if
// it had been sent to a device that isn't there (XEP-0198 §4): a request is refused
// (RFC 6121 §8.5.3.2.3), and so is what somebody said that was not to be kept and that no
// other device has got (RFC 6121 §8.5.2.2.1). Kept messages wait in the log instead;
// presence, chat states, headlines, copies and answers are nobody's any more.
func (s *Session) returned(left []item) {
	for i := range left {
		it := &left[i]
		if it.ordinal != 0 || it.answered || !isRequest(it.data) && !bytes.HasPrefix(it.data, []byte("<message")) {
			continue
		}
		st, err := wire.Parse(it.data, wire.Unlimited)
		if err == nil && (st.Kind == wire.IQ || s.missed(st, it.at)) {
			s.refuseFor(st)
		}
	}
}

// missed says whether a message that was to be delivered here reached nobody, although
// somebody said something in it.
func (s *Session) missed(st *wire.Stanza, at int64) bool {
	kind := im.MessageKind(st.Type)
	if kind != im.Chat && kind != im.Normal || !im.Spoken(st) {
		return false
	}
	forAll := s.resolve(string(st.To)).resource != s.resource
	_, copied := im.Copies(kind, st)
	for _, o := range s.agent.list() {
		// Devices that signed in later have not got it.
		if o.bound <= at && (forAll && o.takes() || copied && o.wantsCopies()) {
			return false
		}
	}
	return true
}

// refuseFor tells the sender of a stanza that this session did not get it.
func (s *Session) refuseFor(st *wire.Stanza) {
	t := s.resolve(string(st.From))
	if t.agent == nil || t.resource == "" {
		return // the server asked
	}
	e := wire.StanzaError{Condition: wire.ServiceUnavailable}
	data := wire.AppendError(nil, st, string(st.To), e)
	if st.Kind == wire.IQ {
		t.agent.hand(nil, t.resource, item{data: data, stanza: true})
		return
	}
	t.agent.handError(nil, t.resource, s.agent.bare, data, &store.Message{
		Type: "error", From: string(st.To), To: t.to, ID: string(st.ID), Inner: e.AppendTo(nil),
	})
}

// answered notes that a request was answered, though nothing acknowledges it yet: it
// must not be refused later. asker is the full JID of who asked.
func (s *Session) answered(id []byte, asker string) {
	var memory [128]byte
	theID := wire.AppendAttr(memory[:0], "id", id)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.sm.unacked {
		it := &s.sm.unacked[i]
		if !isRequest(it.data) || !bytes.HasPrefix(it.data[len(openGet):], theID) {
			continue
		}
		tag, _, _ := bytes.Cut(it.data, []byte{'>'}) // which values have not got
		it.answered = it.answered || bytes.Contains(tag, wire.AppendAttr(nil, "from", asker))
	}
}

// How a request begins when the server passes it on.
const (
	openGet = "<iq type='get'"
	openSet = "<iq type='set'"
)

func isRequest(data []byte) bool {
	return bytes.HasPrefix(data, []byte(openGet)) || bytes.HasPrefix(data, []byte(openSet))
}
