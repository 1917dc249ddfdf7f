package xmppd

import (
	"strings"
	"testing"

	"mellium.im/xmpp/jid"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// A client's resource is the same whenever it comes, another for every client, for every
// agent and for every tag, and never tells the client's id (XEP-0386 §3.2.1; rule 7).
func TestResourceOfAClient(t *testing.T) {
	const id = "d4565fa7-4d72-4749-b3d3-740edbf87770"
	const anna = "anna@desk.example"
	r := resourceFor(anna, "Teapot", id)
	if again := resourceFor(anna, "Teapot", id); again != r {
		t.Errorf("%q, and then %q", r, again)
	}
	if !strings.HasPrefix(r, "Teapot/") || strings.Contains(r, id) || len(r) < len("Teapot/")+20 {
		t.Errorf("the resource is %q", r)
	}
	seen := map[string]bool{r: true}
	for _, other := range []string{
		resourceFor(anna, "Teapot", ""), resourceFor(anna, "Teapot", ""), resourceFor(anna, "", id), resourceFor(anna, "Kettle", id),
		resourceFor("bob@desk.example", "Teapot", id), resourceFor(anna, strings.Repeat("x", maxTag+1), id+"x"), resourceFor(anna, "\u0007", id+"y"),
	} {
		if seen[other] {
			t.Errorf("%q twice", other)
		}
		seen[other] = true
		if j, err := jid.Parse(anna + "/" + other); err != nil || j.Resourcepart() != other {
			t.Errorf("%q: %v", other, err)
		}
	}
}

// Whatever stands in a request, it is one or it is refused, and its session can have a name.
func FuzzWanted(f *testing.F) {
	f.Add("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-256'><initial-response>biws</initial-response><user-agent id='1'/>" +
		"<bind xmlns='urn:xmpp:bind:0'><tag>x</tag><enable xmlns='urn:xmpp:sm:3' resume='1'/></bind><resume xmlns='urn:xmpp:sm:3' previd='a' h='1'/></authenticate>")
	f.Add("<authenticate xmlns='urn:xmpp:sasl:2'><bind xmlns='urn:xmpp:bind:0'><tag><tag/>&#x20;</tag></bind><bind xmlns='urn:xmpp:bind:0'/></authenticate>")
	f.Add("<authenticate xmlns='urn:xmpp:sasl:2'><initial-response>===</initial-response></authenticate>")
	f.Fuzz(func(t *testing.T, text string) {
		st, err := wire.Parse([]byte(text), wire.Limits{Bytes: 10 << 10})
		if err != nil {
			return
		}
		w, _, err := parseWanted(st)
		if err != nil || w.bind == nil {
			return
		}
		if _, err := jid.New("anna", "desk.example", resourceFor("anna@desk.example", w.bind.Tag, w.client)); err != nil {
			t.Errorf("tag %q: %v", w.bind.Tag, err)
		}
	})
}

// A sign-in that a programmer's mistake breaks off (here: an account without a store, whose
// archive is asked for) leaves no session behind that would never end.
func TestABrokenSignInLeavesNoSession(t *testing.T) {
	server := newTestServer(t, testLimits)
	g := newTestAgent(server, "anna")
	g.delivery = im.NewDelivery(store.Delivery{}, 0)
	_, n := newLine(t, g)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("nothing was broken")
			}
			server.drop(n.raw)
		}()
		_, _ = n.proceed(&wanted{client: "c", bind: &bindRequest{}})
	}()
	if list := g.list(); len(list) > 0 {
		t.Errorf("%d sessions are left", len(list))
	}
}

// A session has what was asked for with it from its first moment on.
func TestASessionIsWholeWhenOthersSeeIt(t *testing.T) {
	server := newTestServer(t, testLimits)
	g := newTestAgent(server, "anna")
	g.delivery = im.NewDelivery(store.Delivery{}, 0)
	first := g.away("first") // so that what is known of her stays known
	_, n := newLine(t, g)
	overAndOver(t, func() {
		for _, s := range g.list() {
			if s != first && !s.wantsCopies() && s.isThere() {
				t.Error("a session without its copies")
			}
			s.push(testStanza(50))
		}
	})
	for range 20 {
		s, err := n.bind2(&wanted{client: "c", bind: &bindRequest{Carbons: &struct{}{}, Inactive: &struct{}{}}})
		if err != nil {
			t.Fatal(err)
		}
		s.gone()
	}
}

// isThere says that the session has not ended, nor been cut off.
func (s *Session) isThere() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.ended && !s.cut
}
