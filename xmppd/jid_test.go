package xmppd

import (
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
)

// deskOf is a server with an account of that domain and Anna's laptop in it; whoever
// else is named there exists.
func deskOf(t *testing.T, domain string, names ...string) *Session {
	t.Helper()
	s := newTestServer(t, testLimits)
	a := &account{server: s, id: "desk", domain: domain, log: s.log, agents: make(map[string]*agent)}
	for i, name := range append([]string{"anna"}, names...) {
		a.agents[name] = a.newTestAgent(store.AgentID(i+1), name)
	}
	s.accounts[domain] = a
	return newSession(a.agents["anna"], "laptop")
}

// Rule 8: an address means the same in each of its spellings (RFC 7622 §3). Those that
// mean nobody are no addresses, or somebody else's.
func TestSpellingsOfAnAddress(t *testing.T) {
	const malformed, foreign, server, nobody = "malformed", "foreign", "server", "nobody"
	long := strings.Repeat("a", 1023)
	s := deskOf(t, "bücher.example", "jürgen", "ß", long)
	for _, c := range []struct{ to, want string }{
		// The localpart: case and width count for nothing, and neither does how a letter
		// is composed (RFC 7622 §3.3.1).
		{"anna@bücher.example", "anna@bücher.example"},
		{"ANNA@bücher.example", "anna@bücher.example"},
		{"ａＮＮa@bücher.example", "anna@bücher.example"},
		{"ju\u0308rgen@bücher.example", "jürgen@bücher.example"},
		{"JÜRGEN@bücher.example", "jürgen@bücher.example"},
		{"ß@bücher.example", "ß@bücher.example"},
		{"ss@bücher.example", nobody},
		{"аnna@bücher.example", nobody}, // a Cyrillic а
		{"an na@bücher.example", malformed},
		{" anna@bücher.example", malformed},
		{"anna @bücher.example", malformed},
		{"an\u200bna@bücher.example", malformed},
		{"an\u00adna@bücher.example", malformed},
		{"an\u200dna@bücher.example", malformed},
		{"ﬁ@bücher.example", malformed},
		{"o'brien@bücher.example", malformed},
		{"a&b@bücher.example", malformed},
		{"a<b@bücher.example", malformed},
		{"@bücher.example", malformed},
		{"\xff@bücher.example", malformed},

		// The domain: case, the last dot, and whether its labels are written for people or
		// for DNS count for nothing (RFC 7622 §3.2).
		{"anna@BÜCHER.Example", "anna@bücher.example"},
		{"anna@bücher.example.", "anna@bücher.example"},
		{"anna@bu\u0308cher.example", "anna@bücher.example"},
		{"anna@ｂücher.example", "anna@bücher.example"},
		{"anna@bücher。example", "anna@bücher.example"},
		{"anna@xn--bcher-kva.example", "anna@bücher.example"},
		{"anna@XN--BCHER-KVA.EXAMPLE.", "anna@bücher.example"},
		{"anna@bucher.example", foreign},
		{"anna@buecher.example", foreign},
		{"anna@bücher.example..", foreign},
		{"anna@sub.bücher.example", foreign},
		{"anna@bücher.example ", malformed},
		{"anna@ bücher.example", malformed},
		{"anna@bü_cher.example", malformed},
		{"anna@", malformed},
		{"bücher.example", server},
		{"xn--bcher-kva.example.", server},
		{"", server},

		// The resource: case and width count, kinds of spaces don't (RFC 7622 §3.4.1).
		{"ANNA@bücher.example/Laptop", "anna@bücher.example/Laptop"},
		{"anna@bücher.example/ｌaptop", "anna@bücher.example/ｌaptop"},
		{"anna@bücher.example/my\u00a0laptop", "anna@bücher.example/my laptop"},
		{"anna@bücher.example/my\u3000laptop", "anna@bücher.example/my laptop"},
		{"anna@bücher.example/e\u0301", "anna@bücher.example/é"},
		{"anna@bücher.example/a@b/c", "anna@bücher.example/a@b/c"},
		{"anna@bücher.example/", malformed},
		{"anna@bücher.example/\u200d", malformed},
		{"anna@bücher.example/a\u0000", malformed},
		{"anna@bücher.example/\xff", malformed},

		// Each part has 1,023 bytes at most, as it is prepared (RFC 7622 §3.1).
		{long + "@bücher.example", long + "@bücher.example"},
		{strings.ToUpper(long) + "@bücher.example", long + "@bücher.example"},
		{long + "a@bücher.example", malformed},
		{"anna@bücher.example/" + long, "anna@bücher.example/" + long},
		{"anna@bücher.example/" + long + "a", malformed},
		{"anna@bücher.example/" + strings.Repeat("e\u0301", 341), "anna@bücher.example/" + strings.Repeat("é", 341)},
		{"anna@bücher.example/" + strings.Repeat("é", 512), malformed},
		{"anna@" + strings.Repeat("b.", 511) + "b", foreign},
		{"anna@" + strings.Repeat("b.", 512) + "b", malformed},
		{"anna@bücher.example/" + strings.Repeat("e\u0301", 3000), malformed},
	} {
		target := s.target([]byte(c.to))
		got := target.address
		switch {
		case target.place == im.Malformed:
			got = malformed
		case target.place == im.Foreign:
			got = foreign
		case target.place == im.Domain:
			got = server
		case target.agent == nil:
			got = nobody
		case target.agent.name != strings.Split(got, "@")[0]:
			t.Errorf("%.80q leads to %.40q and %.40q", c.to, got, target.agent.name)
		}
		if got != c.want {
			t.Errorf("%.80q leads to %.80q, want %.80q", c.to, got, c.want)
		}
		// Who an element claims to be made by is compared in the same way (rule 39).
		if owned := s.agent.account.owns([]byte(c.to)); owned != !slices.Contains([]string{malformed, foreign, ""}, c.want) && c.to != "" {
			t.Errorf("owns(%.80q) = %t, and it leads to %.80q", c.to, owned, c.want)
		}
		// And so is whose stanza it is (rule 1).
		if mine := s.isFrom([]byte(c.to)); mine != (c.want == "anna@bücher.example") {
			t.Errorf("isFrom(%.80q) = %t, and it leads to %.80q", c.to, mine, c.want)
		}
	}
}

// Rule 8: a stream may name its domain in any spelling, and no other.
func TestSpellingsOfADomain(t *testing.T) {
	s := deskOf(t, "bücher.example").server
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l, false) }()
	for to, known := range map[string]bool{
		"bücher.example": true, "BÜCHER.example.": true, "xn--bcher-kva.example": true, "XN--bcher-KVA.example": true,
		"bucher.example": false, "bücher.example ": false, "": false, "bücher.example..": false, "xn--bcher-kvb.example": false,
	} {
		ours, theirs := net.Pipe()
		l.conns <- theirs
		if err := ours.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		go io.WriteString(ours, "<stream:stream to='"+to+"' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'></stream:stream>")
		answer, err := io.ReadAll(ours)
		if err != nil || strings.Contains(string(answer), "<starttls") != known || strings.Contains(string(answer), "host-unknown") == known {
			t.Errorf("to %q: %s, %v, want it known: %t", to, answer, err, known)
		}
		ours.Close()
	}
	l.Close()
	<-served
}
