package xmppd

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mellium.im/xmpp/jid"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/panics"
	"parley.im/parley/xmppd/wire"
)

// A target is where a 'to' leads.
type target struct {
	to       string // as it was written
	agent    *agent // nil: nobody of this account
	resource string
	address  string   // the same prepared; "" for the server, and for what is no JID
	place    im.Place // where it leads if not to an agent
	err      error    // why it cannot be told whether there is somebody
	visitor  string   // the local part of a contact's address, or what stands there
	control  bool     // it is the desk itself
	slots    bool     // it is where clients get slots for files

	conversation store.Conversation // with that agent, once it was needed
	opened       time.Time          // when that was
	gone         atomic.Bool        // the conversation was shredded; set by the dispatcher
}

const (
	// maxTargets bounds a session's memory of where its 'to's lead.
	maxTargets = 64

	// maxAddress is how long a full JID can be (RFC 7622 §3.1).
	maxAddress = 3*1023 + 2

	// reopen is how long a conversation is held before it is asked for again, so that
	// its next secret comes into use.
	reopen = 12 * time.Hour
)

// target resolves a 'to', remembering the last ones: preparing a JID costs as much
// as all the rest of routing (RFC 7622 §3).
func (s *Session) target(to []byte) *target {
	if t := s.lastTarget; t != nil && t.to == string(to) && !t.stale() {
		return s.unlessBlocked(t)
	}
	if len(to) > maxAddress {
		return &target{to: string(to), place: im.Malformed} // not to be remembered
	}
	t := s.targets[string(to)]
	if t == nil || t.stale() {
		t = s.resolve(string(to))
		t.know()
		if s.targets == nil || len(s.targets) >= maxTargets {
			s.targets = make(map[string]*target)
		}
		s.targets[t.to] = t
	}
	s.lastTarget = t
	return s.unlessBlocked(t)
}

// stale says that the target's agent was deleted, or that there may be one now.
func (t *target) stale() bool {
	return t.agent == nil && t.place == im.Nobody || t.agent != nil && t.agent.removed.Load()
}

// bare is the target's address without a resource.
func (t *target) bare() string {
	bare, _, _ := strings.Cut(t.address, "/")
	return bare
}

// know makes known whom the target's agent has blocked. While that is not to be had she
// is as good as not there.
func (t *target) know() {
	if t.agent == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	if t.err = t.agent.know(ctx); t.err != nil {
		t.agent = nil
	}
}

func (s *Session) resolve(to string) *target {
	t := &target{to: to}
	if to == "" || to == s.agent.account.domain {
		t.place = im.Domain
		return t
	}
	j, err := jid.Parse(to)
	switch {
	case err != nil:
		t.place = im.Malformed
	case s.agent.account.support.serves(j.Domainpart()):
		t.place, t.address, t.resource = im.Nobody, j.String(), j.Resourcepart()
		t.visitor = j.Localpart()
	case j.Domainpart() == s.agent.account.slots() && j.Localpart() == "" && j.Resourcepart() == "":
		t.place, t.address, t.slots = im.Nobody, j.String(), true
	case j.Domainpart() != s.agent.account.domain:
		// Whether the domain is served here is not to be seen (I8).
		t.place, t.address = im.Foreign, j.String()
	case j.Localpart() == "":
		t.place = im.Domain
	default:
		t.place, t.address = im.Nobody, j.String()
		t.agent, t.resource = s.agent.account.agent(j.Localpart()), j.Resourcepart()
		t.control = t.agent == nil && j.Localpart() == controlName && s.agent.account.support != nil
	}
	return t
}

// fate is what becomes of a stanza of that kind now.
func (t *target) fate(k im.Kind) im.Fate {
	if t.agent == nil {
		return k.Fate(t.place)
	}
	t.agent.mu.Lock()
	defer t.agent.mu.Unlock()
	fate, _ := t.agent.fate(k, t.resource)
	return fate
}

// refusal is what the sender hears of what is refused there.
func (s *Session) refusal(t *target) wire.StanzaError {
	if t.err != nil {
		return s.storeError(t.err)
	}
	switch t.place {
	case im.Blocked:
		return errBlocked
	case im.Malformed:
		return wire.StanzaError{Condition: wire.JIDMalformed} // RFC 6120 §8.3.3.8
	case im.Foreign:
		return wire.StanzaError{Condition: wire.RemoteServerNotFound, Text: "this server talks to no other domain"}
	}
	return wire.StanzaError{Condition: wire.ServiceUnavailable}
}

