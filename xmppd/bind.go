package xmppd

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"mellium.im/xmpp/jid"

	"parley.im/parley/xmppd/wire"
)

// bind waits for a resource to be bound, or for an earlier stream to be resumed
// (RFC 6120 §7; XEP-0198 §5).
func (n *negotiation) bind() (*Session, error) {
	for range maxAttempts {
		st, err := n.next()
		if err != nil {
			return nil, err
		}
		var s *Session
		switch {
		case st.Kind == wire.IQ && st.Child(nsBind, "bind") != nil:
			s, err = n.bindResource(st)
		case st.Kind == wire.Nonza && st.Space == nsSM && st.Name == "resume":
			s, err = n.resume(string(st.Attr("previd")), string(st.Attr("h")))
		case st.Kind == wire.Nonza && st.Space == nsSM && st.Name == "enable":
			n.write(string(smFailed(wire.UnexpectedRequest))) // XEP-0198 §3, rule 33
		case st.Kind == wire.Nonza:
			err = wire.StreamError{Condition: wire.UnsupportedStanzaType}
		default:
			// RFC 6120 §7.1; rule 5.
			err = wire.StreamError{Condition: wire.NotAuthorized, Text: "bind a resource first"}
		}
		if err != nil {
			return nil, err
		}
		if s != nil {
			return s, nil
		}
	}
	return nil, wire.StreamError{Condition: wire.PolicyViolation, Text: "too many failed requests"}
}

// bindResource answers one request to bind; without a session and an error the
// client may try again.
func (n *negotiation) bindResource(st *wire.Stanza) (*Session, error) {
	if string(st.Type) != "set" || len(st.ID) == 0 {
		n.refuseBind(st, wire.StanzaError{Condition: wire.BadRequest})
		return nil, nil
	}
	var request struct {
		Resource string `xml:"resource"`
	}
	if err := st.Decode(st.Child(nsBind, "bind"), &request); err != nil {
		n.refuseBind(st, wire.StanzaError{Condition: wire.BadRequest})
		return nil, nil
	}
	resource := strings.TrimSpace(request.Resource)
	if resource == "" {
		resource = rand.Text() // RFC 6120 §7.6.1; rule 7: unguessable
	}
	address, err := jid.New(n.agent.name, n.account.domain, resource)
	if err != nil {
		// RFC 6120 §7.7.2.1; rule 7.
		n.refuseBind(st, wire.StanzaError{Condition: wire.BadRequest, Text: "this resource is not possible"})
		return nil, nil
	}
	id := string(st.ID)
	s := n.unbound(address.Resourcepart())
	if err := n.join(s); err != nil {
		if e, ok := err.(wire.StanzaError); ok {
			n.refuseBind(st, e)
			return nil, nil
		}
		return nil, err
	}
	b := wire.AppendOpen(nil, wire.IQ, wire.Attrs{Type: "result", ID: []byte(id)})
	b = append(b, "<bind xmlns='"+nsBind+"'><jid>"...)
	b = wire.AppendText(b, s.address)
	b = wire.AppendClose(append(b, "</jid></bind>"...), wire.IQ)
	n.write(string(b))
	return n.release(s)
}

// unbound makes a session that is to join its agent's. Nothing is written for it until it is
// released, once its client has been told.
func (n *negotiation) unbound(resource string) *Session {
	s := newSession(n.agent, resource)
	s.since, s.password, s.bound = n.began, n.password, time.Now().UnixMilli()
	s.clientSays = n.says
	s.credential.Store(n.credential)
	n.epoch = newEpoch(n.conn, n.in)
	s.epoch = n.epoch
	s.out.writing = true
	return s
}

func (n *negotiation) release(s *Session) (*Session, error) {
	if err := n.flush(); err != nil {
		n.giveUp(s, false)
		return nil, err
	}
	s.mu.Lock()
	s.out.writing = false
	s.mu.Unlock()
	n.agent.tellDesk()
	n.log.Debug("bound", "session", s.id)
	s.kick()
	return s, nil
}

// join adds the session to its agent's, once what is kept of her is known.
func (n *negotiation) join(s *Session) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	for {
		if err := n.agent.load(ctx); err != nil {
			n.log.Error("what is kept of the agent cannot be read", "err", err)
			return wire.StanzaError{Type: wire.Wait, Condition: wire.ResourceConstraint}
		}
		if err := n.agent.join(s, n.limits.SessionsPerAgent); err != errNotLoaded {
			return err
		}
	}
}

func (n *negotiation) refuseBind(st *wire.Stanza, e wire.StanzaError) {
	b := wire.AppendOpen(nil, wire.IQ, wire.Attrs{Type: "error", ID: st.ID})
	n.write(string(wire.AppendClose(e.AppendTo(b), wire.IQ)))
}

func newSession(g *agent, resource string) *Session {
	s := &Session{
		server: g.account.server, agent: g, resource: resource,
		address: g.bare + "/" + resource, id: rand.Text()[:8],
	}
	s.cond.L = &s.mu
	s.heard.Store(s.server.tick.Load())
	s.spent.at = time.Now()
	return s
}

// isFrom says whether a 'from' is this session's full or bare JID, once prepared
// (RFC 6120 §8.1.2.1).
func (s *Session) isFrom(from []byte) bool {
	j, err := jid.Parse(string(from))
	return err == nil && (j.String() == s.address || j.String() == s.agent.bare)
}
