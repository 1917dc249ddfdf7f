package xmppd

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

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
	n := int(int32(h - m.acked)) // ahead by less than half of all counts, or else behind
	if n < 0 {
		// XEP-0198 §6, rule 32: what was acknowledged isn't here any more.
		return nil, wire.StreamError{Condition: wire.UndefinedCondition, Text: "fewer stanzas are acknowledged than before"}
	}
	if n > len(m.unacked) {
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
	switch st.Space {
	case nsSM:
	case nsCSI:
		return s.clientState(st)
	default:
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
	answer := s.manage(string(st.Attr("resume")))
	if answer == nil {
		// XEP-0198 §3, rule 33: at most one attempt.
		return wire.StreamError{Condition: wire.UnsupportedStanzaType, Text: "stream management is on already"}
	}
	s.push(item{data: answer, starts: true})
	s.kick()
	return nil
}

// manage is enable without its answer, which it returns; nil if it is on already. The stanzas
// that are sent count from where the answer is.
func (s *Session) manage(resume string) (answer []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm.enabled {
		return nil
	}
	s.sm.enabled = true
	answer = []byte("<enabled xmlns='" + nsSM + "'")
	if (resume == "true" || resume == "1") && s.server.config.Resume > 0 {
		s.sm.resumable, s.sm.id = true, rand.Text()
		answer = append(answer, " resume='true' id='"+s.sm.id+"' max='"...)
		answer = append(strconv.AppendInt(answer, int64(s.server.config.Resume/time.Second), 10), '\'')
	}
	s.handled = 0 // both counts start here
	return append(answer, "/>"...)
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