// An outgoing is one message on its way from a session's reader through the store
// to the devices of both sides. It is used again after that.
type outgoing struct {
	session *Session
	target  *target
	kind    im.Kind
	at      time.Time
	size    int
	toOwn   bool // is copied to the sender's other devices (XEP-0280) ...
	copied  bool // ... and to the recipient's
	live    bool // not kept: delivered by the reader at once

	msg    store.Message
	record []byte // msg encoded
	wire   []byte // the stanza without its end, for the recipients; theirs once delivered
	idFrom int    // where the stanza-id goes in wire

	room  *turns // where it waited among others that much is made of; nil if it did not
	turn  turn
	batch store.Batch
	ops   [1]store.Op
}

var outgoings sync.Pool

func newOutgoing() *outgoing {
	if m, ok := outgoings.Get().(*outgoing); ok {
		return m
	}
	m := new(outgoing)
	m.batch.Done = func(*store.Batch) { m.committed() }
	return m
}

// message routes one message (RFC 6121 §5, §8). What is to be kept is pending when
// it returns: the dispatcher delivers it, and counts it as handled, once its commit
// is durable (I2).
func (s *Session) message(st *wire.Stanza) (pending bool, err error) {
	t := s.target(st.To)
	if len(st.To) == 0 {
		t = s.target([]byte(s.agent.bare)) // RFC 6120 §10.3.1: to oneself
	}
	kind := im.MessageKind(st.Type)
	if kind == im.ErrorMessage {
		s.settle()
		s.forwardError(st, t)
		return false, nil
	}
	kept := im.Kept(kind, st)
	if t.visitor != "" || t.control {
		s.settle() // what is said to visitors is decided before the next stanza is looked at
		if t.control {
			s.toDesk(st, t, kind)
		} else {
			s.toVisitor(st, t, kind)
		}
		return false, nil
	}
	if t.agent == nil || !kept || !kind.Welcome() {
		switch fate := t.fate(kind); {
		case fate == im.Refuse, fate == im.Keep && !kept && im.Spoken(st): // RFC 6121 §8.5.2.2.1
			s.settle()
			s.answerError(st, s.refusal(t))
			return false, nil
		case fate == im.Drop:
			s.settle()
			return false, nil
		}
	}
	m := s.outgoing(st, t, kind)
	if !kept {
		s.settle()
		s.send(m)
		return false, nil
	}
	if err := s.open(t, m.at); err != nil {
		m.release()
		s.settle()
		s.answerError(st, s.storeError(err))
		return false, nil
	}
	m.record = store.AppendMessage(m.record[:0], &m.msg)
	op := &m.ops[0]
	*op = store.Op{
		Conversation: t.conversation, Kind: store.KindMessage, Actor: s.agent.id, At: m.at, Data: m.record,
		RepeatID: m.msg.OriginID, Content: m.msg.Inner,
	}
	if op.RepeatID == "" {
		op.RepeatID = m.msg.ID
	}
	m.batch.Ops, m.batch.Err = m.ops[:1], nil
	if m.room = s.room(m.size); m.room != nil {
		s.turn.pass()
		m.room.take(&m.turn)
	}
	s.undecide(m.size)
	s.agent.account.store.Append(&m.batch)
	return true, nil
}

// open sees to it that the target's conversation is at hand.
func (s *Session) open(t *target, now time.Time) error {
	if t.conversation != nil && now.Sub(t.opened) < reopen && !t.gone.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	conv, err := s.agent.account.store.Direct(ctx, s.agent.id, t.agent.id)
	if err == nil {
		t.conversation, t.opened = conv, now
		t.gone.Store(false)
	}
	return err
}

// outgoing takes what is needed of st, whose memory is the reader's.
func (s *Session) outgoing(st *wire.Stanza, t *target, kind im.Kind) *outgoing {
	m := newOutgoing()
	m.session, m.target, m.kind, m.at, m.size = s, t, kind, time.Now(), st.Size()
	m.toOwn, m.copied = im.Copies(kind, st)
	m.live = false
	inner := im.Cleaned(st, s.agent.account.owns)
	m.msg = store.Message{
		Type: kind.MessageType(), From: s.address, To: t.address, ID: string(st.ID), OriginID: im.OriginID(st), Lang: string(st.Lang),
	}
	b := make([]byte, 0, len(inner)+len(st.Decls)+len(m.msg.From)+len(m.msg.To)+len(m.msg.ID)+stanzaOverhead)
	b = wire.AppendOpen(b, wire.Message, wire.Attrs{
		Type: m.msg.Type, ID: st.ID, To: m.msg.To, From: m.msg.From, Lang: st.Lang, Decls: st.Decls,
	})
	m.idFrom = len(b) + len(inner)
	m.wire = append(b, inner...)
	m.msg.Inner = m.wire[len(b):m.idFrom]
	m.msg.Decls = append(m.msg.Decls, st.Decls...)
	return m
}

