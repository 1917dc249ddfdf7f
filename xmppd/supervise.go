package xmppd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// A Deed is what an agent does with what others have: it goes on record before it is done.
type Deed struct {
	Agent  store.AgentID
	From   netip.Addr
	Action string // such as "contact.take-over"
	Object string // "contact/" and its address; "" is all of them
}

// recorded does what is to be on record of the agent.
func (o *order) recorded(action string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	if o.support.record == nil {
		return do(ctx)
	}
	d := Deed{Agent: o.agent.id, From: o.show().From, Action: action}
	if o.contact != nil {
		d.Object = "contact/" + o.contact.Address
	}
	return o.support.record(ctx, d, do)
}

// sees are the agents in whose lists a contact is: those whom it concerns, and who read along, unless they have blocked its visitor
// (XEP-0191). These see what an agent has, or writes up. p.showing is held.
func (p *support) sees(c *desk.Contact) []store.AgentID {
	list := c.Sees()
	if len(p.watching) == 0 || !c.Held() {
		return list
	}
	for id := range p.watching {
		if g := p.account.byID(id); g != nil && !slices.Contains(list, id) && !g.blocks(p.jid(c)) {
			list = append(list, id)
		}
	}
	return list
}

// since is from when on an agent reads along with others; zero if she does not.
func (p *support) since(id store.AgentID) time.Time {
	p.showing.Lock()
	defer p.showing.Unlock()
	return p.watching[id]
}

// watches says whether the agent sees the contact only because she reads along.
func (p *support) watches(c *desk.Contact, id store.AgentID) bool {
	return c.Held() && !c.With(id) && !c.OfferedTo(id) && c.Owner != id && !p.since(id).IsZero()
}

// desk is where agents talk with the desk itself.
func (p *support) desk() string { return controlName + "@" + p.account.domain }

// watch shows an agent all that her colleagues have, or no more than what is hers.
func (p *support) watch(g *agent, on bool) {
	p.showing.Lock()
	defer p.showing.Unlock()
	switch _, is := p.watching[g.id]; {
	case on == is:
		return
	case on:
		p.watching[g.id] = time.Now()
	default:
		delete(p.watching, g.id)
	}
	p.arrange(g)
}

// arrange shows an agent what she sees now, and takes all else out of her list: also what is over, or is nobody's any more, since a
// change that the dispatcher has on its way says farewell only to those who see it still. p.showing is held.
func (p *support) arrange(g *agent) {
	sees := make(map[string]bool)
	for _, c := range p.contacts.Contacts() {
		if slices.Contains(p.sees(c), g.id) {
			sees[p.jid(c)] = true
			g.showContact(p.shownTo(g.id, c))
		}
	}
	shown := g.visitors.Load()
	if shown == nil {
		return
	}
	for _, v := range shown.list {
		if !sees[v.jid] {
			g.parted(v.id)
			g.hideContact(v.jid)
		}
	}
}

// rearrange takes the visitors whom an agent has blocked out of what she reads along with, and puts back those whom she has no more.
func (p *support) rearrange(g *agent) {
	p.showing.Lock()
	defer p.showing.Unlock()
	if !p.watching[g.id].IsZero() {
		p.arrange(g)
	}
}

// lets keeps whether an agent reads along, also after a restart, and shows her what follows from it.
func (p *support) lets(g *agent, on bool) error {
	var value []byte
	if on {
		value = []byte{1}
	} else {
		p.watch(g, false) // even if that can't be kept
	}
	err := g.keep(store.Own{Agent: g.id, Part: store.OwnWatching, Value: value})
	if err == nil {
		p.watch(g, on)
	}
	return err
}

// resumeWatching takes up who read along before the restart, and may still: of who may not it is forgotten, so that she has to ask
// anew where she may again. What can't be read of one agent keeps no account from beginning.
func (p *support) resumeWatching(ctx context.Context) error {
	agents, err := p.account.store.Agents(ctx)
	if err != nil {
		return fmt.Errorf("list agents: %w", err)
	}
	for _, g := range agents {
		if err := p.resumes(ctx, &g); err != nil {
			p.account.log.Warn("whether an agent reads along is not known: she does not", "agent", g.Name, "err", err)
		}
	}
	return nil
}

func (p *support) resumes(ctx context.Context, is *store.Agent) error {
	value, err := p.account.store.OwnNamed(ctx, is.ID, store.OwnWatching, "")
	switch g := p.account.byID(is.ID); {
	case err != nil || value == nil:
		return err
	case g == nil || !p.supervises(is.Role):
		return p.account.store.KeepOwn(ctx, store.Own{Agent: is.ID, Part: store.OwnWatching})
	default:
		p.watching[is.ID] = time.Now()
		return g.know(ctx) // whom she has blocked
	}
}

// RoleChanged ends an agent's reading along where she may do that no longer.
func (s *Server) RoleChanged(accountID string, g store.Agent) {
	a := s.accountByID(accountID)
	if a == nil || a.support == nil || a.support.supervises(g.Role) {
		return
	}
	if agent := a.agentOf(g); agent != nil {
		a.support.stops(agent)
	}
}

// stops ends it whatever comes. Where that can't be kept she is kept from it by what she is, also after a restart.
func (p *support) stops(g *agent) {
	g.changing.Lock()
	defer g.changing.Unlock()
	if p.since(g.id).IsZero() {
		return
	}
	if err := p.lets(g, false); err != nil {
		p.account.log.Warn("that an agent reads along no more is not kept", "agent", g.name, "err", err)
	}
}

// ErrNotSupervisor says that an agent wants what is for those who look after others.
var ErrNotSupervisor = errors.New("this is for supervisors: whoever runs the server can make you one")

// watchAll has the agent read along with all chats, or no more.
func (o *order) watchAll() (string, error) {
	p, g := o.support, o.agent
	switch o.args {
	case "on":
		return "All chats are in your list, and you read along. In each, !note is for those who have it, !takeover makes it yours; the visitor hears of neither. watch off ends it.",
			o.recorded("contact.watch", func(ctx context.Context) error {
				g.changing.Lock() // and RoleChanged comes after this, or her new role counts
				defer g.changing.Unlock()
				is, err := g.account.store.Agent(ctx, g.name)
				switch {
				case err != nil:
					return err
				case is.ID != g.id || is.Disabled || !p.supervises(is.Role):
					return ErrNotSupervisor
				}
				return p.lets(g, true)
			})
	case "off":
		return "Your list has what is yours.", o.recorded("contact.unwatch", func(context.Context) error {
			g.changing.Lock()
			defer g.changing.Unlock()
			return p.lets(g, false)
		})
	}
	return "Write watch on, or watch off.", nil
}

// takeOver makes a chat the agent's that she reads along with.
func (o *order) takeOver() (string, error) {
	if o.support.since(o.agent.id).IsZero() {
		return "This is for supervisors who read along: write watch on to " + o.support.desk() + " first.", nil
	}
	return "", o.recorded("contact.take-over", func(context.Context) error {
		if o.support.since(o.agent.id).IsZero() { // any more
			return ErrNotSupervisor
		}
		return wait(func(done desk.Done) { o.support.contacts.TakeOver(o.contact.ID, o.agent.id, done) })
	})
}

// whisper is a note in a chat that the agent reads along with.
func (o *order) whisper() error {
	return o.recorded("note.create", func(context.Context) error {
		return wait(func(done desk.Done) { o.support.contacts.Whisper(o.contact.ID, o.agent.id, o.args, done) })
	})
}
