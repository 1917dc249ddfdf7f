package xmppd

import (
	"net"
	"net/netip"
	"sync"
)

// A gate counts connections that have not signed in, in all and by address, so
// that strangers cannot crowd out those who work. Signed-in sessions don't count:
// a whole office may share one address.
type gate struct {
	mu   sync.Mutex // guards what follows
	all  int
	from map[string]int
}

// enter answers the func that leaves the gate, or false if there is no room.
func (g *gate) enter(addr net.Addr, l *Limits) (leave func(), ok bool) {
	key := addressKey(addr)
	g.mu.Lock()
	defer g.mu.Unlock()
	if over(g.all, l.Unauthenticated) || over(g.from[key], l.UnauthenticatedPerAddress) {
		return nil, false
	}
	g.all++
	g.from[key]++
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.all--
		if g.from[key]--; g.from[key] == 0 {
			delete(g.from, key)
		}
	}), true
}

// addressKey is the IPv4 address, or the IPv6 /64, since whoever has one address
// of that has all.
func addressKey(addr net.Addr) string {
	ip := remoteIP(addr)
	if ip.Is6() {
		p, _ := ip.Prefix(64)
		return p.String()
	}
	return ip.String()
}

// remoteIP is the peer's address; the zero Addr where there is none (a pipe).
func remoteIP(addr net.Addr) netip.Addr {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// over says whether a limit is reached; zero is no limit.
func over(n, limit int) bool { return limit > 0 && n >= limit }
