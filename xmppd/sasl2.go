package xmppd

import (
	"encoding/base64"
	"errors"
	"strings"

	"mellium.im/xmpp/jid"

	"parley.im/parley/auth/scram"
	"parley.im/parley/xmppd/wire"
)

const nsSASL2 = "urn:xmpp:sasl:2"

// appendSASL2 announces SASL2, and what can be had together with it (XEP-0388 §2.1). It is
// the same for everybody: who asks is not known yet (XEP-0388 §3).
func (s *Server) appendSASL2(b *strings.Builder, o scram.Offer, fast []string, l *Limits) {
	b.WriteString("<authentication xmlns='" + nsSASL2 + "'>")
	for _, m := range o.Mechanisms {
		b.WriteString("<mechanism>" + m + "</mechanism>")
	}
	b.WriteString("<inline>")
	if s.config.Resume > 0 {
		b.WriteString("<sm xmlns='" + nsSM + "'/>") // XEP-0198 §7.1
	}
	appendBind2(b, l)
	appendFAST(b, fast)
	b.WriteString("</inline></authentication>")
}

// wanted is what a client asks for with its sign-in.
type wanted struct {
	mechanism  string
	client     string // the id of its user-agent; "" if it says none
	says       userAgent
	bind       *bindRequest
	tokens     tokens
	resume     bool
	previd, h  string // of the stream to resume
	additional []byte // the mechanism's last word
}

// parseWanted reads an <authenticate/> (XEP-0388 §2.3), and the mechanism's first message;
// nil is none.
func parseWanted(st *wire.Stanza) (w *wanted, msg []byte, err error) {
	w = &wanted{mechanism: string(st.Attr("mechanism")), tokens: parseFAST(st)}
	if c := st.Child(nsSASL2, "initial-response"); c != nil {
		if msg, err = saslText(st.Text(c)); err != nil {
			return nil, nil, err
		}
	}
	if c := st.Child(nsSASL2, "user-agent"); c != nil {
		w.client, w.says = string(st.ChildAttr(c, "id")), parseUserAgent(st, c)
	}
	if c := st.Child(nsSM, "resume"); c != nil {
		w.resume, w.previd, w.h = true, string(st.ChildAttr(c, "previd")), string(st.ChildAttr(c, "h"))
	}
	if c := st.Child(nsBind2, "bind"); c != nil {
		if w.bind, err = parseBind2(st, c); err != nil {
			return nil, nil, saslFailure{"malformed-request", ""}
		}
	}
	return w, msg, nil
}

// signIn2 runs one attempt from its <authenticate/>.
//
// XEP-0388 §2.4 not done: whitespace between the elements is no reason to hang up; the
// stream's reader does not tell of it.
func (n *negotiation) signIn2(st *wire.Stanza, ch scram.Channel, offer scram.Offer) (*wanted, error) {
	w, msg, err := parseWanted(st)
	if err != nil {
		return nil, err
	}
	n.from = ""
	if n.header.From != "" {
		from, err := jid.Parse(n.header.From)
		if err != nil {
			return nil, errNotHers
		}
		n.from = from.Bare().String()
	}
	if w.tokens.signIn {
		err = n.redeem(w, msg, ch)
	} else {
		w.additional, w.tokens.credential, err = n.exchange(w.mechanism, msg, ch, offer)
	}
	return w, err
}

// errNotHers: whose a stream is was said before, and it is not who signs in (XEP-0388 §2.3;
// rule 12).
var errNotHers = saslFailure{"invalid-authzid", "the stream is somebody else's"}

// proceed does what was asked for together with a sign-in that has succeeded, and says so:
// the stream goes on as it is (XEP-0388 §2.6.1).
func (n *negotiation) proceed(w *wanted) (s *Session, err error) {
	n.in.SetLimits(n.limits.Stanza)
	n.says = w.says
	resumed, told := false, false
	defer func() {
		if s != nil && !told { // also where a programmer's mistake ends it
			n.giveUp(s, resumed)
		}
	}()
	var inline []byte
	if w.resume { // XEP-0386 §3.2, rule 16: before a resource is bound
		s, inline, err = n.takeUp(w.previd, w.h)
		if inline == nil {
			return nil, err
		}
		// A wrong count ends no stream here: it is no stream yet, and what was asked for
		// besides is done (XEP-0386 §3.2).
		resumed = s != nil
	}
	if w.bind != nil && !resumed {
		if s, err = n.bind2(w); err != nil {
			s = nil // it has not joined
			return nil, refusedBind(err)
		}
		inline = append(inline, n.bound2(s, w.bind)...)
	}
	n.succeed(w, s, append(inline, n.issue(w)...))
	if !resumed { // rule 16: a resumed stream has its features
		n.write(n.server.sessionFeatures(n.limits, s != nil, s != nil && w.bind.Enable != nil))
	}
	told = true
	switch {
	case resumed:
		return n.carryOn(s)
	case s == nil:
		return n.bind()
	}
	return n.release(s)
}

// succeed says that she is in, and what came of all that was asked for besides.
func (n *negotiation) succeed(w *wanted, s *Session, inline []byte) {
	id := n.agent.bare
	if s != nil {
		id = s.address
	}
	n.write("<success xmlns='" + nsSASL2 + "'>")
	if len(w.additional) > 0 {
		n.write("<additional-data>" + base64.StdEncoding.EncodeToString(w.additional) + "</additional-data>")
	}
	n.out = append(wire.AppendText(append(n.out, "<authorization-identifier>"...), id), "</authorization-identifier>"...)
	n.out = append(append(n.out, inline...), "</success>"...)
}

// giveUp undoes what was begun with a session that its client will never hear of.
func (n *negotiation) giveUp(s *Session, resumed bool) {
	if resumed {
		s.release()
		return
	}
	s.gone()
	close(n.epoch.done) // nobody will read from it
}

// refusedBind is how a sign-in ends that was right, but whose resource cannot be bound.
func refusedBind(err error) error {
	var e wire.StanzaError
	if errors.As(err, &e) { // XEP-0386 names none
		return wire.StreamError{Condition: wire.ResourceConstraint, Text: e.Text}
	}
	return err
}
