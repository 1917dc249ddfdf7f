package hook

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestGuard(t *testing.T) {
	c := &Config{
		Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/64")},
		Ports: []int{9443},
		Own:   func(ap netip.AddrPort) bool { return ap == netip.MustParseAddrPort("10.1.0.1:5222") },
	}
	g := newGuard(c)
	for _, c := range []struct {
		name, in, want string // want: part of the refusal, or nothing
	}{
		{"public", "93.184.215.14:443", ""},
		{"public, plain", "93.184.215.14:80", ""},
		{"public, 8443", "93.184.215.14:8443", ""},
		{"public, a port of the list", "93.184.215.14:9443", ""},
		{"public, IPv6", "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:443", ""},
		{"public, mapped", "[::ffff:93.184.215.14]:443", ""},
		{"public, NAT64", "[64:ff9b::5db8:d70e]:443", ""},
		{"allowed", "10.1.2.3:443", ""},
		{"allowed, any port", "10.1.2.3:12345", ""},
		{"allowed, mapped", "[::ffff:10.1.2.3]:443", ""},
		{"allowed, IPv6", "[fd00:1::5]:25", ""},

		{"another port", "93.184.215.14:25", "port"},
		{"our own listener, though allowed", "10.1.0.1:5222", "itself"},
		{"our own listener, mapped", "[::ffff:10.1.0.1]:5222", "itself"},
		{"our own listener, NAT64", "[64:ff9b::a01:1]:5222", "itself"},
		{"unspecified", "0.0.0.0:443", "public"},
		{"this network", "0.1.2.3:443", "public"},
		{"loopback", "127.0.0.1:443", "public"},
		{"loopback's end", "127.255.255.254:443", "public"},
		{"private 10", "10.0.0.1:443", "public"},
		{"private 172", "172.31.255.255:443", "public"},
		{"private 192", "192.168.1.1:443", "public"},
		{"link-local, metadata", "169.254.169.254:80", "public"},
		{"CGNAT", "100.64.0.1:443", "public"},
		{"CGNAT's end", "100.127.255.255:443", "public"},
		{"protocol assignments", "192.0.0.1:443", "public"},
		{"documentation", "203.0.113.7:443", "public"},
		{"benchmarks", "198.19.0.1:443", "public"},
		{"multicast", "224.0.0.1:443", "public"},
		{"reserved", "240.0.0.1:443", "public"},
		{"broadcast", "255.255.255.255:443", "public"},
		{"6to4 relay", "192.88.99.1:443", "public"},
		{"IPv6 unspecified", "[::]:443", "public"},
		{"IPv6 loopback", "[::1]:443", "public"},
		{"mapped loopback", "[::ffff:127.0.0.1]:443", "public"},
		{"mapped private", "[::ffff:192.168.0.1]:443", "public"},
		{"IPv4-compatible", "[::127.0.0.1]:443", "public"},
		{"NAT64 of loopback", "[64:ff9b::7f00:1]:443", "public"},
		{"NAT64 of metadata", "[64:ff9b::a9fe:a9fe]:443", "public"},
		{"local NAT64", "[64:ff9b:1::1]:443", "public"},
		{"ULA", "[fd00:2::1]:443", "public"},
		{"IPv6 link-local", "[fe80::1%eth0]:443", "public"},
		{"site-local", "[fec0::1]:443", "public"},
		{"IPv6 multicast", "[ff02::1]:443", "public"},
		{"6to4", "[2002:7f00:1::1]:443", "public"},
		{"Teredo", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]:443", "public"},
		{"IPv6 documentation", "[2001:db8::1]:443", "public"},
		{"newer documentation", "[3fff::1]:443", "public"},
		{"discard", "[100::1]:443", "public"},
		{"a zone on a public address", "[2606:2800::1%eth0]:443", "public"},
	} {
		err := g.control("tcp", c.in, nil)
		var refused *refusal
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %s: %v, want it allowed", c.name, c.in, err)
		case c.want != "" && (!errors.As(err, &refused) || !strings.Contains(refused.why, c.want)):
			t.Errorf("%s: %s: %v, want a refusal for its %s", c.name, c.in, err, c.want)
		}
	}
}

// A name may answer with any address. What counts is what is dialled.
func TestNamesDoNotLeadAroundTheGuard(t *testing.T) {
	names := map[string][]string{
		"loopback.example.": {"127.0.0.1"},
		"mixed.example.":    {"192.168.0.1", "10.0.0.1"},
		"six.example.":      {"::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"},
		"metadata.example.": {"169.254.169.254"},
	}
	s := New(Config{resolver: resolver(t, names)})
	for name := range names {
		conn, err := s.dial(t.Context(), "tcp", strings.TrimSuffix(name, ".")+":443")
		if conn != nil {
			conn.Close()
		}
		var refused *refusal
		if !errors.As(err, &refused) {
			t.Errorf("dial %s: %v, want a refusal", name, err)
		}
	}
}

func TestAnAllowedNameIsReached(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := New(Config{
		Allow:    []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		resolver: resolver(t, map[string][]string{"shop.example.": {"127.0.0.1"}}),
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	conn, err := s.dial(t.Context(), "tcp", "shop.example:"+port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// resolver answers from a table, over pipes.
func resolver(t *testing.T, names map[string][]string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go answerNames(t, ours, names)
		return theirs, nil
	}}
}

// answerNames is a name server of one connection (RFC 1035 §4.2.2: each message
// has its length before it).
func answerNames(t *testing.T, c net.Conn, names map[string][]string) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		b := make([]byte, int(size[0])<<8|int(size[1]))
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(b); err != nil {
			t.Errorf("question: %v", err)
			return
		}
		m.Response = true
		q := m.Questions[0]
		for _, text := range names[q.Name.String()] {
			m.Answers = append(m.Answers, resource(q, netip.MustParseAddr(text))...)
		}
		m.Additionals = nil
		out, err := m.Pack()
		if err != nil {
			t.Errorf("answer: %v", err)
			return
		}
		if _, err := c.Write(append([]byte{byte(len(out) >> 8), byte(len(out))}, out...)); err != nil {
			return
		}
	}
}

func resource(q dnsmessage.Question, a netip.Addr) []dnsmessage.Resource {
	h := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, Type: q.Type, TTL: 1}
	switch {
	case q.Type == dnsmessage.TypeA && a.Is4():
		return []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: a.As4()}}}
	case q.Type == dnsmessage.TypeAAAA && a.Is6():
		return []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}}
	}
	return nil
}
