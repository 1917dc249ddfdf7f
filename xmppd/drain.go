package xmppd

import (
	"context"
	"errors"
	"slices"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
)

// A drain reads what was said to an agent while no device of hers took it, and
// hands it to one (XEP-0160; rule 23). What is said meanwhile it hands over as well,
// in its order. It is the puller of its session; all but session and agent is
// guarded by the agent's mu.
//
// XEP-0160 §2 refuses a message with service-unavailable when its recipient's queue is
// full. There is no such queue here: what waits is the log, which the archive needs in any
// case, and no agent has a quota of it. When the disk is full the sender is told to try
// again later (storeError).
type drain struct {
	session *Session
	agent   *agent
	also    []store.Ordinal // ascending: for this device, too, though others have got them
}

const (
	drainPage = 100 // messages read at a time

	// maxAlso bounds what a drain remembers of others' messages; past it the copy that
	// another device has got must do.
	maxAlso = 4096
)

// drainWith starts reading the backlog into a session that takes messages, if
// something waits and nobody does it yet; g.mu is held. first is preferred, and
// those that are connected to those that may come back.
func (g *agent) drainWith(first *Session) {
	if g.delivery == nil || g.drain != nil {
		return
	}
	if _, waiting := g.delivery.Backlog(); !waiting {
		return
	}
	if first != nil && g.drainInto(first) {
		return
	}
	for _, live := range []bool{true, false} {
		for _, s := range g.sessions {
			if s.connected() == live && g.drainInto(s) {
				return
			}
		}
	}
}

func (g *agent) drainInto(s *Session) bool {
	d := &drain{session: s, agent: g}
	if !s.takes() || !s.pullFirst(d) {
		return false
	}
	g.drain = d
	s.kick()
	return true
}

// stopDrain takes the backlog from a session that takes no more of it, and gives
// it to another; g.mu is held.
func (g *agent) stopDrain(s *Session) {
	if g.drain != nil && g.drain.session == s {
		g.drain = nil
		g.drainWith(nil)
	}
}

// handOver lets another device go on with the backlog when s has lost its
// connection, if there is one.
func (g *agent) handOver(s *Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range g.sessions {
		if o != s && o.connected() && o.takes() {
			g.stopDrain(s)
			return
		}
	}
}

// draining says whether s is being given the backlog; g.mu is held.
func (g *agent) draining(s *Session) bool { return g.drain != nil && g.drain.session == s }

// pull hands over one page.
func (d *drain) pull() (done bool) {
	g := d.agent
	from, newest, ok := d.next()
	if !ok {
		return true
	}
	items, to, err := d.read(from, newest)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.drain != d { // somebody else has taken it over
		return true
	}
	if err != nil {
		d.session.log().Error("offline messages cannot be read", "err", err)
		g.drain = nil // the caretaker tries again
		return true
	}
	kept := items[:0]
	for _, it := range items {
		_, also := slices.BinarySearch(d.also, it.ordinal)
		if also || g.delivery.Wanted(it.ordinal) {
			g.delivery.Held(it.ordinal)
			kept = append(kept, it)
		}
	}
	i, _ := slices.BinarySearch(d.also, to+1)
	d.also = d.also[i:]
	// Queued before anybody else can deliver to this session: the order is kept.
	if !d.session.queuePulled(kept) {
		g.lost(kept)
	}
	done = g.delivery.Drained(from, to) && len(d.also) == 0
	if done {
		g.drain = nil
	}
	g.account.touched(g)
	return done
}

// next is where to read on, and up to where: what is committed but not dispatched
// yet is the dispatcher's to hand out.
func (d *drain) next() (from, newest store.Ordinal, ok bool) {
	g := d.agent
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.drain != d {
		return 0, 0, false
	}
	from, waiting := g.delivery.Backlog()
	if len(d.also) > 0 && (!waiting || d.also[0] <= from) {
		from, waiting = d.also[0]-1, true
	}
	if !waiting {
		g.drain = nil
	}
	return from, g.delivery.Newest(), waiting
}

// read reads one page after from, and says up to where it has read.
func (d *drain) read(from, newest store.Ordinal) (items []item, to store.Ordinal, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	g := d.agent
	read, size, full := 0, 0, false
	to = from
	err = g.account.store.Inbox(ctx, g.id, from, drainPage, func(e *store.Entry) error {
		if e.Ordinal > newest {
			return errEnough
		}
		if size > pageBytes {
			full = true
			return errEnough
		}
		read++
		to = e.Ordinal
		if e.Locked {
			return nil
		}
		m, err := store.ParseMessage(e.Data)
		if err != nil {
			d.session.log().Error("a message cannot be read", "id", g.viewer.ID(e.Ordinal), "err", err)
			return nil // the rest can
		}
		if e.Actor != g.id && g.blocks(m.From) {
			return nil // XEP-0191 §3.3: blocked since it was said
		}
		m = g.viewer.Seen(e.Actor, &m)
		data := im.AppendOffline(make([]byte, 0, len(e.Data)+stanzaOverhead), &g.viewer, e, &m)
		size += len(data)
		items = append(items, item{data: data, ordinal: e.Ordinal, at: e.At.UnixMilli(), stanza: true})
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, 0, err
	}
	if read < drainPage && !full {
		to = max(to, newest) // that was all
	}
	return items, to, nil
}

// expect notes a message that other devices have got and that this one will come
// to; g.mu is held.
func (d *drain) expect(o store.Ordinal) {
	if len(d.also) < maxAlso {
		d.also = append(d.also, o)
	}
}
