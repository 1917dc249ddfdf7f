package xmppd

import (
	"hash/maphash"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
)

// maxCopied is how many messages of a session are remembered that were copied to its
// agent's other devices. An error about an older one is not copied.
const maxCopied = 32

// A copiedRing knows which messages a session's other devices have got copies of, so
// that they hear of it when one of them fails (XEP-0280 §6.1; rule 37). It is made for
// the first copy and does not outlive the process.
type copiedRing struct {
	seed   maphash.Seed
	hashes [maxCopied]uint64 // 0 for none
	next   int
}

// A sentMessage is what an error tells of the message that it answers.
type sentMessage struct{ id, to string } // a bare JID

// remember is called by the session's own copySent only; g.mu is held.
func (s *Session) rememberCopied(id, to string) {
	if id == "" {
		return // no error could name it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.copied
	if r == nil {
		r = &copiedRing{seed: maphash.MakeSeed()}
		s.copied = r
	}
	r.hashes[r.next] = maphash.Comparable(r.seed, sentMessage{id, to})
	r.next = (r.next + 1) % maxCopied
}

// wasCopied says whether the other devices know the message that an error is about.
func (s *Session) wasCopied(id, to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.copied
	if r == nil || id == "" {
		return false
	}
	h := maphash.Comparable(r.seed, sentMessage{id, to})
	for _, known := range r.hashes {
		if known == h {
			return true
		}
	}
	return false
}

// handError gives an error to the one device whose message it answers, and a copy to
// those that got a copy of the message. by is the bare JID that the message was for; from
// is whose error it is (nil: the server's).
//
// The copies of a message that was refused outright do not exist, so nobody else hears
// of that either: it was never said (I2).
func (g *agent) handError(from *Session, resource, by string, data []byte, m *store.Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.session(resource)
	if s == nil || from != nil && g.turnsAway(from) {
		return
	}
	s.push(item{data: data, stanza: true})
	s.kick()
	if !s.wasCopied(m.ID, by) {
		return
	}
	for _, o := range g.sessions {
		if o != s && o.wantsCopies() {
			o.push(item{data: im.AppendCarbon(nil, im.ReceivedCopy, g.bare, o.address, m, ""), stanza: true})
			o.kick()
		}
	}
}

// hand gives a stanza of a session's (nil: the server's) to one device; false if it is not
// there, takes no more, or nothing from there.
func (g *agent) hand(from *Session, resource string, it item) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.session(resource)
	if s == nil || from != nil && g.turnsAway(from) || !s.push(it) {
		return false
	}
	s.kick()
	return true
}
