package main

import (
	"net"
	"net/netip"
	"sync"
)

// A fair listener lets nobody have more than a share of what a limit on connections leaves:
// from one address (of IPv6 the first 64 bits) so many can be open, the next is closed
// without a word.
type fair struct {
	net.Listener
	most   int
	exempt func(netip.Addr) bool // proxies, behind whom there are many

	mu   sync.Mutex // guards what follows
	open map[netip.Prefix]int
}

func newFair(l net.Listener, most int, exempt func(netip.Addr) bool) *fair {
	return &fair{Listener: l, most: most, exempt: exempt, open: make(map[netip.Prefix]int)}
}

// Accept waits for a connection of somebody who has not too many.
func (f *fair) Accept() (net.Conn, error) {
	for {
		c, err := f.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, ok := peerNetwork(c)
		if !ok || f.exempt(from.Addr()) {
			return c, nil
		}
		if !f.enter(from) {
			c.Close()
			continue
		}
		return &placedConn{Conn: c, leave: sync.OnceFunc(func() { f.leave(from) })}, nil
	}
}

// peerNetwork is where a connection comes from, as connections are counted.
func peerNetwork(c net.Conn) (netip.Prefix, bool) {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{}, false
	}
	addr, bits := at.Addr().Unmap().WithZone(""), 64
	if addr.Is4() {
		bits = 32
	}
	p := netip.PrefixFrom(addr, bits)
	if bits == 64 {
		p = p.Masked()
	}
	return p, true
}

func (f *fair) enter(from netip.Prefix) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[from] >= f.most {
		return false
	}
	f.open[from]++
	return true
}

func (f *fair) leave(from netip.Prefix) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[from]--; f.open[from] == 0 {
		delete(f.open, from)
	}
}
