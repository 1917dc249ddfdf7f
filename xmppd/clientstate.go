package xmppd

import (
	"slices"
	"time"

	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

const nsCSI = "urn:xmpp:csi:0"

// A heldItem waits until somebody looks at the device, or until something comes that
// cannot wait. It counts as queued.
type heldItem struct {
	item
	key string // a newer one with the same key takes its place; "" has no such
}

// clientState is told whether somebody looks at the device (XEP-0352 §4.2). Nobody
// else can see it: whatever is sent there is taken as before (XEP-0352 §6).
func (s *Session) clientState(st *wire.Stanza) error {
	if st.Name != "active" && st.Name != "inactive" {
		return wire.StreamError{Condition: wire.UnsupportedStanzaType}
	}
	s.mu.Lock()
	if s.out.inactive = st.Name == "inactive"; !s.out.inactive {
		s.letGo() // before whatever the client says next (XEP-0352 §5.1)
	}
	s.mu.Unlock()
	s.kick()
	return nil
}

// holds says whether what can wait does: nobody looks, or there is no connection that
// anything could be written to. s.mu is held.
func (s *Session) holds(l *Limits) bool {
	return (s.out.inactive || s.epoch == nil) && l.Held > 0
}

// hold keeps back what can wait and says whether it did. What cannot wait takes along
// all that did, so that the order stays. s.mu is held.
func (s *Session) hold(it item, l *Limits) bool {
	if !it.stanza {
		return false // of the stream's own, and in no order with stanzas
	}
	key, ok := "", false
	if it.ordinal == 0 { // what is kept must not be missed
		key, ok = im.CanWait(it.data)
	}
	if !ok {
		s.letGo()
		return false
	}
	if it.at == 0 {
		it.at = time.Now().UnixMilli()
	}
	s.supersede(key)
	s.out.held = append(s.out.held, heldItem{it, key})
	s.out.weigh(it, 1)
	s.out.heldBytes += len(it.data)
	// A quarter of the queue, so that what follows has room.
	if len(s.out.held) >= min(l.Held, l.Queue/4) || s.out.heldBytes > l.QueueBytes/4 {
		s.letGo()
	}
	return true
}

// supersede drops what a newer stanza says better; s.mu is held.
func (s *Session) supersede(key string) {
	if key == "" {
		return
	}
	i := slices.IndexFunc(s.out.held, func(h heldItem) bool { return h.key == key })
	if i < 0 {
		return
	}
	old := s.out.held[i].item
	s.out.weigh(old, -1)
	s.out.heldBytes -= len(old.data)
	s.out.held = slices.Delete(s.out.held, i, i+1)
}

// letGo queues what was kept back, in its order, each with the time it came
// (XEP-0203). s.mu is held; the caller kicks.
func (s *Session) letGo() {
	for _, h := range s.out.held {
		it := h.item
		s.out.weigh(it, -1)
		it.data = s.delayed(it)
		s.out.weigh(it, 1)
		s.out.queue = append(s.out.queue, it)
	}
	s.out.held, s.out.heldBytes = nil, 0
}
