package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley.im/parley/xmppd/xmpptest"
)

// TestMinglersAgree lets agents add, name, remove, ask, grant, refuse, come and go at
// random, with the server restarted now and then. When all is quiet both sides of every
// subscription agree (rule 27), whoever waits for an answer is shown to who can give it
// (rule 28), the pushes that a device got have made its roster the server's, version
// and all (rules 25 and 26), and each device knows exactly who is available of those
// whom it may see (rules 29 and 31).
func TestMinglersAgree(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		for _, grouped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/colleagues=%t", seed, grouped), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { mingle(t, seed, grouped) })
			})
		}
	}
}

var minglers = []string{"anna", "bob", "carol", "dave"}

func mingle(t *testing.T, seed uint64, grouped bool) {
	talk := &xmpptest.Talk{Config: fmt.Sprintf("[roster]\ncolleagues = %t\n\n[resume]\nfor = '2s'\n", grouped)}
	for _, name := range minglers {
		talk.Cast = append(talk.Cast, xmpptest.Person{Name: name, Role: "agent", Domain: "desk.example", Password: "correct horse"})
	}
	s := newTalkServer(t, talk)
	var all []*mingler
	for i, name := range minglers {
		for k := range 3 {
			all = append(all, newMingler(t, s, name, fmt.Sprint("device", k), rand.New(rand.NewPCG(seed, uint64(10*i+k)))))
		}
	}
	for round := range 4 {
		var wg sync.WaitGroup
		for _, m := range all {
			wg.Go(func() { m.live(40) })
		}
		wg.Wait()
		<-time.After(5 * time.Second) // pretended: it passes when nobody has anything left to do
		for _, m := range all {
			m.collect()
		}
		compare(t, s, all)
		if round%2 == 0 {
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A mingler is a device that keeps its roster over sign-ins, as clients do, and resumes
// its session, if it has one that can be (XEP-0198 §5).
type mingler struct {
	t              *testing.T
	rng            *rand.Rand
	login          login
	name, resource string

	roster map[string]*tree // items by JID
	ver    string

	j        *jabber
	ids      int      // given
	stream   string   // under which it can be resumed; "" without stream management
	received uint32   // stanzas, since <enabled/>
	out      []string // sent, and not acknowledged
	handled  uint32   // of ours, as the server said last

	interested bool // asked for the roster in this session
	available  bool
	asking     map[string]bool // the ids of iqs that ask for the roster
	initial    string          // the id of initial presence that has not come back
	sees       map[string]bool // full JIDs
	asked      map[string]bool // who has asked in this session
}

func newMingler(t *testing.T, s *talkServer, name, resource string, rng *rand.Rand) *mingler {
	return &mingler{
		t: t, rng: rng, name: name, resource: resource, roster: make(map[string]*tree),
		login: login{
			dial:  func(ctx context.Context) (net.Conn, error) { return s.net.dial(ctx, talkTLS) },
			roots: s.Roots(), domain: "desk.example", name: name, password: "correct horse", resource: resource,
		},
	}
}

// live does so many things at random.
func (m *mingler) live(steps int) {
	for range steps {
		<-time.After(time.Duration(m.rng.IntN(20)) * time.Millisecond)
		m.collect()
		if m.j == nil {
			m.come()
			continue
		}
		other := minglers[m.rng.IntN(len(minglers))] + "@desk.example"
		switch n := m.rng.IntN(100); {
		case n < 45:
			m.send("<presence type='%s' to='%s'/>", []string{"subscribe", "subscribed", "unsubscribe", "unsubscribed"}[m.rng.IntN(4)], other)
		case n < 55:
			groups := []string{"", "<group>Tea</group>", "<group>Tea</group><group>Colleagues</group>"}[m.rng.IntN(3)]
			m.set("<item jid='%s' name='%s%d'>%s</item>", other, m.name, m.rng.IntN(9), groups)
		case n < 58:
			m.set("<item jid='%s' subscription='remove'/>", other)
		case n < 60:
			m.set("<item jid='shop%d@elsewhere.example'/>", m.rng.IntN(3))
		case n < 75:
			m.show()
		case n < 80:
			m.send("<presence type='unavailable'/>")
			m.available, m.initial = false, ""
		case n < 88:
			m.get()
		case n < 91:
			m.j.send("</stream:stream>")
			m.stream = ""
			m.cut()
		case n < 95:
			m.cut()
		}
	}
}

// cut cuts the line.
func (m *mingler) cut() {
	m.j.drop()
	m.collect()
	m.lost()
}

// lost is what is left when the line is cut.
func (m *mingler) lost() {
	m.j = nil
	if m.stream == "" {
		m.forget()
	}
}

// forget ends a session.
func (m *mingler) forget() {
	m.stream, m.received, m.out, m.handled = "", 0, nil, 0
	m.interested, m.available, m.asking, m.initial = false, false, make(map[string]bool), ""
	m.sees, m.asked = make(map[string]bool), make(map[string]bool)
}

// come signs in, into the old session if there is one.
func (m *mingler) come() {
	if m.stream != "" && m.rng.IntN(4) > 0 && m.resume() {
		return
	}
	m.forget()
	j, err := m.login.try(m.t)
	if err != nil {
		m.t.Errorf("%s/%s signs in: %v", m.name, m.resource, err)
		return
	}
	m.j = j
	if m.rng.IntN(2) == 0 {
		return
	}
	m.j.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	if e := j.answer(); e != nil && e.name.Local == "enabled" {
		m.stream = e.attr("id")
	}
}

func (m *mingler) resume() bool {
	j := m.login.unbound(m.t)
	if j == nil {
		return false
	}
	j.send("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", m.stream, m.received)
	e := j.answer()
	if e == nil || e.name.Local != "resumed" {
		j.drop()
		return false
	}
	j.bare = m.name + "@desk.example"
	j.jid = j.bare + "/" + m.resource
	m.acknowledged(e.attr("h"))
	m.j = j
	for _, stanza := range m.out {
		j.send("%s", stanza)
	}
	return true
}

// acknowledged takes the server's count.
func (m *mingler) acknowledged(h string) {
	n, err := strconv.ParseUint(h, 10, 32)
	count := uint32(n) - m.handled
	if err != nil || int(count) > len(m.out) {
		m.t.Errorf("%s/%s: h is %q after %d, but %d stanzas are out", m.name, m.resource, h, m.handled, len(m.out))
		return
	}
	m.handled, m.out = uint32(n), m.out[count:]
}

// send sends a stanza.
func (m *mingler) send(format string, args ...any) {
	stanza := fmt.Sprintf(format, args...)
	if m.stream != "" {
		m.out = append(m.out, stanza)
	}
	m.j.send("%s", stanza)
}

func (m *mingler) id() string {
	m.ids++
	return "id-" + strconv.Itoa(m.ids)
}

func (m *mingler) set(item string, args ...any) {
	m.send("<iq type='set' id='%s'><query xmlns='jabber:iq:roster'>%s</query></iq>", m.id(), fmt.Sprintf(item, args...))
}

// get asks for the roster with the version that it has.
func (m *mingler) get() {
	id := m.id()
	m.asking[id] = true
	m.send("<iq type='get' id='%s'><query xmlns='jabber:iq:roster' ver='%s'/></iq>", id, m.ver)
}

// show sends presence, initial or not.
func (m *mingler) show() {
	id := m.id()
	if !m.available {
		m.available, m.initial = true, id
	}
	m.send("<presence id='%s'><priority>%d</priority></presence>", id, m.rng.IntN(3)-1)
}

// collect takes what has come.
func (m *mingler) collect() {
	for m.j != nil {
		select {
		case e := <-m.j.got:
			if e == nil {
				m.j.drop()
				m.lost()
				return
			}
			m.take(e)
		default:
			return
		}
	}
}

func (m *mingler) take(e *tree) {
	query := e.child("query")
	if m.stream != "" && e.name.Space == "jabber:client" {
		m.received++
	}
	switch {
	case e.name.Local == "a":
		m.acknowledged(e.attr("h"))
	case e.name.Local == "presence":
		m.takePresence(e)
	case e.name.Local != "iq":
	case e.attr("type") == "set" && query != nil:
		if !m.interested {
			m.t.Errorf("%s/%s got a push without having asked: %s", m.name, m.resource, e)
		}
		m.apply(query.child("item"))
		m.ver = query.attr("ver")
	case m.asking[e.attr("id")]:
		m.interested = true
		if query == nil {
			return // it has the present one
		}
		clear(m.roster)
		for _, k := range query.kids {
			m.apply(k.(*tree))
		}
		m.ver = query.attr("ver")
	}
}

func (m *mingler) apply(item *tree) {
	if item.attr("subscription") == "remove" {
		delete(m.roster, item.attr("jid"))
		return
	}
	m.roster[item.attr("jid")] = item
}

func (m *mingler) takePresence(e *tree) {
	from := e.attr("from")
	switch e.attr("type") {
	case "":
		if e.attr("id") == m.initial && m.initial != "" && from == m.j.jid {
			m.initial = ""
			clear(m.sees) // the server says all from here on
		}
		m.sees[from] = true
	case "unavailable":
		delete(m.sees, from)
	case "subscribe":
		m.asked[from] = true
	}
}

// compare looks at all when nothing moves.
func compare(t *testing.T, s *talkServer, all []*mingler) {
	t.Helper()
	present := make(map[string][]string) // available devices by bare JID
	for _, m := range all {
		if m.j != nil && m.available {
			present[m.j.bare] = append(present[m.j.bare], m.j.jid)
		}
	}
	truth := make(map[string]*mingler) // a fresh look, by bare JID
	for _, name := range minglers {
		m := newMingler(t, s, name, "fresh", rand.New(rand.NewPCG(0, 0)))
		m.come()
		m.get()
		m.settle()
		truth[m.j.bare] = m
	}
	for bare, m := range truth {
		for other, o := range truth {
			mine, theirs := m.roster[other].attr("subscription"), o.roster[bare].attr("subscription")
			if (mine == "to" || mine == "both") != (theirs == "from" || theirs == "both") {
				t.Errorf("%s has %q of %s, who has %q", bare, mine, other, theirs)
			}
		}
	}
	for _, d := range all {
		if d.j == nil {
			continue
		}
		fresh := truth[d.j.bare]
		if d.interested && (fmt.Sprint(d.roster) != fmt.Sprint(fresh.roster) || d.ver != fresh.ver) {
			t.Errorf("%s has %v (%s), the server %v (%s)", d.j.jid, d.roster, d.ver, fresh.roster, fresh.ver)
		}
		if !d.available {
			continue
		}
		want := slices.Clone(present[d.j.bare])
		for other := range truth {
			if s := fresh.roster[other].attr("subscription"); s == "to" || s == "both" {
				want = append(want, present[other]...)
			}
		}
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(d.sees)); !slices.Equal(got, want) {
			t.Errorf("%s sees %v, want %v", d.j.jid, got, want)
		}
	}
	// Whoever asks is shown, once somebody is there to answer.
	for bare, m := range truth {
		m.show()
		m.settle()
		var want []string
		for other, o := range truth {
			if o.roster[bare].attr("ask") != "" {
				want = append(want, other)
			}
		}
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(m.asked)); !slices.Equal(got, want) {
			t.Errorf("%s is asked by %v, want %v", bare, got, want)
		}
	}
	for _, m := range truth {
		m.stream = ""
		m.cut()
	}
	<-time.After(3 * time.Second)
	for _, m := range all {
		m.collect() // those came and went
	}
}

// settle takes all that comes until nothing more does.
func (m *mingler) settle() {
	<-time.After(time.Second)
	m.collect()
}
