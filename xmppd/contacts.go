package xmppd

import (
	"context"
	"strings"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// A rosterChange is one change of an account's rosters, often of two at once: what it
// keeps, and what follows when that is durable.
type rosterChange struct {
	account *account
	ctx     context.Context
	sides   map[string]*side
	moved   []*agent // whose rosters it is about
	kept    []store.Own
	after   []func()
}

// A side is one party of a change.
type side struct {
	jid    string
	id     store.AgentID // 0: nobody here has that JID
	agent  *agent        // nil if she is disabled, or nobody
	roster *im.Roster    // as it will be
	there  []*Session    // her available devices when it came to be
}

// changeRosters lets f prepare a change, keeps it, makes it known and does what
// follows from it, in this order. One change of an account is made at a time, the
// store's commit included: so both ends of a subscription agree, and pushes come in
// the order of the changes.
func (a *account) changeRosters(f func(*rosterChange) error) error {
	a.rosters.Lock()
	defer a.rosters.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	c := &rosterChange{account: a, ctx: ctx, sides: make(map[string]*side)}
	defer c.over()
	if err := f(c); err != nil {
		return err
	}
	if len(c.kept) > 0 {
		if err := a.store.KeepOwn(ctx, c.kept...); err != nil {
			return err
		}
	}
	for _, s := range c.sides {
		if s.agent != nil {
			s.there = s.agent.publish(s.roster)
		}
	}
	for _, f := range c.after {
		f()
	}
	return nil
}

// loadRoster reads an agent's roster before her first session. Changes of other rosters
// are not waited for; one of hers is.
func (g *agent) loadRoster(ctx context.Context) error {
	if g.roster.Load() != nil {
		return nil
	}
	a := g.account
	if moves, deleted := g.moves(); moves%2 == 0 {
		r, err := a.readRoster(ctx, g.id)
		if err != nil || g.settle(r, moves, deleted) {
			return err
		}
	}
	a.rosters.Lock()
	defer a.rosters.Unlock()
	r, err := a.readRoster(ctx, g.id)
	if err == nil {
		g.roster.Store(r)
	}
	return err
}

// moves are how many changes of her roster have begun and ended, and how many agents were
// deleted.
func (g *agent) moves() (roster, deleted int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.account.mu.RLock()
	defer g.account.mu.RUnlock()
	return g.rosterMoves, g.account.deleted
}

// settle makes a roster known that was read, unless something has moved since.
func (g *agent) settle(r *im.Roster, moves, deleted int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.account.mu.RLock()
	defer g.account.mu.RUnlock()
	if g.rosterMoves != moves || g.account.deleted != deleted {
		return false
	}
	g.roster.Store(r)
	return true
}

// readRoster reads what is kept. Whom it names but who is no more counts no longer,
// whoever has the name now (rule 56).
func (a *account) readRoster(ctx context.Context, id store.AgentID) (*im.Roster, error) {
	r := new(im.Roster)
	err := a.store.OwnOf(ctx, id, store.OwnContacts, func(jid string, value []byte) error {
		c, err := im.ParseContact(jid, value)
		if err == nil && c.Stands() && !a.is(jid, c.With) {
			c = c.Alone()
		}
		r.Contacts = append(r.Contacts, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = a.store.OwnOf(ctx, id, store.OwnRequests, func(from string, value []byte) error {
		q, err := im.ParsePending(from, append([]byte(nil), value...))
		if err == nil && a.is(from, q.By) {
			r.Requests = append(r.Requests, q)
		}
		return err
	})
	return r, err
}

// is says whether a JID is that agent's, disabled or not.
func (a *account) is(jid string, id store.AgentID) bool {
	name, ok := a.localPart(jid)
	a.mu.RLock()
	defer a.mu.RUnlock()
	return ok && a.ids[name] == id
}

// localPart is the name in a JID of the account's domain.
func (a *account) localPart(jid string) (name string, ok bool) {
	name, domain, ok := strings.Cut(jid, "@")
	return name, ok && domain == a.domain
}

// publish makes a roster known, if its agent has sessions; otherwise it is read when
// she has. It returns those that are available: whoever saw them until now must be told
// by the caller if that is over, since they themselves tell those whom the roster names
// when they go.
func (g *agent) publish(r *im.Roster) (there []*Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.roster.Load() == nil {
		return nil
	}
	g.roster.Store(r)
	for _, s := range g.sessions {
		if s.isAvailable() {
			there = append(there, s)
		}
	}
	return there
}

// contacts is the roster of an agent who has sessions, and empty for others.
func (g *agent) contacts() *im.Roster {
	if r := g.roster.Load(); r != nil {
		return r
	}
	return emptyRoster
}

var emptyRoster = new(im.Roster)

// side is the party that has a bare JID.
func (c *rosterChange) side(jid string) (*side, error) {
	if s := c.sides[jid]; s != nil {
		return s, nil
	}
	a := c.account
	s := &side{jid: jid, roster: emptyRoster}
	if name, ok := a.localPart(jid); ok {
		a.mu.RLock()
		s.id, s.agent = a.ids[name], a.agents[name]
		a.mu.RUnlock()
	}
	var known *im.Roster
	if s.agent != nil {
		known = c.moving(s.agent) // once: her last session may be ending
	}
	switch {
	case s.id == 0:
	case known != nil:
		s.roster = known
	default:
		var err error
		if s.roster, err = a.readRoster(c.ctx, s.id); err != nil {
			return nil, err
		}
	}
	c.sides[jid] = s
	return s, nil
}

// moving says that a change of an agent's roster begins, and is what is known of it.
func (c *rosterChange) moving(g *agent) *im.Roster {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rosterMoves++
	c.moved = append(c.moved, g)
	return g.roster.Load()
}

// over says that a change has ended, for better or worse.
func (c *rosterChange) over() {
	for _, g := range c.moved {
		g.mu.Lock()
		g.rosterMoves++
		g.mu.Unlock()
	}
}

// contact is a copy of the item of that JID, or a new one.
func (s *side) contact(jid string) (*im.Contact, error) {
	if old := s.roster.Contact(jid); old != nil {
		contact := *old
		return &contact, nil
	}
	if len(s.roster.Contacts) >= im.MaxContacts {
		return nil, errRosterFull
	}
	return &im.Contact{JID: jid}, nil
}

var errRosterFull = wire.StanzaError{Condition: wire.ResourceConstraint, Text: "your roster is full"}

func (c *rosterChange) put(s *side, contact *im.Contact) {
	s.roster = s.roster.With(contact)
	c.keep(s, store.OwnContacts, contact.JID, contact.Encode())
}

func (c *rosterChange) drop(s *side, jid string) {
	s.roster = s.roster.Without(jid)
	c.keep(s, store.OwnContacts, jid, nil)
}

func (c *rosterChange) asked(s *side, q *im.Pending) {
	s.roster = s.roster.Asked(q)
	c.keep(s, store.OwnRequests, q.From, q.Encode())
}

func (c *rosterChange) answered(s *side, jid string) {
	if s.roster.Request(jid) == nil {
		return
	}
	s.roster = s.roster.Answered(jid)
	c.keep(s, store.OwnRequests, jid, nil)
}

func (c *rosterChange) keep(s *side, part store.Part, name string, value []byte) {
	c.kept = append(c.kept, store.Own{Agent: s.id, Part: part, Name: name, Value: value})
}

// then adds what follows when all is durable.
func (c *rosterChange) then(f func()) { c.after = append(c.after, f) }

// push tells a side's devices how an item looks now.
func (c *rosterChange) push(s *side, jid string) {
	if s.agent == nil {
		return
	}
	v := view{s.agent, c.account.team.Load(), s.roster, s.agent.visitors.Load()}
	c.then(func() { v.pushItem(jid) })
}

// forget ends what g has with an agent who was deleted, and says whether her roster
// shows that. It isn't written: what is kept names the agent by her id, which nobody
// has again (see readRoster). a.rosters is held.
func (g *agent) forget(jid string, id store.AgentID) (shown bool) {
	r := g.contacts()
	if c := r.Contact(jid); c != nil && c.With == id && c.Stands() {
		r, shown = r.With(c.Alone()), true
	}
	if q := r.Request(jid); q != nil && q.By == id {
		r = r.Answered(jid)
	}
	g.publish(r)
	return shown
}
