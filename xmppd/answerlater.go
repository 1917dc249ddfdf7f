package xmppd

import (
	"context"
	"errors"

	"parley.im/parley/xmppd/wire"
)

// A lateAnswer is an answer that may be long: it is read when the session's writer has
// room for it, so that a burst of requests fills no queue.
type lateAnswer struct {
	session *Session
	iq      *wire.Stanza
	write   func(ctx context.Context, reply func(payload []byte)) error
}

// answerLater answers a request by what write replies, once, or refuses it for the
// reason that write returns.
func (s *Session) answerLater(st *wire.Stanza, write func(ctx context.Context, reply func(payload []byte)) error) {
	s.pullLater(&lateAnswer{session: s, iq: &wire.Stanza{ID: clone(st.ID), To: clone(st.To)}, write: write})
}

func (l *lateAnswer) pull() (done bool) {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	s := l.session
	if err := l.write(ctx, func(payload []byte) {
		s.queuePulled([]item{{data: s.result(l.iq, payload), stanza: true}})
	}); err != nil {
		s.queuePulled([]item{l.refusal(err)})
	}
	return true
}

func (l *lateAnswer) refusal(err error) item { return l.session.failed(l.iq, err) }

// failed is the answer to a request that failed.
func (s *Session) failed(iq *wire.Stanza, err error) item {
	e := s.asRefused(err)
	b := wire.AppendOpen(nil, wire.IQ, wire.Attrs{Type: "error", ID: iq.ID, To: s.address, From: string(iq.To)})
	return item{data: wire.AppendClose(e.AppendTo(b), wire.IQ), stanza: true}
}

// asRefused is what the peer sees of an error: what it is to see, or the store's.
func (s *Session) asRefused(err error) wire.StanzaError {
	var e wire.StanzaError
	if !errors.As(err, &e) {
		e = s.storeError(err)
	}
	return e
}
