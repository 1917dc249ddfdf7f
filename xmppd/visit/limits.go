package visit

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"parley.im/parley/store"
)

// Limits bound what visitors can take. 0 is no limit.
type Limits struct {
	Connections           int // sockets and streams at a time
	ConnectionsPerAddress int
	OpensPerMinute        int // contacts that are opened from one address
	ContactsPerAddress    int // ... and that go on at a time
	ContactsPerAccount    int
}

// guestsMax is how many addresses are counted at a time, at about 200 bytes each. When there are more, others
// wait.
const guestsMax = 100_000

// A crowd counts what comes from each address: an IPv4 address, or the first 64 bits of one of IPv6.
type crowd struct {
	limits Limits

	mu    sync.Mutex // guards what follows
	all   map[netip.Prefix]*guest
	lines int
	swept time.Time
}

// A guest is an address.
type guest struct {
	asks   bucket
	lines  int
	minute time.Time // when the one that opens are counted in began
	opens  int
	open   []opened // what was opened and may go on; after a restart this begins anew
	begun  int      // what is about to be
}

type opened struct {
	account *account
	id      store.ConversationID
}

var (
	errLines = later{refusal{codeLimit, "too many connections from where you are"}, 30 * time.Second}
	errCrowd = later{refusal{codeUnavailable, "there is no room now; try again in a moment"}, 30 * time.Second}
	errOpen  = later{refusal{codeLimit, "too many conversations from where you are"}, time.Minute}
	errFull  = later{refusal{codeLimit, "too many people are writing to us; try again in a few minutes"}, time.Minute}
)

// enter takes a place for a connection; leave gives it back.
func (c *crowd) enter(from netip.Prefix, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if over(c.lines, c.limits.Connections) {
		return errCrowd
	}
	g := c.guest(from, now)
	switch {
	case g == nil:
		return errCrowd
	case over(g.lines, c.limits.ConnectionsPerAddress):
		return errLines
	}
	g.lines++
	c.lines++
	return nil
}

func (c *crowd) leave(from netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[from].lines--
	c.lines--
}

func over(n, limit int) bool { return limit > 0 && n >= limit }

// mayOpen says whether one more contact can be opened from there. If so, opened is called when it is, or can't be.
func (c *crowd) mayOpen(from netip.Prefix, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.guest(from, now)
	if g == nil {
		return errCrowd
	}
	if now.Sub(g.minute) >= time.Minute || now.Before(g.minute) {
		g.minute, g.opens = now, 0
	}
	if over(g.opens, c.limits.OpensPerMinute) {
		return later{errOpen.refusal, g.minute.Add(time.Minute).Sub(now)}
	}
	g.forget()
	if over(len(g.open)+g.begun, c.limits.ContactsPerAddress) {
		return errOpen
	}
	g.opens++
	g.begun++
	return nil
}

// mayAsk says whether one more request that is no connection is answered, and counts it.
func (c *crowd) mayAsk(from netip.Prefix, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.guest(from, now)
	if g == nil {
		return errCrowd
	}
	if wait := g.asks.take(now, asksPerSecond, asksBurst); wait > 0 {
		g.asks.left++ // it is not done
		return later{refusal{codeLimit, "too much at a time from where you are"}, wait}
	}
	return nil
}

// opened notes what was opened from there; 0 is nothing.
func (c *crowd) opened(from netip.Prefix, a *account, id store.ConversationID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.all[from]
	g.begun--
	if id != 0 {
		g.open = append(g.open, opened{a, id})
	}
}

// forget lets go of contacts that are over.
func (g *guest) forget() {
	g.open = slices.DeleteFunc(g.open, func(o opened) bool {
		c, err := o.account.Contacts.Contact(o.id)
		return err != nil || !c.State.Open()
	})
}

// whence is where a contact was opened, if that is remembered.
func (c *crowd) whence(o opened) (netip.Prefix, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for from, g := range c.all {
		if slices.Contains(g.open, o) {
			return from, true
		}
	}
	return netip.Prefix{}, false
}

// guest is what is known of an address; nil if there is no room for it. c.mu is held.
func (c *crowd) guest(from netip.Prefix, now time.Time) *guest {
	g := c.all[from]
	if g != nil {
		return g
	}
	if len(c.all) >= guestsMax && now.Sub(c.swept) > time.Second {
		c.swept = now
		for who, g := range c.all {
			if g.forget(); g.lines+g.begun+len(g.open) == 0 && now.Sub(g.minute) >= time.Minute {
				delete(c.all, who)
			}
		}
	}
	if len(c.all) >= guestsMax {
		return nil
	}
	g = new(guest)
	c.all[from] = g
	return g
}

// A bucket fills by a rate, and holds so much at most. It may be in debt.
type bucket struct {
	at   time.Time
	left float64
}

const (
	// framesPerSecond is how many frames of a contact's visitor are taken on average: many more than
	// anybody types. A burst passes: what was said while the line was cut.
	framesPerSecond, framesBurst = 5, 30
	// asksPerSecond is how many frames an address may send by POST: many people may share one.
	asksPerSecond, asksBurst = 50, 200
)

// take takes one, and says how long to wait for it.
func (b *bucket) take(now time.Time, rate, most float64) time.Duration {
	if b.at.IsZero() {
		b.left = most
	} else if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.left = min(most, b.left+passed*rate)
	}
	b.at = now
	b.left--
	return time.Duration(max(0, -b.left) / rate * float64(time.Second))
}
