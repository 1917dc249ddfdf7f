package xmppd

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// An agent is who answers, with all her sessions.
type agent struct {
	account *account
	id      store.AgentID
	name    string
	bare    string
	viewer  im.Viewer

	item        []byte // what she is in her colleagues' rosters; never changed
	itemVersion im.RosterVersion

	removed atomic.Bool  // disabled or deleted: whoever holds it looks again
	online  atomic.Int32 // sessions, hibernating ones too
	share   share        // of what the server does
	dirty   atomic.Bool  // stands in the account's list of deliveries to keep
	untold  atomic.Bool  // that she came, or went, is to be told later

	// What she keeps of others, known from her first session to the end of her last.
	// Stored while mu is held, except at first.
	roster atomic.Pointer[im.Roster]

	visitors atomic.Pointer[shownContacts] // whom she has, or is asked to take; changed under mu

	archived atomic.Pointer[im.Preferences] // of her archive; nil until they are known; changed under changing
	blocked  atomic.Pointer[im.BlockList]   // nil until it is known; changed under changing and mu
	seen     atomic.Pointer[im.Activity]    // when she was here last; nil until it is known
	telling  sync.Mutex                     // held while the desk is told of her; taken before mu
	changing sync.Mutex                     // what she has of her own is changed by one at a time; taken before mu, may wait for the store

	mu       sync.Mutex // guards what follows; taken before a session's
	sessions []*Session
	last     store.Ordinal // the last record said to her that was dispatched
	delivery *im.Delivery  // nil until her first session
	drain    *drain        // hands out the backlog, or nil
	present  int           // available sessions
	came     time.Time     // when the first of them came
	comings  comings
	lately   []store.ConversationID // contacts that she has seen and does not see any more
	past     []pastStream           // streams that can't be resumed any more, the newest last
	changed  int64                  // the moment when her credentials were changed last
	revoked  map[int64]bool         // ids of credentials that are good no more, since the server's start

	rosterMoves int // changes of her roster that have begun or ended: odd while one is under way
}

func newAgent(a *account, g store.Agent) *agent {
	n := &agent{account: a, id: g.ID, name: g.Name, bare: a.bare(g.Name)}
	n.viewer = im.Viewer{Agent: n.id, Bare: n.bare, Domain: a.domain, Visitors: contact.Host(a.domain), ID: func(o store.Ordinal) string {
		return a.store.ArchiveID(n.id, o)
	}}
	n.item = im.AppendColleague(nil, n.bare, n.name, nil)
	n.itemVersion = im.VersionOf(n.item)
	return n
}

// list is a copy of the sessions.
func (g *agent) list() []*Session {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.sessions)
}

// session is the one with that resource, or nil; g.mu is held.
func (g *agent) session(resource string) *Session {
	for _, s := range g.sessions {
		if s.resource == resource {
			return s
		}
	}
	return nil
}

// join adds a session. Another one with the same resource ends first: the newest
// wins (RFC 6120 §7.7.2.2; rule 6).
func (g *agent) join(s *Session, limit int) error {
	for {
		old, err := g.tryJoin(s, limit)
		if old == nil {
			return err
		}
		old.end(wire.StreamError{Condition: wire.Conflict, Text: "signed in again with the same resource"})
	}
}

// errNotLoaded says that what an agent keeps must be read first.
var errNotLoaded = errors.New("roster not loaded")

// tryJoin adds a session, or names the one that must end before.
func (g *agent) tryJoin(s *Session, limit int) (old *Session, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.removed.Load():
		return nil, wire.StreamError{Condition: wire.NotAuthorized}
	case g.changed > s.since:
		return nil, staleSignIn
	case g.revoked[s.credential.Load()]:
		return nil, revokedSignIn
	case g.account.closing.Load():
		return nil, wire.StreamError{Condition: wire.SystemShutdown}
	}
	if old := g.session(s.resource); old != nil {
		return old, nil
	}
	if g.roster.Load() == nil {
		return nil, errNotLoaded // her last session ended since
	}
	if len(g.sessions) >= limit {
		// A device that has not come back makes room for one that is here.
		if old := g.longestAway(); old != nil {
			return old, nil
		}
		// RFC 6120 §7.6.2.1.
		return nil, wire.StanzaError{Type: wire.Wait, Condition: wire.ResourceConstraint, Text: "too many devices are signed in"}
	}
	g.enter(s)
	return nil, nil
}

// enter adds a session; g.mu is held.
func (g *agent) enter(s *Session) {
	g.sessions = append(g.sessions, s)
	g.online.Add(1)
	g.account.server.Stats.Sessions.Add(1)
}

// longestAway is the session that lost its connection first, or nil if all have one;
// g.mu is held.
func (g *agent) longestAway() (oldest *Session) {
	first := int64(math.MaxInt64)
	for _, s := range g.sessions {
		if at, away := s.awaySince(); away && at < first {
			oldest, first = s, at
		}
	}
	return oldest
}

// leave takes a session out. What it had not passed on is offered to the others.
func (g *agent) leave(s *Session, left []item) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.sessions, s)
	if i < 0 {
		return
	}
	g.sessions = slices.Delete(g.sessions, i, i+1)
	g.online.Add(-1)
	g.account.server.Stats.Sessions.Add(-1)
	if p, ok := s.past(); ok {
		g.remember(p)
	}
	g.lost(left)
	if g.draining(s) {
		g.drain = nil
	}
	g.drainWith(nil)
	if len(g.sessions) == 0 {
		g.roster.Store(nil)
	}
}

// lost says that items will not reach the device they were queued for; g.mu is
// held.
func (g *agent) lost(items []item) {
	for i := range items {
		if it := &items[i]; it.ordinal != 0 && it.seenFrom == 0 && g.delivery != nil {
			g.delivery.Lost(it.ordinal)
			g.account.touched(g)
		}
	}
}

