package auth

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// A verdict says what a proof is worth.
type verdict uint8

const (
	denied verdict = iota // wrong, or right and not to be told
	locked                // right, but locked
	passed
)

// A proof is what a guard needs to know of one.
type proof struct {
	right  bool
	secret bool // made with a device's secret, which nobody guesses
}

// A guard remembers who failed. Proofs are checked before they come here, so that
// of many at once none slips past a lock that another has just made.
type guard struct {
	seed maphash.Seed

	mu     sync.Mutex // guards what follows
	limits Lockout
	pairs  table[tally]
	addrs  table[tally]
	names  table[tally]
	known  table[struct{}] // pairs that signed in
}

func newGuard(l Lockout) *guard {
	return &guard{
		limits: l, seed: maphash.MakeSeed(),
		pairs: newTable[tally](l.Entries),
		addrs: newTable[tally](l.Entries),
		names: newTable[tally](l.Entries),
		known: newTable[struct{}](l.Entries),
	}
}

// configure changes the limits; what is remembered stays.
func (g *guard) configure(l Lockout) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits = l
}

// A place is a name and an address as the tables' keys. The hash is seeded anew in
// each process, so that nobody can look for collisions, and it keeps the tables
// small however long the names are.
type place struct{ pair, addr, name uint64 }

func (g *guard) place(name string, addr netip.Addr) place {
	addr = network(addr)
	type pair struct {
		name string
		addr netip.Addr
	}
	return place{
		pair: maphash.Comparable(g.seed, pair{name, addr}),
		addr: maphash.Comparable(g.seed, addr),
		name: maphash.String(g.seed, name),
	}
}

// network is what counts as one address: of IPv6 the /64, of which one host can use
// all.
func network(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() {
		return addr
	}
	p, err := addr.Prefix(64)
	if err != nil {
		return addr
	}
	return p.Addr()
}

// settle counts a proof and says what it is worth, and how long its answer has to
// wait.
func (g *guard) settle(name string, addr netip.Addr, p proof, now time.Time) (verdict, time.Duration) {
	at := g.place(name, addr)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.limits.Off {
		if p.right {
			return passed, 0
		}
		return denied, 0
	}
	if p.right && p.secret {
		g.welcome(at)
		return passed, 0
	}
	known := g.known.get(at.pair) != nil
	delay := g.delay(at, known, now)
	if !p.right {
		g.count(at, known, now)
		return denied, delay
	}
	switch isLocked, tell := g.locked(at, known, now); {
	case isLocked && !tell:
		return denied, delay
	case isLocked:
		return locked, delay
	}
	g.welcome(at)
	return passed, delay
}

// welcome is for those who signed in.
func (g *guard) welcome(at place) {
	g.pairs.drop(at.pair)
	g.known.put(at.pair)
}

// pairLimit is how many failures lock a pair.
func (g *guard) pairLimit(known bool) int {
	if known {
		return g.limits.Failures * knownFactor
	}
	return g.limits.Failures
}

// locked says whether there is a lock, and whether a right proof is told so: no
// more when as many wrong ones came during the lock as had led to it, since telling
// is a guesser's only way to learn that a guess was right.
func (g *guard) locked(at place, known bool, now time.Time) (isLocked, tell bool) {
	tell = true
	check := func(t *tally, limit int) {
		if t != nil && t.locked(now) {
			isLocked = true
			tell = tell && t.beyond < limit
		}
	}
	check(g.pairs.get(at.pair), g.pairLimit(known))
	if !known {
		check(g.addrs.get(at.addr), g.limits.Budget)
	}
	return isLocked, tell
}

// count counts a wrong proof wherever it counts.
func (g *guard) count(at place, known bool, now time.Time) {
	l := &g.limits
	pair, limit := g.pairs.put(at.pair), g.pairLimit(known)
	pair.settle(now, l)
	pair.add(now, limit, l)
	if known {
		return
	}
	// A client that goes on with an old password would use up the budget of a whole
	// office. From a pair that is locked and answers nothing any more nobody learns
	// anything, so it isn't charged.
	if pair.beyond <= limit {
		addr := g.addrs.put(at.addr)
		addr.settle(now, l)
		addr.add(now, l.Budget, l)
	}
	name := g.names.put(at.name)
	name.settle(now, l)
	name.add(now, 0, l)
}

// delay is how long answers for the name wait. Right proofs wait like wrong ones:
// whoever doesn't wait for the answer would know.
func (g *guard) delay(at place, known bool, now time.Time) time.Duration {
	t := g.names.get(at.name)
	if known || t == nil {
		return 0
	}
	t.settle(now, &g.limits)
	return max(0, min(g.limits.Delay, time.Duration(t.count-g.limits.Slow)*delayStep))
}
