package xmppd

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// smState is a session's stream management (XEP-0198). It is guarded by the
// session's mu.
type smState struct {
	enabled, on, resumable bool   // asked for; counting since <enabled/> left; may be resumed
	id                     string // unguessable; good for its agent only
	unacked                []item // sent and not acknowledged, in order
	acked                  uint32 // stanzas that the peer has acknowledged, modulo 2³²
	asked                  bool   // an <r/> is on its way
	askedAt                int64  // the tick of that
	pushed, bytes          int    // in unacked, pushed ones
	pulledOut, pulledBytes int    // in unacked, pulled ones
	taken                  bool   // a resumption is under way
}

const requestAck = "<r xmlns='" + nsSM + "'/>"

// ask notes that the peer is asked what it has got.
func (m *smState) ask(now int64) { m.asked, m.askedAt = true, now }

// sent keeps an item until it is acknowledged.
func (m *smState) sent(it item) {
	m.unacked = append(m.unacked, it)
	m.weigh(it, 1)
}

func (m *smState) weigh(it item, sign int) {
	if it.pulled {
		m.pulledOut += sign
		m.pulledBytes += sign * len(it.data)
		return
	}
	m.pushed += sign
	m.bytes += sign * len(it.data)
}

// ack takes the items that the peer acknowledges with h (XEP-0198 §4). Counters are
// modulo 2³²; a count of what was never sent is an error.
func (m *smState) ack(h uint32) ([]item, error) {
	n := h - m.acked
	if int64(n) > int64(len(m.unacked)) {
		// XEP-0198 §6, rule 32.
		return nil, wire.StreamError{
			Condition: wire.UndefinedCondition,
			Text:      "more stanzas are acknowledged than were sent",
			App: fmt.Sprintf("<handled-count-too-high xmlns='%s' h='%d' send-count='%d'/>",
				nsSM, h, m.acked+uint32(len(m.unacked))),
		}
	}
	items := m.unacked[:n:n]
	for _, it := range items {
		m.weigh(it, -1)
	}
	if m.unacked = m.unacked[n:]; len(m.unacked) == 0 {
		m.unacked = nil
	}
	m.acked = h
	m.asked = false
	return items, nil
}

// nonza handles the elements of a bound stream that are no stanzas.
func (s *Session) nonza(st *wire.Stanza) error {
	if st.Space != nsSM {
		return wire.StreamError{Condition: wire.UnsupportedStanzaType} // RFC 6120 §4.9.3.24; rule 5
	}
	switch st.Name {
	case "enable":
		return s.enable(st)
	case "r":
		return s.sendAck()
	case "a":
		return s.gotAck(st)
	case "resume":
		s.push(item{data: smFailed(wire.UnexpectedRequest)})
		s.kick()
		return nil
	}
	return wire.StreamError{Condition: wire.UnsupportedStanzaType}
}

func smFailed(condition string) []byte {
	return []byte("<failed xmlns='" + nsSM + "'><" + condition + " xmlns='" + wire.NSStanzas + "'/></failed>")
}

// enable switches stream management on (XEP-0198 §3).
func (s *Session) enable(st *wire.Stanza) error {
	s.mu.Lock()
	if s.sm.enabled {
		s.mu.Unlock()
		// XEP-0198 §3, rule 33: at most one attempt.
		return wire.StreamError{Condition: wire.UnsupportedStanzaType, Text: "stream management is on already"}
	}
	s.sm.enabled = true
	answer := "<enabled xmlns='" + nsSM + "'"
	resume := string(st.Attr("resume"))
	if (resume == "true" || resume == "1") && s.server.config.Resume > 0 {
		s.sm.resumable, s.sm.id = true, rand.Text()
		answer += " resume='true' id='" + s.sm.id + "' max='" +
			strconv.Itoa(int(s.server.config.Resume/time.Second)) + "'"
	}
	s.handled = 0 // both counts start here
	s.mu.Unlock()
	s.push(item{data: []byte(answer + "/>"), starts: true})
	s.kick()
	return nil
}

// sendAck answers <r/> with the stanzas that are handled for good (I2).
func (s *Session) sendAck() error {
	s.mu.Lock()
	h := s.handled
	s.mu.Unlock()
	s.push(item{data: ackElement(h)})
	s.kick()
	return nil
}

