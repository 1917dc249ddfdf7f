package main

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

var proxyNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("fd00::/8")}

// asked is a request as net/http hands it over.
func asked(peer string, header http.Header) *http.Request {
	return &http.Request{RemoteAddr: peer, Header: header}
}

// The right-most address that is no proxy's of ours is the client's.
func TestClientAddr(t *testing.T) {
	t.Parallel()
	const xff, fwd = "X-Forwarded-For", "Forwarded"
	for _, c := range []struct {
		name, peer, header string
		values             []string
		want               string // "" is not to be known
	}{
		{"nobody between", "192.0.2.7:1", xff, nil, "192.0.2.7"},
		{"a stranger pretends", "192.0.2.7:1", xff, []string{"127.0.0.1"}, "192.0.2.7"},
		{"a stranger pretends", "192.0.2.7:1", fwd, []string{"for=127.0.0.1"}, "192.0.2.7"},
		{"the proxy itself", "127.0.0.1:1", xff, nil, "127.0.0.1"},
		{"one proxy", "10.1.0.7:1", xff, []string{"192.0.2.7"}, "192.0.2.7"},
		{"a client pretends", "10.1.0.7:1", xff, []string{"127.0.0.1, 192.0.2.7"}, "192.0.2.7"},
		{"a client pretends in a line of its own", "10.1.0.7:1", xff, []string{"127.0.0.1", "192.0.2.7"}, "192.0.2.7"},
		{"two proxies", "10.1.0.7:1", xff, []string{"192.0.2.7, 10.2.0.1"}, "192.0.2.7"},
		{"two proxies and a tale", "10.1.0.7:1", xff, []string{"198.51.100.1 , 192.0.2.7,10.2.0.1"}, "192.0.2.7"},
		{"proxies alone", "10.1.0.7:1", xff, []string{"10.3.0.1, 10.2.0.1"}, "10.3.0.1"},
		{"with ports", "10.1.0.7:1", xff, []string{"192.0.2.7:4711"}, "192.0.2.7"},
		{"IPv6", "[fd00::1]:1", xff, []string{"2001:db8::7"}, "2001:db8::7"},
		{"IPv6 with a port", "[fd00::1]:1", xff, []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		{"IPv4 in IPv6", "[::ffff:10.1.0.7]:1", xff, []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		{"nonsense at the end", "10.1.0.7:1", xff, []string{"192.0.2.7, unknown"}, ""},
		{"nonsense behind the client", "10.1.0.7:1", xff, []string{"unknown, 192.0.2.7"}, "192.0.2.7"},
		{"an empty one", "10.1.0.7:1", xff, []string{""}, ""},
		{"a zone", "10.1.0.7:1", xff, []string{"fe80::1%eth0"}, ""},
		{"no peer", "@", xff, []string{"192.0.2.7"}, ""},

		{"one proxy", "10.1.0.7:1", fwd, []string{"for=192.0.2.7"}, "192.0.2.7"},
		{"all there is", "10.1.0.7:1", fwd, []string{`proto=https;FOR="[2001:db8::7]:4711";by=10.1.0.7 ;host="a,b;c"`}, "2001:db8::7"},
		{"two proxies", "10.1.0.7:1", fwd, []string{"for=192.0.2.7, for=10.2.0.1"}, "192.0.2.7"},
		{"a client pretends", "10.1.0.7:1", fwd, []string{"for=127.0.0.1", "for=192.0.2.7;proto=https"}, "192.0.2.7"},
		{"a mark in place of an address", "10.1.0.7:1", fwd, []string{"for=_hidden"}, ""},
		{"an element that tells of nobody", "10.1.0.7:1", fwd, []string{"for=192.0.2.7, proto=https"}, ""},
		{"a client opens a quotation", "10.1.0.7:1", fwd, []string{`for=127.0.0.1;x="`, "for=192.0.2.7"}, ""},
		{"and the proxy closes it", "10.1.0.7:1", fwd, []string{`for=127.0.0.1;x="`, `for="[2001:db8::7]"`}, ""},
		{"twice in one", "10.1.0.7:1", fwd, []string{"for=127.0.0.1;for=192.0.2.7"}, ""},
		{"escaped", "10.1.0.7:1", fwd, []string{`for="192.0.2.\7"`}, "192.0.2.7"},
		{"no name", "10.1.0.7:1", fwd, []string{"=192.0.2.7"}, ""},
		{"no value", "10.1.0.7:1", fwd, []string{"for="}, ""},
		{"something behind a value", "10.1.0.7:1", fwd, []string{"for=192.0.2.7 or so"}, ""},
	} {
		got := clientAddr(asked(c.peer, http.Header{c.header: c.values}), proxyNetworks, c.header)
		if c.want == "" && got.IsValid() || c.want != "" && got.String() != c.want {
			t.Errorf("%s: clientAddr(%s, %s: %q) = %v, want %s", c.name, c.peer, c.header, c.values, got, c.want)
		}
	}
	// The header that the proxies do not write is the client's.
	r := asked("10.1.0.7:1", http.Header{xff: {"192.0.2.7"}, fwd: {"for=127.0.0.1"}})
	if got := clientAddr(r, proxyNetworks, xff); got.String() != "192.0.2.7" {
		t.Errorf("with a Forwarded of the client's: %v", got)
	}
}

// FuzzClientAddr: whatever a client writes into the header, what the proxy adds decides.
func FuzzClientAddr(f *testing.F) {
	for _, s := range []string{"", "127.0.0.1", `for="127.0.0.1`, `for=1;for=2, for="\`, `x="a,b";for=[::1]`, "for=127.0.0.1;", ",", ";", `a="`, `a="\"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, theirs string) {
		if strings.ContainsAny(theirs, "\r\n") {
			t.Skip("no header can have that")
		}
		for header, ours := range map[string][]string{
			"X-Forwarded-For": {"192.0.2.7", "[2001:db8::7]:80"},
			"Forwarded":       {"for=192.0.2.7", `for="[2001:db8::7]:80";by="[fd00::1]";proto=https`, `proto=https;for=192.0.2.7`},
		} {
			for _, added := range ours {
				for _, values := range [][]string{{theirs, added}, {theirs + ", " + added}} {
					got := clientAddr(asked("10.1.0.7:1", http.Header{header: values}), proxyNetworks, header)
					if got.IsValid() && got.String() != "192.0.2.7" && got.String() != "2001:db8::7" {
						t.Fatalf("%s: %q makes the client %v", header, values, got)
					}
				}
			}
		}
	})
}