// stanzaOverhead is room for the tags, the attribute names and the stanza-id.
const stanzaOverhead = 256

// owns says whether a JID is this domain's or one of its users', for elements that
// only their server may make.
func (a *account) owns(by []byte) bool {
	j, err := jid.Parse(string(by))
	return err == nil && j.Domainpart() == a.domain
}

func (m *outgoing) message() *store.Message { return &m.msg }

// idFor is the archive id under which g knows the message, or "".
func (m *outgoing) idFor(g *agent, o store.Ordinal) string {
	if o == 0 {
		return ""
	}
	return g.viewer.ID(o)
}

// rendered is the whole stanza for g's devices.
func (m *outgoing) rendered(g *agent, o store.Ordinal) []byte {
	b := m.wire[:m.idFrom:cap(m.wire)]
	if o != 0 {
		b = im.AppendStanzaID(b, g.bare, g.viewer.ID(o))
	}
	return wire.AppendClose(b, wire.Message)
}

// committed runs on the account's dispatcher, in the order of commits.
func (m *outgoing) committed() {
	defer m.decided()
	s, t := m.session, m.target
	switch op := &m.ops[0]; {
	case m.batch.Err != nil:
		t.gone.Store(errors.Is(m.batch.Err, store.ErrNotFound))
		s.bounce(m, s.storeError(m.batch.Err))
	case op.Repeated:
		// Sent again after a cut: the first copy was delivered.
	default:
		s.server.Stats.Messages.Add(1)
		t.agent.deliver(m, op.Ordinal)
		if m.toOwn {
			s.agent.copySent(m, op.Ordinal)
		}
	}
}

// decided ends a message's way. What a programmer broke on it must not take the
// dispatcher along, and with it everybody else: the message is in the log.
func (m *outgoing) decided() {
	if p := recover(); p != nil {
		panics.Log(m.session.log(), p)
	}
	if m.room != nil {
		m.room.leave(&m.turn)
	}
	m.session.decide(m.size)
	m.release()
}

func (m *outgoing) release() {
	m.session, m.target, m.room, m.wire, m.msg = nil, nil, nil, nil, store.Message{}
	m.ops[0] = store.Op{}
	if cap(m.record) > 64<<10 {
		m.record = nil
	}
	outgoings.Put(m)
}

// send hands over what is not kept: chat states, headlines, what its sender wants
// forgotten.
func (s *Session) send(m *outgoing) {
	m.live = true
	m.target.agent.deliver(m, 0)
	if m.toOwn {
		s.agent.copySent(m, 0)
	}
	m.release()
}

// forwardError passes an error on to the one device that it answers; otherwise it
// is dropped (rule 9: an error is never answered). So the bounce of a copy, which is for
// the bare JID, reaches nobody (XEP-0280 §10.3).
func (s *Session) forwardError(st *wire.Stanza, t *target) {
	if t.fate(im.ErrorMessage) != im.ToDevice {
		return
	}
	m := s.outgoing(st, t, im.ErrorMessage)
	t.agent.handError(s, t.resource, s.agent.bare, m.rendered(t.agent, 0), &m.msg)
	m.release()
}

// bounce answers a message that could not be kept.
func (s *Session) bounce(m *outgoing, e wire.StanzaError) {
	b := wire.AppendOpen(nil, wire.Message, wire.Attrs{
		Type: "error", ID: []byte(m.msg.ID), To: s.address, From: m.target.to,
	})
	b = wire.AppendClose(e.AppendTo(b), wire.Message)
	s.push(item{data: b, stanza: true})
	s.agent.account.later(s, m)
}

// storeError is what the peer sees of a store's error.
func (s *Session) storeError(err error) wire.StanzaError {
	if errors.Is(err, store.ErrNotFound) { // one of the two was deleted, or what they had said
		return wire.StanzaError{Condition: wire.ServiceUnavailable}
	}
	if errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return wire.StanzaError{Type: wire.Wait, Condition: wire.ResourceConstraint,
			Text: "the server cannot keep this right now; send it again later"}
	}
	return s.internalError(err)
}