func ackElement(h uint32) []byte {
	return []byte("<a xmlns='" + nsSM + "' h='" + strconv.FormatUint(uint64(h), 10) + "'/>")
}

func (s *Session) gotAck(st *wire.Stanza) error {
	h, err := strconv.ParseUint(string(st.Attr("h")), 10, 32)
	if err != nil {
		return wire.StreamError{Condition: wire.InvalidXML, Text: "<a/> without a count"} // XEP-0198 §4
	}
	s.mu.Lock()
	items, e := s.sm.ack(uint32(h))
	ask := e == nil && len(items) > 0 && len(s.sm.unacked) > 0
	if ask {
		s.sm.ask(s.server.tick.Load())
	}
	s.mu.Unlock()
	if e != nil {
		return e
	}
	s.agent.arrived(items)
	if ask {
		s.push(item{data: []byte(requestAck)})
	}
	s.kick()
	return nil
}

// resume answers <resume/> on a new connection, after sign-in and instead of
// binding (XEP-0198 §5; rule 34). It returns nil without an error when the client
// may bind instead.
func (n *negotiation) resume(st *wire.Stanza) (*Session, error) {
	h, err := strconv.ParseUint(string(st.Attr("h")), 10, 32)
	if err != nil {
		n.write(string(smFailed(wire.BadRequest)))
		return nil, nil
	}
	id := string(st.Attr("previd"))
	s := n.agent.resumable(id)
	if s == nil {
		n.write(string(n.agent.unknownStream(id)))
		return nil, nil
	}
	s.detach()
	handled, ok, err := s.rewind(uint32(h))
	if err != nil {
		return nil, err
	}
	if !ok {
		n.write(string(n.agent.unknownStream(id)))
		return nil, nil
	}
	n.epoch = newEpoch(n.conn, n.in)
	n.write("<resumed xmlns='" + nsSM + "' previd='" + s.sm.id + "' h='" + strconv.FormatUint(uint64(handled), 10) + "'/>")
	if err := n.flush(); err != nil {
		s.release()
		return nil, err
	}
	if !s.attach(n.epoch) {
		return nil, wire.StreamError{Condition: wire.Reset}
	}
	n.server.Stats.Resumed.Add(1)
	return s, nil
}

// resumable finds one of the agent's own sessions by its id and claims it, so that
// it does not expire meanwhile.
func (g *agent) resumable(id string) *Session {
	for _, s := range g.list() {
		s.mu.Lock()
		ok := s.sm.resumable && s.sm.id == id && !s.ended && !s.cut && !s.sm.taken
		if ok {
			s.sm.taken = true
		}
		s.mu.Unlock()
		if ok {
			return s
		}
	}
	return nil
}

// maxPast is how many streams that ended are remembered for each agent.
const maxPast = 8

// A pastStream is one that can't be resumed any more.
type pastStream struct {
	id      string
	handled uint32
}

// remember keeps how far a stream came that its client may still believe in; g.mu is
// held.
func (g *agent) remember(p pastStream) {
	if len(g.past) == maxPast {
		g.past = slices.Delete(g.past, 0, 1)
	}
	g.past = append(g.past, p)
}

// unknownStream refuses a resumption: with what was handled of that stream, if that
// is known, so that the client need not send it again (XEP-0198 §5; rule 34).
func (g *agent) unknownStream(id string) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.past {
		if p.id == id {
			b := []byte("<failed xmlns='" + nsSM + "' h='")
			b = strconv.AppendUint(b, uint64(p.handled), 10)
			return append(b, "'><"+wire.ItemNotFound+" xmlns='"+wire.NSStanzas+"'/></failed>"...)
		}
	}
	return smFailed(wire.ItemNotFound)
}

// detach closes the old connection, if it is still there, and waits until what was
// read from it is decided and nobody writes to it.
func (s *Session) detach() {
	s.mu.Lock()
	for s.leaving {
		s.cond.Wait()
	}
	e := s.epoch
	if e != nil {
		s.parting = func(uint32) []byte {
			return append(wire.StreamError{Condition: wire.Conflict, Text: "resumed on another connection"}.AppendTo(nil), wire.StreamEnd...)
		}
		s.cond.Broadcast()
		e.conn.SetReadDeadline(past)
	}
	s.mu.Unlock()
	if e != nil {
		<-e.done
	}
}

