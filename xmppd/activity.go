package xmppd

import (
	"context"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// leaves notes when the agent was here last, and what she said as she went (nothing, where
// st is nil; XEP-0012 §3). After kill -9 the time before that is known; nobody waits for
// this one.
func (g *agent) leaves(st *wire.Stanza) {
	a := im.Activity{At: time.Now()}
	if st != nil {
		a.Status = st.Text(st.Child(wire.NSClient, "status"))
	}
	g.seen.Store(&a)
	g.account.store.KeepOwnLater(store.Own{Agent: g.id, Part: store.OwnActivity, Value: im.AppendActivity(nil, a)})
}

// lastSeen is when the agent was available last, and what she said as she went; the zero
// time if she never was.
func (g *agent) lastSeen(ctx context.Context) (im.Activity, error) {
	if a := g.seen.Load(); a != nil {
		return *a, nil
	}
	var a im.Activity
	err := g.account.store.OwnOf(ctx, g.id, store.OwnActivity, func(_ string, value []byte) (err error) {
		a, err = im.ParseActivity(value)
		return err
	})
	if err != nil {
		return a, err
	}
	g.seen.CompareAndSwap(nil, &a)
	return *g.seen.Load(), nil
}

// available says whether one of the agent's devices is.
func (g *agent) available() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.present > 0
}

// giveActivity tells how long an agent has been away (XEP-0012 §3). Of whoever was never
// here there is nothing to tell.
func (s *Session) giveActivity(st *wire.Stanza, g *agent) {
	if g.available() {
		s.answer(st, im.AppendLast(nil, 0, ""))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	last, err := g.lastSeen(ctx)
	switch {
	case err != nil:
		s.answerError(st, s.storeError(err))
	case last.At.IsZero():
		s.answerError(st, wire.StanzaError{Condition: wire.ServiceUnavailable})
	default:
		s.answer(st, im.AppendLast(nil, time.Since(last.At), last.Status))
	}
}
