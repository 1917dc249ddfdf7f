package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley.im/parley/conf"
)

// dnsTime is how long one name may take to be looked up.
const dnsTime = 10 * time.Second

// A dnsCheck compares what DNS says of the accounts' domains with what this configuration needs.
// It prints what is needed in the form of zone files, so that it can be copied, and behind each
// what was found.
type dnsCheck struct {
	call     *call
	conf     *conf.File
	certs    []tls.Certificate
	resolver *net.Resolver
	own      []netip.Addr // this machine's
	wrong    int          // differences
}

// checkDNS tells all differences between DNS and the configuration; with any it returns an error.
func checkDNS(ctx context.Context, c *call, f *conf.File, certs []tls.Certificate) error {
	d := &dnsCheck{call: c, conf: f, certs: certs, resolver: net.DefaultResolver}
	if at := c.text("resolver"); at != "" {
		if _, _, err := net.SplitHostPort(at); err != nil {
			at = net.JoinHostPort(strings.Trim(at, "[]"), "53")
		}
		d.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, at)
		}}
	}
	if mine, err := net.InterfaceAddrs(); err == nil {
		for _, a := range mine {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				d.own = append(d.own, p.Addr().Unmap())
			}
		}
	}
	for _, name := range domainNames(f) {
		d.domain(ctx, name)
	}
	for _, name := range hostNames(f) {
		d.line("; %s", name)
		d.addresses(ctx, name)
		d.certificate(name)
		d.line("")
	}
	if d.wrong == 0 {
		return nil
	}
	return withHint(fmt.Errorf("differences between DNS and this configuration: %d", d.wrong),
		"what was changed in DNS is seen everywhere only when the old answers have expired")
}

// line prints a record or a remark.
func (d *dnsCheck) line(format string, args ...any) {
	fmt.Fprintf(d.call.stdout, format+"\n", args...)
}

// fault prints what is wrong with what was printed last, and what to do about it.
func (d *dnsCheck) fault(what, do string) {
	d.wrong++
	d.line(";   %s", what)
	d.line(";   -> %s", do)
}

func (d *dnsCheck) domain(ctx context.Context, name string) {
	d.line("; %s", name)
	addrs := d.addresses(ctx, name)
	d.service(ctx, name, "xmpp-client", d.ports("starttls"), len(addrs) > 0)
	d.service(ctx, name, "xmpps-client", d.ports("tls", "any"), false)
	d.certificate(name)
	d.line("")
}

// ports are those of the listeners that are for one of these.
func (d *dnsCheck) ports(kinds ...string) (ports []uint16) {
	for _, l := range d.conf.AllListeners() {
		_, text, err := net.SplitHostPort(l.Address)
		if n, perr := strconv.ParseUint(text, 10, 16); err == nil && perr == nil && slices.Contains(kinds, l.For) && !slices.Contains(ports, uint16(n)) {
			ports = append(ports, uint16(n))
		}
	}
	return ports
}

// addresses looks at those of the domain itself: browsers, authorities and clients without SRV
// go there.
func (d *dnsCheck) addresses(ctx context.Context, name string) []netip.Addr {
	addrs, err := d.lookUp(ctx, name)
	if len(addrs) == 0 {
		d.line("; %s. IN A <this machine's public IPv4 address>", name)
		d.line("; %s. IN AAAA <its IPv6 address, if it has one>", name)
		if err != nil {
			d.trouble(err)
			return nil
		}
		why := "it has no address; browsers"
		if d.conf.ACME.On() {
			why += ", and the authority of [acme],"
		}
		d.fault(why+" do not find it", "add one of these records")
		return nil
	}
	for _, a := range addrs {
		kind := "A"
		if a.Is6() {
			kind = "AAAA"
		}
		d.line("%s. IN %s %s", name, kind, a)
		d.address(a)
	}
	return addrs
}

// address says what is odd about an address that was found.
func (d *dnsCheck) address(a netip.Addr) {
	switch {
	case a.IsLoopback() || a.IsUnspecified():
		d.fault("found, but it leads nobody here from elsewhere", "give the public address; does it come from /etc/hosts?")
	case slices.Contains(d.own, a):
		d.line(";   found; it is this machine's")
	default:
		d.line(";   found; it is none of this machine's own: right, if a proxy or router there leads here")
	}
}