// rewind takes the peer's count and puts what it has not received back into the
// queue, before everything else; false if the session is over.
func (s *Session) rewind(h uint32) (handled uint32, ok bool, err error) {
	s.mu.Lock()
	if s.ended || s.cut {
		s.sm.taken = false
		s.mu.Unlock()
		return 0, false, nil
	}
	items, err := s.sm.ack(h)
	if err != nil {
		s.sm.taken = false
		s.mu.Unlock()
		return 0, false, err
	}
	again := make([]item, 0, len(s.sm.unacked)+len(s.out.queue))
	for _, it := range s.sm.unacked {
		s.sm.weigh(it, -1)
		it.data = s.delayed(it)
		again = append(again, it)
	}
	for _, it := range s.out.queue {
		// What was to be said of the old connection, as <a/>, is not for the new one.
		if it.stanza {
			again = append(again, it)
		}
	}
	s.out.pushed, s.out.bytes = 0, 0
	for _, it := range again {
		s.out.weigh(it)
	}
	s.out.queue, s.sm.unacked = again, nil
	handled = s.handled
	s.mu.Unlock()
	s.agent.arrived(items)
	return handled, true, nil
}

// weigh counts an item that joins the queue.
func (o *outbox) weigh(it item) {
	if !it.pulled {
		o.pushed++
		o.bytes += len(it.data)
	}
}

// delayed adds the time to a message that is sent again (XEP-0203), unless it has
// one.
func (s *Session) delayed(it item) []byte {
	const end = "</message>"
	if it.at == 0 || !bytes.HasPrefix(it.data, []byte("<message")) || bytes.Contains(it.data, []byte("urn:xmpp:delay")) {
		return it.data
	}
	b := append([]byte(nil), it.data[:len(it.data)-len(end)]...)
	b = im.AppendDelay(b, s.agent.account.domain, time.UnixMilli(it.at))
	return append(b, end...)
}

// attach gives the session its new connection; false if it has ended meanwhile.
func (s *Session) attach(e *epoch) bool {
	s.mu.Lock()
	ok := !s.ended && !s.cut && s.parting == nil && !s.server.closing.Load()
	if ok {
		s.epoch, s.pinged, s.sm.taken = e, false, false
		s.server.Stats.Hibernating.Add(-1)
	}
	s.mu.Unlock()
	if !ok {
		s.release()
		return false
	}
	s.heard.Store(s.server.tick.Load())
	s.log().Info("session resumed")
	s.kick()
	return true
}

// release gives up a resumption that has not come about.
func (s *Session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parting == nil { // else the server stops, and keeps it
		s.sm.taken = false
	}
	s.lostAt = s.server.tick.Load()
}

// savedSession is a session as it outlives the process. It is sealed by the store.
type savedSession struct {
	Resource string
	ID       string
	Handled  uint32
	Acked    uint32
	Carbons  bool
	Roster   bool
	Presence savedPresence
	Directed []string `json:",omitempty"` // who was sent directed presence
	Unacked  []savedItem
	Queue    []savedItem
}

type savedItem struct {
	Data    []byte
	Ordinal store.Ordinal
	Seen    store.Ordinal `json:",omitempty"`
	At      int64
	Stanza  bool
	Pulled  bool
}

// keepable says whether the session can be resumed after a restart.
func (s *Session) keepable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sm.resumable && !s.cut && !s.ended
}

// put away is what becomes of a session that can be resumed when the server stops: it
// gets a last <a/> and loses its connection without an end of the stream; what it
// was is returned to be kept.
func (s *Session) putAway(ctx context.Context) (store.Resume, bool) {
	s.mu.Lock()
	s.sm.taken = true // nobody resumes or expires it now
	for s.leaving {
		s.cond.Wait()
	}
	e := s.epoch
	if e != nil {
		s.parting = ackElement
		s.cond.Broadcast()
		e.conn.SetReadDeadline(past)
	}
	s.mu.Unlock()
	if e != nil {
		select {
		case <-e.done:
		case <-ctx.Done():
			rawConn(e.conn).Close()
			<-e.done
		}
	}
	return s.save()
}