// arrived says that items have reached a device.
func (g *agent) arrived(items []item) {
	any := false
	for i := range items {
		if any = items[i].ordinal != 0; any {
			break
		}
	}
	if !any {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.delivery == nil {
		return
	}
	for i := range items {
		switch it := &items[i]; {
		case it.ordinal == 0:
		case it.seenFrom != 0:
			g.delivery.Seen(it.seenFrom, it.ordinal)
		default:
			g.delivery.Arrived(it.ordinal)
		}
	}
	g.account.touched(g)
}

// load makes the agent's delivery, block list and roster known, before her first
// session. It reads the store and must not be called by the dispatcher.
func (g *agent) load(ctx context.Context) error {
	if err := g.know(ctx); err != nil {
		return err
	}
	if err := g.loadRoster(ctx); err != nil {
		return err
	}
	g.mu.Lock()
	loaded := g.delivery != nil
	g.mu.Unlock()
	if loaded {
		return nil
	}
	kept, err := g.account.store.Delivery(ctx, g.id)
	if err != nil {
		return err
	}
	newest, err := g.account.store.InboxNewest(ctx, g.id)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.delivery == nil {
		g.delivery = im.NewDelivery(kept, max(newest, g.last))
	}
	return nil
}

// fate is what becomes of a stanza for the agent now (RFC 6121 §8.5), and the device
// that it is for, if it is for one; g.mu is held.
func (g *agent) fate(k im.Kind, resource string) (im.Fate, *Session) {
	place, s := g.place(resource)
	if fate := k.Fate(place); fate != im.AsBare {
		return fate, s
	}
	return g.fate(k, "")
}

// place is where an address of the agent's leads, and the device that it names if
// that is there; g.mu is held.
func (g *agent) place(resource string) (im.Place, *Session) {
	if resource != "" {
		if s := g.session(resource); s != nil {
			return im.Here, s
		}
		return im.Gone, nil
	}
	place := im.Away
	for _, s := range g.sessions {
		if s.takes() {
			return im.Ready, nil
		}
		if s.isAvailable() {
			place = im.Negative
		}
	}
	return place, nil
}

// deliver hands a message to the agent's devices. o is 0 for what is not kept. It is
// called by the dispatcher for kept messages, by a reader for others; it does not
// wait.
func (g *agent) deliver(m *outgoing, o store.Ordinal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	kind := m.kind
	if o != 0 {
		kind = im.Chat // it was taken, so a device that has gone since is no reason to refuse it
		g.last = max(g.last, o)
		if g.delivery != nil && o <= g.delivery.Newest() {
			return // committed when the backlog was looked at: it is part of that
		}
		g.drainWith(nil) // what waits comes first: it may be left from before a restart (rule 23)
	}
	if g.turnsAway(m.session) {
		if o != 0 && g.delivery != nil {
			g.delivery.Sent(o, 0) // passed over where it waits: see drain.read
			g.drainWith(nil)
		}
		return
	}
	data := m.rendered(g, o)
	at := m.at.UnixMilli()
	holders, later := 0, false
	fate, addressed := g.fate(kind, m.target.resource)
	for _, s := range g.sessions {
		it := item{data: data, ordinal: o, at: at, stanza: true}
		switch {
		case fate == im.ToDevice && s == addressed, fate == im.ToReady && s.takes():
			if o != 0 && g.draining(s) {
				later = true // it comes to that in the log, in its order
				continue
			}
			if s.push(it) {
				if o != 0 {
					holders++
				}
				g.account.server.Stats.Delivered.Add(1)
				g.account.later(s, m)
			}
		case m.copied && s.wantsCopies() && s != m.session:
			copied := im.AppendCarbon(nil, im.ReceivedCopy, g.bare, s.address, m.message(), m.idFor(g, o))
			if s.push(item{data: copied, at: at, stanza: true}) {
				g.account.later(s, m)
			}
		}
	}
	if o != 0 && g.delivery != nil {
		g.delivery.Sent(o, holders)
		if later && holders > 0 {
			g.drain.expect(o)
		}
		g.drainWith(nil)
	}
}

// later lets a session write what it got of m: at the end of the group of commits, or at
// once for what was not kept.
func (a *account) later(s *Session, m *outgoing) {
	busy := m.session.busy.Load()
	switch {
	case m.live && busy:
		s.kickSoon()
	case m.live:
		s.kick()
	case busy:
		a.kickedSoon = append(a.kickedSoon, s)
	default:
		a.kicked = append(a.kicked, s)
	}
}

// copySent gives the sender's other devices a copy (XEP-0280 §8). What she says to
// herself has reached them already, as it is or as a copy.
func (g *agent) copySent(m *outgoing, o store.Ordinal) {
	if m.target.agent == g {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.sessions) < 2 {
		return
	}
	any := false
	for _, s := range g.sessions {
		if s == m.session || !s.wantsCopies() {
			continue
		}
		copied := im.AppendCarbon(nil, im.SentCopy, g.bare, s.address, m.message(), m.idFor(g, o))
		if s.push(item{data: copied, at: m.at.UnixMilli(), stanza: true}) {
			g.account.later(s, m)
			any = true
		}
	}
	if any {
		m.session.rememberCopied(m.msg.ID, m.target.agent.bare)
	}
}

// endAll ends all sessions but one with a stream error and returns when they are over.
func (g *agent) endAll(e wire.StreamError, but *Session) { end(g.list(), e, but) }

func end(list []*Session, e wire.StreamError, but *Session) {
	var wg sync.WaitGroup
	for _, s := range list {
		if s != but {
			wg.Go(func() { s.end(e) })
		}
	}
	wg.Wait()
}
