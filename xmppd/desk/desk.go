package desk

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"parley.im/parley/store"
)

// Config is what a Desk needs.
type Config struct {
	Settings Settings
	Keeper   Keeper
	Now      func() time.Time
	// Changed is called for each change once it is durable: in their order, by one goroutine
	// at a time. It may call the Desk.
	Changed func(*Change)
	// Paused is called when an agent was paused by others than herself: by the desk, since she did not answer (Forced), or by
	// the account. It may call the Desk.
	Paused func(Standing)
}

// A Desk is one account's. It is safe for concurrent use; none of its methods waits for a
// change to be durable.
type Desk struct {
	config Config
	wake   chan struct{} // holds one value when run has something to look at

	mu       sync.Mutex // guards what follows
	settings Settings
	contacts map[store.ConversationID]*live
	workers  map[store.AgentID]*worker
	timers   timers
	calls    []func() // to be made when mu is free
	keeps    []func() // the same, one after the other
	keeping  bool     // somebody does that
}

// A live contact is one that is not finalized.
type live struct {
	c      *Contact // as it is kept
	placed *Contact // ... or will be, when what is under way is: by this it counts for agents
	said   Count
	last   time.Time // when something was said last
	gone   time.Time // since when the visitor is not there; zero if she is
	unsaid time.Time // since when a bot owes the visitor a word; zero if it doesn't
	due    time.Time // when there is something to do
	index  int       // in timers, -1 if nothing is to be done

	offered map[store.AgentID]time.Time // since when those who are asked know of it; those of before a restart have known long

	stepping bool    // a step is under way
	saying   int     // how much that is said is under way
	waiting  []input // for these, in order
}

// New returns a Desk that has nothing yet.
func New(c Config) *Desk {
	return &Desk{config: c, settings: c.Settings, wake: make(chan struct{}, 1),
		contacts: make(map[store.ConversationID]*live), workers: make(map[store.AgentID]*worker)}
}

// backAgain is how much longer than usual agents have to come back after a start: it was not they who had gone, and
// many clients wait for a while before they try again.
const backAgain = 2 * time.Minute

// Restore puts back contacts that are not finalized, as they were kept; last is when something
// was said in them. Neither their visitors nor their agents are there: they come, or they are
// given up as if they had just gone, agents a little later. It is for a Desk that nothing has happened at.
func (d *Desk) Restore(list []*Contact, last func(store.ConversationID) time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.config.Now()
	for _, c := range list {
		l := &live{c: c, said: c.Said, last: last(c.ID), gone: now, index: -1}
		if c.Bot {
			l.unsaid = now // whether it was the bot's turn nobody knows
		}
		d.contacts[c.ID] = l
		if c.State.Owned() {
			d.worker(c.Owner).gone = now.Add(backAgain)
		}
		d.place(l, c)
		d.remind(l, now)
	}
	d.nudge()
}

// Configure changes the settings, for what is decided from now on.
func (d *Desk) Configure(s Settings) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settings = s
	for _, w := range d.workers {
		w.Agent = s.skilled(w.told)
	}
	now := d.config.Now()
	for _, l := range d.contacts {
		d.remind(l, now)
	}
	d.nudge()
}

// Settings are those that hold. Nobody changes what they hold.
func (d *Desk) Settings() Settings {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settings
}

// Contact is a live contact as it is now.
func (d *Desk) Contact(id store.ConversationID) (*Contact, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.contacts[id]; l != nil && l.c.Version > 0 {
		return l.c, nil
	}
	return nil, ErrUnknown
}

// Contacts are all that are live, by id.
func (d *Desk) Contacts() []*Contact {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]*Contact, 0, len(d.contacts))
	for _, l := range d.contacts {
		if l.c.Version > 0 {
			list = append(list, l.c)
		}
	}
	slices.SortFunc(list, func(x, y *Contact) int { return cmp.Compare(x.ID, y.ID) })
	return list
}

// place counts a contact for the agents who have it, or are asked, by what it will be.
func (d *Desk) place(l *live, c *Contact) {
	if l.placed != nil {
		if w := d.workers[l.placed.Owner]; w != nil {
			delete(w.has, c.ID)
			d.letGo(w)
		}
		if l.placed.Offer != nil {
			for _, a := range l.placed.Offer.To {
				if w := d.workers[a]; w != nil {
					delete(w.asked, c.ID)
					d.letGo(w)
				}
			}
		}
	}
	l.placed = c
	if c.State.Owned() {
		d.worker(c.Owner).has[c.ID] = l
	}
	if c.Offer != nil {
		for _, a := range c.Offer.To {
			d.worker(a).asked[c.ID] = l
		}
	}
}

// worker is the agent, who is gone if nothing was ever heard of her.
func (d *Desk) worker(id store.AgentID) *worker {
	w := d.workers[id]
	if w == nil {
		now := d.config.Now()
		w = &worker{Agent: Agent{ID: id}, since: now, gone: now,
			has: make(map[store.ConversationID]*live), asked: make(map[store.ConversationID]*live)}
		d.workers[id] = w
	}
	return w
}

// nudge has run look at everything that waits.
func (d *Desk) nudge() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// unlock frees mu and makes the calls that had to wait for that.
func (d *Desk) unlock() {
	calls := d.calls
	d.calls = nil
	d.mu.Unlock()
	for _, call := range calls {
		call()
	}
	d.keepAll()
}

// keepAll has changes kept in the order in which they were made, whoever has made them.
func (d *Desk) keepAll() {
	d.mu.Lock()
	if d.keeping {
		d.mu.Unlock() // whoever keeps takes these, too
		return
	}
	d.keeping = true
	for len(d.keeps) > 0 {
		keeps := d.keeps
		d.keeps = nil
		d.mu.Unlock()
		for _, keep := range keeps {
			keep()
		}
		d.mu.Lock()
	}
	d.keeping = false
	d.mu.Unlock()
}