// service looks at the SRV records of one of the two ways to connect (RFC 6120 §3.2.1;
// XEP-0368 §3). Without any, clients of the first try port 5222 of the domain.
func (d *dnsCheck) service(ctx context.Context, name, service string, ports []uint16, fallback bool) {
	owner := "_" + service + "._tcp." + name + "."
	records, err := d.records(ctx, service, name)
	if err != nil {
		d.line("; %s IN SRV", owner)
		d.trouble(err)
		return
	}
	if len(ports) == 0 {
		d.unwanted(owner, records)
		return
	}
	if len(records) == 0 {
		for i, p := range ports {
			d.line("%s IN SRV %d 5 %d %s.", owner, i, p, name)
		}
		if service == "xmpp-client" && fallback && slices.Contains(ports, 5222) {
			d.line(";   not found; clients try port 5222 of %s then, which does", name)
			return
		}
		d.fault("not found: clients do not know about "+portsText(ports), "add "+oneOrAll(len(ports)))
		return
	}
	for _, r := range records {
		d.line("%s IN SRV %d %d %d %s", owner, r.Priority, r.Weight, r.Port, r.Target)
		switch {
		case r.Target == ".":
			d.fault("found; it says that there is no such service", fmt.Sprintf("put %s and %s. in its place", portsText(ports), name))
			continue
		case !slices.Contains(ports, r.Port):
			d.fault(fmt.Sprintf("found, but no listener for it has port %d", r.Port),
				"put "+portsText(ports)+" in its place, unless a proxy leads from there to here")
		default:
			d.line(";   found")
		}
		if strings.EqualFold(r.Target, name+".") {
			continue // which was looked at above
		}
		d.target(ctx, r.Target)
	}
}

// unwanted looks at the records of a way to connect that this configuration does not have.
func (d *dnsCheck) unwanted(owner string, records []*net.SRV) {
	for _, r := range records {
		if r.Target == "." {
			continue // it says so
		}
		d.line("%s IN SRV 0 0 0 .", owner)
		d.line("; %s IN SRV %d %d %d %s", owner, r.Priority, r.Weight, r.Port, r.Target)
		d.fault("found the second, but no listener is for it", "remove it, or put the first in its place, which says that there is no such service")
	}
}

// target looks at the addresses of a name that an SRV record leads to.
func (d *dnsCheck) target(ctx context.Context, target string) {
	addrs, err := d.lookUp(ctx, target)
	switch {
	case err != nil:
		d.trouble(err)
	case len(addrs) == 0:
		d.fault(target+" has no address", "add A or AAAA records for it")
	}
	for _, a := range addrs {
		d.line("; %s has %s", target, a)
		d.address(a)
	}
}

// certificate says which one clients will see: it is for the domain, wherever SRV records
// lead (XEP-0368 §3).
func (d *dnsCheck) certificate(name string) {
	for _, c := range d.certs {
		if c.Leaf.VerifyHostname(name) == nil {
			d.line("; certificate for %s: there is one until %s", name, c.Leaf.NotAfter.Format(time.DateOnly))
			return
		}
	}
	if d.conf.ACME.On() {
		d.line("; certificate for %s: none yet; a running server asks %s for it", name, d.conf.ACME.Directory)
		return
	}
	d.fault("no certificate for "+name, "add one as [[certificate]]")
}

// trouble is for answers that say neither yes nor no.
func (d *dnsCheck) trouble(err error) {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		err = errors.New(e.Err) // which name it is stands above, and the server may be another one
	}
	d.fault("it could not be looked up: "+err.Error(), "ask again later, or another server with -resolver")
}

// records are those of a service, best first; none without an error if there are none.
func (d *dnsCheck) records(ctx context.Context, service, name string) ([]*net.SRV, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	_, records, err := d.resolver.LookupSRV(ctx, service, "tcp", name+".")
	if len(records) > 0 || isNotFound(err) {
		return records, nil // Go leaves out those whose target is no name
	}
	return nil, err
}

// lookUp is the addresses of a name, IPv4 first.
func (d *dnsCheck) lookUp(ctx context.Context, name string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	addrs, err := d.resolver.LookupNetIP(ctx, "ip", strings.TrimSuffix(name, ".")+".")
	if isNotFound(err) {
		return nil, nil
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	slices.SortFunc(addrs, func(a, b netip.Addr) int { return cmp.Or(cmp.Compare(a.BitLen(), b.BitLen()), a.Compare(b)) })
	return slices.Compact(addrs), err
}

func isNotFound(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}

func portsText(ports []uint16) string {
	text := "port"
	for i, p := range ports {
		if i > 0 {
			text += " or"
		}
		text += " " + strconv.Itoa(int(p))
	}
	return text
}

func oneOrAll(n int) string {
	if n == 1 {
		return "this record"
	}
	return "these records"
}
