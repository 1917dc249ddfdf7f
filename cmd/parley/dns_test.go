package main

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// What 'check -dns' prints, for each state of a zone.
func TestCheckDNS(t *testing.T) {
	t.Parallel()
	const both = "listen.starttls=127.0.0.1:5222 listen.tls=127.0.0.1:5223"
	for _, c := range []struct {
		name  string
		zone  zone
		set   string
		lines []string
		wrong string // the number of differences; "" is none
	}{
		{"all as it should be", zone{
			a: map[string][]string{"desk.example.": {"192.0.2.5", "2001:db8::5"}},
			srv: map[string][]dnsmessage.SRVResource{
				"_xmpp-client._tcp.desk.example.":  srv("desk.example.", 5222),
				"_xmpps-client._tcp.desk.example.": srv("desk.example.", 5223),
			},
		}, both, []string{
			"desk.example. IN A 192.0.2.5", ";   found; it is none of this machine's own", "desk.example. IN AAAA 2001:db8::5",
			"_xmpp-client._tcp.desk.example. IN SRV 0 5 5222 desk.example.", ";   found", "_xmpps-client._tcp.desk.example. IN SRV 0 5 5223 desk.example.", ";   found",
			"; certificate for desk.example: there is one until ",
		}, ""},
		{"nothing", zone{}, both, []string{
			"; desk.example. IN A <", "; desk.example. IN AAAA <", ";   it has no address; browsers do not find it", ";   -> add one of these records",
			"_xmpp-client._tcp.desk.example. IN SRV 0 5 5222 desk.example.", ";   not found: clients do not know about port 5222", ";   -> add this record",
			"_xmpps-client._tcp.desk.example. IN SRV 0 5 5223 desk.example.", ";   not found: clients do not know about port 5223",
		}, "3"},
		{"an address alone", zone{a: map[string][]string{"desk.example.": {"192.0.2.5"}}}, "listen.starttls=127.0.0.1:5222 listen.tls=", []string{
			"_xmpp-client._tcp.desk.example. IN SRV 0 5 5222 desk.example.", ";   not found; clients try port 5222 of desk.example then",
		}, ""},
		{"an address alone, and another port", zone{a: map[string][]string{"desk.example.": {"192.0.2.5"}}}, "listen.starttls=127.0.0.1:5999 listen.tls=", []string{
			"_xmpp-client._tcp.desk.example. IN SRV 0 5 5999 desk.example.", ";   not found: clients do not know about port 5999",
		}, "1"},
		{"another port, and a target without an address", zone{
			a:   map[string][]string{"desk.example.": {"192.0.2.5"}, "xmpp.desk.example.": nil},
			srv: map[string][]dnsmessage.SRVResource{"_xmpps-client._tcp.desk.example.": srv("xmpp.desk.example.", 443)},
		}, "listen.starttls= listen.tls=[\"127.0.0.1:5223\",\"127.0.0.1:5999\"]", []string{
			"_xmpps-client._tcp.desk.example. IN SRV 0 5 443 xmpp.desk.example.", ";   found, but no listener for it has port 443",
			";   -> put port 5223 or 5999 in its place", ";   xmpp.desk.example. has no address", ";   -> add A or AAAA records for it",
		}, "2"},
		{"a target elsewhere", zone{
			a:   map[string][]string{"desk.example.": {"192.0.2.5"}, "xmpp.desk.example.": {"127.0.0.1"}},
			srv: map[string][]dnsmessage.SRVResource{"_xmpps-client._tcp.desk.example.": srv("xmpp.desk.example.", 5223)},
		}, "listen.starttls= listen.tls=127.0.0.1:5223", []string{
			";   found", "; xmpp.desk.example. has 127.0.0.1", ";   found, but it leads nobody here from elsewhere",
		}, "1"},
		{"what is switched off", zone{
			a:   map[string][]string{"desk.example.": {"192.0.2.5"}},
			srv: map[string][]dnsmessage.SRVResource{"_xmpp-client._tcp.desk.example.": srv("desk.example.", 5222), "_xmpps-client._tcp.desk.example.": srv("desk.example.", 5223)},
		}, "listen.starttls= listen.tls=127.0.0.1:5223", []string{
			"_xmpp-client._tcp.desk.example. IN SRV 0 0 0 .", "; _xmpp-client._tcp.desk.example. IN SRV 0 5 5222 desk.example.",
			";   found the second, but no listener is for it", ";   -> remove it",
		}, "1"},
		{"what is said not to be", zone{
			a:   map[string][]string{"desk.example.": {"192.0.2.5"}},
			srv: map[string][]dnsmessage.SRVResource{"_xmpp-client._tcp.desk.example.": srv(".", 0), "_xmpps-client._tcp.desk.example.": srv(".", 0)},
		}, "listen.starttls= listen.tls=127.0.0.1:5223", []string{
			"_xmpps-client._tcp.desk.example. IN SRV 0 5 0 .", ";   found; it says that there is no such service", ";   -> put port 5223 and desk.example. in its place",
		}, "1"},
		{"no answer", zone{fail: map[string]bool{"desk.example.": true, "_xmpp-client._tcp.desk.example.": true, "_xmpps-client._tcp.desk.example.": true}}, both, []string{
			";   it could not be looked up: ", ";   -> ask again later, or another server with -resolver",
			"; _xmpp-client._tcp.desk.example. IN SRV", ";   it could not be looked up: ",
		}, "3"},
		{"names of [hosts]", zone{
			a:   map[string][]string{"desk.example.": {"192.0.2.5"}, "api.desk.example.": {"192.0.2.5"}},
			srv: map[string][]dnsmessage.SRVResource{"_xmpps-client._tcp.desk.example.": srv("desk.example.", 5223)},
		}, "listen.starttls= listen.tls=127.0.0.1:5223 hosts.api=https://api.desk.example:8443 hosts.console=https://desk.example:8443 hosts.files=https://files.example", []string{
			"; api.desk.example", "api.desk.example. IN A 192.0.2.5", "; certificate for api.desk.example: there is one until ",
			"; files.example", ";   it has no address; browsers do not find it", ";   no certificate for files.example", ";   -> add one as [[certificate]]",
		}, "2"},
		{"one port for all", zone{
			a:   map[string][]string{"desk.example.": {"192.0.2.5"}},
			srv: map[string][]dnsmessage.SRVResource{"_xmpps-client._tcp.desk.example.": srv("desk.example.", 443)},
		}, `listen.starttls= listen.tls= listen.https= listener=[{address="127.0.0.1:443",for="any"}]`, []string{
			"_xmpps-client._tcp.desk.example. IN SRV 0 5 443 desk.example.", ";   found", "; certificate for desk.example",
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, config := quickstarted(t, "desk.example")
			args := []string{"check", "-config", config, "-dns", "-resolver", c.zone.serve(t)}
			for _, s := range strings.Fields(c.set) {
				args = append(args, "-set", s)
			}
			data, prose, err := typed(t, "", args...)
			rest := data
			for _, want := range c.lines {
				_, after, found := strings.Cut(rest, "\n"+want)
				if !found {
					t.Fatalf("got\n%s\nwant in it, in this place: %s", data, want)
				}
				rest = "\n" + after
			}
			if wrong := "differences between DNS and this configuration: " + c.wrong + "\n"; c.wrong == "" && err != nil || c.wrong != "" && (exitCode(err) != 1 || !strings.Contains(prose, wrong)) {
				t.Errorf("%v: %s\n%s", err, prose, data)
			}
		})
	}
}

// A server for DNS that is not there, or not a server, is told as such.
func TestCheckDNSWithoutServer(t *testing.T) {
	t.Parallel()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := c.LocalAddr().String()
	c.Close()
	_, config := quickstarted(t, "desk.example")
	data, _, err := typed(t, "", "check", "-config", config, "-dns", "-resolver", addr)
	if exitCode(err) != 1 || strings.Count(data, "it could not be looked up: ") != 3 {
		t.Errorf("%v: %s", err, data)
	}
}