func (s *Session) save() (store.Resume, bool) {
	s.mu.Lock()
	if s.ended || s.epoch != nil {
		s.mu.Unlock()
		return store.Resume{}, false
	}
	for _, p := range s.out.pulls {
		if p, ok := p.(*archivePage); ok { // it was counted as handled, so it gets an answer
			s.out.queue = append(s.out.queue, p.refusal(errStopping))
		}
	}
	v := savedSession{
		Resource: s.resource, ID: s.sm.id, Handled: s.handled, Acked: s.sm.acked,
		Carbons: s.carbons, Roster: s.roster, Presence: s.presence.saved(),
		Unacked: saveItems(s.sm.unacked), Queue: saveItems(s.out.queue),
	}
	for to := range s.directed {
		v.Directed = append(v.Directed, to)
	}
	s.ended, s.left = true, true
	s.cond.Broadcast()
	s.mu.Unlock()
	state, err := json.Marshal(v)
	if err != nil {
		s.log().Error("session cannot be kept", "err", err)
		return store.Resume{}, false
	}
	// The same for all, so that nobody's session outlasts one that it saw: whoever
	// doesn't come back ends while the others can be told.
	return store.Resume{ID: v.ID, Agent: s.agent.id, Expires: time.Now().Add(s.server.config.Resume), State: state}, true
}

var errStopping = wire.StanzaError{Type: wire.Wait, Condition: wire.ResourceConstraint, Text: "the server was restarted; ask again"}

func saveItems(items []item) []savedItem {
	list := make([]savedItem, 0, len(items))
	for _, it := range items {
		if !it.stanza {
			continue // of the old connection's own
		}
		list = append(list, savedItem{it.data, it.ordinal, it.seenFrom, it.at, it.stanza, it.pulled})
	}
	return list
}

// restore takes up the sessions that the last shutdown cut.
func (a *account) restore(ctx context.Context) error {
	kept, err := a.store.TakeResumes(ctx)
	if err != nil {
		return err
	}
	byID := make(map[store.AgentID]*agent, len(a.agents))
	for _, g := range a.agents {
		byID[g.id] = g
	}
	for _, r := range kept {
		g := byID[r.Agent]
		left := time.Until(r.Expires)
		var v savedSession
		if g == nil || left <= 0 {
			continue
		}
		if err := json.Unmarshal(r.State, &v); err != nil {
			a.log.Warn("a session cannot be resumed", "agent", g.name, "err", err)
			continue
		}
		if err := g.load(ctx); err != nil {
			return err
		}
		g.restore(&v, left)
	}
	return nil
}

func (g *agent) restore(v *savedSession, left time.Duration) {
	s := newSession(g, v.Resource)
	s.handled, s.carbons, s.roster = v.Handled, v.Carbons, v.Roster
	s.presence = v.Presence.restored()
	s.sm = smState{enabled: true, on: true, resumable: true, id: v.ID, acked: v.Acked}
	s.lostAt = s.server.tick.Load() - int64((s.server.config.Resume-left)/time.Second)
	for _, to := range v.Directed {
		s.tell(s.resolve(to))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, i := range v.Unacked {
		it := g.restoreItem(i)
		s.sm.sent(it)
	}
	for _, i := range v.Queue {
		it := g.restoreItem(i)
		s.out.queue = append(s.out.queue, it)
		s.out.weigh(it)
	}
	if s.presence.available {
		g.present++
	}
	g.sessions = append(g.sessions, s)
	g.online.Add(1)
	g.account.server.Stats.Sessions.Add(1)
	g.account.server.Stats.Hibernating.Add(1)
}

func (g *agent) restoreItem(i savedItem) item {
	if i.Ordinal != 0 && i.Seen == 0 {
		g.delivery.Held(i.Ordinal)
	}
	return item{data: i.Data, ordinal: i.Ordinal, seenFrom: i.Seen, at: i.At, stanza: i.Stanza, pulled: i.Pulled}
}
