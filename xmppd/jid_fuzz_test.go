package xmppd

import (
	"strings"
	"testing"

	"mellium.im/xmpp/jid"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
)

// FuzzResolve holds the routing of addresses to RFC 7622: whatever stands in a 'to' or
// 'from' has one meaning, the same in each of its spellings.
func FuzzResolve(f *testing.F) {
	for _, local := range []string{
		"", "anna", "ANNA", "ａｎｎａ", "jürgen", "ju\u0308rgen", "JÜRGEN", "ΑΣ", "ας", "ß", "ſ", "ﬀ", "İ", "a b", "a&b", "\u200d", "\xff", "\x00", "ا", "аnna",
		"a.b", "@", strings.Repeat("a", 1023), strings.Repeat("a", 1024), strings.Repeat("Å", 511), strings.Repeat("A\u030a", 600),
	} {
		for _, rest := range []string{
			"@desk.example", "@desk.example/laptop", "@DESK.example/laptop", "@desk.example.", "@desk.example/", "@desk.example/a@b/c", "@desk.example/ ",
			"@desk.example/\u3000x", "@desk.example/e\u0301", "@desk.example/\u202e", "@desk.example/\x00", "@shop.example", "@@desk.example", "@", "", "/laptop",
			"@desk.example/" + strings.Repeat("r", 1023), "@desk.example/" + strings.Repeat("r", 1024), "@desk。example", "@xn--desk.example", "@[::1]/x",
		} {
			f.Add(local + rest)
		}
	}
	f.Add("desk.example")
	f.Add("desk.example/laptop")
	f.Add(strings.Repeat("d", 1024))
	f.Fuzz(func(t *testing.T, text string) {
		a := &account{server: &Server{}, id: "desk", domain: "desk.example", agents: make(map[string]*agent)}
		j, err := jid.Parse(text)
		for _, name := range []string{"anna", j.Localpart()} { // whoever is meant exists
			if name != "" {
				a.agents[name] = a.newTestAgent(store.AgentID(len(a.agents)+1), name)
			}
		}
		s := newSession(a.agents["anna"], "laptop")
		resolves(t, s, text, j, err)
		if mine := s.isFrom([]byte(text)); mine != (err == nil && (j.String() == s.address || j.String() == s.agent.bare)) {
			t.Errorf("isFrom(%q) = %v, parsed as %q, %v", text, mine, j, err)
		}
	})
}

// resolves checks where a 'to' leads, which is j, unless err says that it is no JID.
func resolves(t *testing.T, s *Session, text string, j jid.JID, err error) {
	got := s.resolve(text)
	if seen := s.target([]byte(text)); len(text) <= maxAddress && *describe(seen) != *describe(got) || len(text) > maxAddress && seen.place != im.Malformed {
		t.Errorf("target(%q) = %+v, and resolve %+v", text, *describe(seen), *describe(got))
	}
	domain := s.agent.account.domain
	want := description{to: text, place: im.Nobody}
	switch {
	case text == "":
		want.place = im.Domain
	case err != nil:
		want.place = im.Malformed
	case j.Domainpart() != domain:
		want.place = im.Foreign
	case j.Localpart() == "":
		want.place = im.Domain
	default:
		want.agent, want.resource = j.Localpart()+"@"+domain, j.Resourcepart()
	}
	if *describe(got) != want {
		t.Errorf("resolve(%q) = %+v, want %+v", text, *describe(got), want)
	}
	if got.agent == nil {
		return
	}
	// RFC 7622 §3.1: each part of 1 to 1023 bytes. One that is no prepared JID any more
	// would be stored, and be refused when it is read again.
	prepared := got.agent.bare
	if got.resource != "" {
		prepared += "/" + got.resource
	}
	if len(j.Localpart()) > 1023 || len(j.Resourcepart()) > 1023 || prepared != j.String() || prepared != got.address {
		t.Errorf("resolve(%q) leads to %q, parsed as %q", text, prepared, j)
	}
	again, err := jid.Parse(prepared)
	if err != nil || again.String() != prepared {
		t.Errorf("resolve(%q) leads to %q, which is %q, %v", text, prepared, again, err)
	}
	if other := s.resolve(prepared); other.agent != got.agent || other.resource != got.resource {
		t.Errorf("resolve(%q) leads to %q, and that to %+v", text, prepared, *describe(other))
	}
}

// A description is a target as values that can be compared.
type description struct {
	to, agent, resource string
	place               im.Place
}

func describe(t *target) *description {
	d := &description{to: t.to, resource: t.resource, place: t.place}
	if t.agent != nil {
		d.agent = t.agent.bare
	}
	return d
}
