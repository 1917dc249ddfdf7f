package hook

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// A guard decides which addresses webhooks may reach. It judges the address
// that is about to be dialled, after names were resolved, so that no name and
// no second answer of a name server leads around it.
type guard struct {
	allow []netip.Prefix
	ports []uint16
	own   func(netip.AddrPort) bool
}

func newGuard(c *Config) *guard {
	g := &guard{ports: []uint16{443, 80, 8443}, own: c.Own}
	for _, p := range c.Ports {
		g.ports = append(g.ports, uint16(p))
	}
	for _, p := range c.Allow {
		g.allow = append(g.allow, p.Masked())
	}
	return g
}

// A refusal is an address that webhooks may not reach. Its text is for the
// endpoint's owner.
type refusal struct {
	addr netip.AddrPort
	why  string
}

// Error says what was refused and why.
func (r *refusal) Error() string {
	return fmt.Sprintf("refused to connect to %s: %s", r.addr, r.why)
}

// control is a net.Dialer's Control: it sees each address before it is dialled.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dialled address %q: %w", address, err)
	}
	return g.check(ap)
}

// check answers nil or a refusal.
func (g *guard) check(ap netip.AddrPort) error {
	real := unwrap(ap.Addr())
	dialled := []netip.Addr{ap.Addr().Unmap(), real}
	for _, a := range dialled {
		if g.own != nil && g.own(netip.AddrPortFrom(a, ap.Port())) {
			return &refusal{ap, "this server itself listens there"}
		}
	}
	for _, p := range g.allow {
		if slices.ContainsFunc(dialled, p.Contains) {
			return nil
		}
	}
	switch {
	case !slices.Contains(g.ports, ap.Port()):
		return &refusal{ap, "this port is not among those that webhooks may use"}
	case !public(real):
		return &refusal{ap, "not a public address"}
	}
	return nil
}

// nat64 carries an IPv4 address in its last four bytes (RFC 6052 §2.1).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// unwrap is the IPv4 address inside an IPv4-mapped or NAT64 one, which is where
// packets to it end up.
func unwrap(a netip.Addr) netip.Addr {
	if nat64.Contains(a) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a.Unmap()
}

// unicast6 is all that is handed out as global unicast (RFC 4291 §2.4 and IANA's
// registry of IPv6 address space).
var unicast6 = netip.MustParsePrefix("2000::/3")

// special are the networks that are not reached over the Internet as such: IANA's
// registries of special-purpose addresses (RFC 6890 §2.2), and tunnels, which
// lead to an IPv4 address of the sender's choice.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carriers' NAT
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), // link-local; clouds' metadata
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), // documentation, as the next but one
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("224.0.0.0/4"), // multicast
	netip.MustParsePrefix("240.0.0.0/4"), // reserved, and broadcast
	netip.MustParsePrefix("2001::/23"),   // protocols' own, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4
	netip.MustParsePrefix("3fff::/20"),
}

// public says whether the address is a global unicast one. IPv6 beyond
// 2000::/3 (loopback, ULA, link-local, multicast, 64:ff9b:1::/48 and the rest)
// never is.
func public(a netip.Addr) bool {
	if a.Zone() != "" || a.Is6() && !unicast6.Contains(a) {
		return false
	}
	return a.IsValid() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}
