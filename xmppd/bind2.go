package xmppd

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"mellium.im/xmpp/jid"

	"parley.im/parley/xmppd/wire"
)

const (
	nsBind2   = "urn:xmpp:bind:0"
	nsCarbons = "urn:xmpp:carbons:2"
)

// maxTag is how long a client's name for itself may be, in bytes: the resource has room for
// more (RFC 7622 §3.4).
const maxTag = 255

// appendBind2 announces Bind 2, and what can be switched on with it (XEP-0386 §3.1).
func appendBind2(b *strings.Builder, l *Limits) {
	b.WriteString("<bind xmlns='" + nsBind2 + "'><inline><feature var='" + nsCarbons + "'/>")
	if l.Held > 0 {
		b.WriteString("<feature var='" + nsCSI + "'/>")
	}
	b.WriteString("<feature var='" + nsSM + "'/></inline></bind>")
}

// A bindRequest is what a client wants of its new session.
type bindRequest struct {
	Tag      string    `xml:"tag"`
	Carbons  *struct{} `xml:"urn:xmpp:carbons:2 enable"`
	Inactive *struct{} `xml:"urn:xmpp:csi:0 inactive"`
	Enable   *struct {
		Resume string `xml:"resume,attr"`
	} `xml:"urn:xmpp:sm:3 enable"`
}

func parseBind2(st *wire.Stanza, c *wire.Child) (*bindRequest, error) {
	r := new(bindRequest)
	return r, st.Decode(c, r)
}

// bind2 makes a session for whoever has signed in (XEP-0386 §3.2).
//
// XEP-0386 §3.2 not done: what waits is not cleared. A client that reads its archive before
// it becomes available does not get that twice, and there are others: xmpp.js 0.14 never reads it.
func (n *negotiation) bind2(w *wanted) (*Session, error) {
	s := n.unbound(resourceFor(n.agent.bare, w.bind.Tag, w.client))
	s.carbons = w.bind.Carbons != nil
	s.out.inactive = w.bind.Inactive != nil
	return s, n.join(s)
}

// resourceFor is the resource of a client: the same whenever it comes, so that what is left
// of its last session ends, and nobody else's to guess. The id of the client cannot be told
// from it (XEP-0386 §3.2.1).
func resourceFor(bare, tag, client string) string {
	unique := rand.Text() // RFC 6120 §7.6.1; rule 7
	if client != "" {
		sum := sha256.Sum256([]byte(bare + "\x00" + tag + "\x00" + client))
		unique = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:15])
	}
	if tag = strings.TrimSpace(tag); tag == "" || len(tag) > maxTag {
		return unique
	}
	if j, err := jid.New("a", "example.org", tag+"/"+unique); err == nil {
		return j.Resourcepart()
	}
	return unique // the tag can't be part of one
}

// bound2 says what came of a request to bind: the state of the archive at that moment, and
// stream management if it was asked for.
func (n *negotiation) bound2(s *Session, r *bindRequest) []byte {
	b := []byte("<bound xmlns='" + nsBind2 + "'>")
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	if m, err := s.metadata(ctx); err != nil {
		n.log.Warn("the state of an archive is not known", "err", err) // the client can ask again
	} else {
		b = append(b, m...)
	}
	if r.Enable != nil {
		b = append(b, s.manage(r.Enable.Resume)...)
		s.mu.Lock()
		s.sm.on = true
		s.mu.Unlock()
	}
	return append(b, "</bound>"...)
}
