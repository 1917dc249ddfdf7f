package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley.im/parley/xmppd/xmpptest"
)

// TestRoamersLoseNothing lets devices sign in, talk, go, come back, resume and take
// each other's names at random, with the server restarted now and then. Rules 6, 23
// and 31 to 36: what was acknowledged is in the archive once, what is in the archive
// has reached a device, and what a device has acknowledged is not offered again.
func TestRoamersLoseNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { roam(t, seed) })
		})
	}
}

func roam(t *testing.T, seed uint64) {
	talk := &xmpptest.Talk{}
	for _, name := range []string{"anna", "bob", "carol"} {
		talk.Cast = append(talk.Cast, xmpptest.Person{Name: name, Role: "agent", Domain: "desk.example", Password: "correct horse"})
	}
	s := newTalkServer(t, talk)
	w := &roamers{t: t, server: s, got: make(map[string]map[string]int), kept: make(map[string]string)}
	for i, p := range talk.Cast {
		w.got[p.Name] = make(map[string]int)
		for k := range 3 {
			w.all = append(w.all, &roamer{
				world: w, rng: rand.New(rand.NewPCG(seed, uint64(10*i+k))), name: p.Name, number: k,
				login: login{
					dial:   func(ctx context.Context) (net.Conn, error) { return s.net.dial(ctx, talkTLS) },
					roots:  s.Roots(),
					domain: p.Domain, name: p.Name, password: p.Password,
				},
			})
		}
	}
	rng := rand.New(rand.NewPCG(seed, 1000))
	for range 4 {
		var wg sync.WaitGroup
		for _, r := range w.all {
			wg.Go(func() { r.live(25) })
		}
		wg.Wait()
		if rng.IntN(2) == 0 {
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, r := range w.all {
		r.settle()
	}
	<-time.After(11 * time.Minute) // who has not come back by now is given up
	for _, p := range talk.Cast {
		w.check(p.Name)
	}
}

// roamers are all devices, and what is known of what they said.
type roamers struct {
	t      *testing.T
	server *talkServer
	all    []*roamer

	mu   sync.Mutex                // guards what follows
	got  map[string]map[string]int // by agent and message: how often it came to a device
	kept map[string]string         // acknowledged messages and who they are for
}

// arrived notes that a message came to a device of an agent's.
func (w *roamers) arrived(agent, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got[agent][id]++
}

// check looks at one agent when all is quiet.
func (w *roamers) check(agent string) {
	i := slices.IndexFunc(w.all, func(r *roamer) bool { return r.name == agent })
	last := &roamer{world: w, rng: w.all[i].rng, name: agent, number: 8, login: w.all[i].login}
	last.signIn("last", true)
	last.available("")
	last.settle()
	archive := make(map[string]int)
	reader := &roamer{world: w, rng: last.rng, name: agent, number: 9, login: last.login}
	reader.signIn("reader", false)
	for _, m := range reader.j.archive() {
		if to, _, _ := strings.Cut(m.attr("to"), "/"); to == agent+"@desk.example" {
			archive[m.attr("id")]++
		}
	}
	reader.j.drop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, n := range archive {
		if n != 1 {
			w.t.Errorf("%s has %s %d times in her archive", agent, id, n)
		}
		if w.got[agent][id] == 0 {
			w.t.Errorf("%s was never given %s", agent, id)
		}
	}
	for id, to := range w.kept {
		if to == agent && archive[id] == 0 {
			w.t.Errorf("%s was acknowledged, but is not in %s's archive", id, agent)
		}
	}
	w.mu.Unlock()
	defer w.mu.Lock()
	fresh := &roamer{world: w, rng: last.rng, name: agent, number: 10, login: last.login}
	fresh.signIn("fresh", true)
	fresh.available("")
	fresh.collect()
	for id := range fresh.seen {
		w.t.Errorf("%s got %s again, after it was acknowledged", agent, id)
	}
	fresh.close()
}

// A roamer is a device that comes and goes.
type roamer struct {
	world  *roamers
	rng    *rand.Rand
	name   string
	number int
	login  login
	said   int

	j         *jabber
	resource  string
	stream    string          // the id under which it can be resumed; "" without stream management
	counting  bool            // since <enabled/>
	received  uint32          // stanzas
	confirmed uint32          // of these, acknowledged
	seen      map[string]bool // messages received in this session, and whether acknowledged
	out       []outStanza     // sent and not acknowledged, in order
	handled   uint32          // of ours, as the server said last
}

// outStanza is a stanza on its way; id is "" for what is no message.
type outStanza struct {
	id, to, stanza string
	at             time.Time
}

func (r *roamer) pause(d time.Duration) { <-time.After(d) }

// live does so many things at random.
func (r *roamer) live(steps int) {
	for range steps {
		r.pause(time.Duration(r.rng.IntN(50)) * time.Millisecond)
		if r.rng.IntN(3) > 0 {
			r.collect()
		}
		if r.j == nil {
			r.come()
			continue
		}
		switch n := r.rng.IntN(100); {
		case n < 55:
			r.say()
		case n < 61:
			r.available("")
		case n < 63:
			r.available("<priority>-1</priority>")
		case n < 65:
			r.send(outStanza{stanza: "<presence type='unavailable'/>"})
		case n < 68: // XEP-0352: these are no stanzas
			r.write([]string{"<inactive xmlns='urn:xmpp:csi:0'/>", "<active xmlns='urn:xmpp:csi:0'/>"}[r.rng.IntN(2)])
		case n < 78:
			r.acknowledge()
		case n < 82 && r.counting:
			r.write("<r xmlns='urn:xmpp:sm:3'/>")
		case n < 83:
			r.send(outStanza{stanza: "<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>5</max><before/></set></query></iq>"})
		case n < 92:
			r.drop()
		case n < 94:
			r.close()
		case n < 95:
			r.pause(time.Duration(r.rng.IntN(400)) * time.Second)
		}
	}
}

// come signs in: into the old session, if there is one, or a new one.
func (r *roamer) come() {
	if r.stream != "" && r.rng.IntN(4) > 0 {
		r.resume()
		return
	}
	names := []string{"one", "two", "three"}
	r.signIn(names[r.rng.IntN(len(names))], r.rng.IntN(5) > 0)
	if r.j != nil && r.rng.IntN(4) > 0 {
		r.available("")
	}
}

// unbound opens a connection up to where a resource would be bound.
func (l login) unbound(t *testing.T) *jabber {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	raw, err := l.dial(ctx)
	if err != nil {
		t.Error(err)
		return nil
	}
	j := &jabber{
		t: t, conn: tls.Client(raw, &tls.Config{ServerName: l.domain, RootCAs: l.roots, MinVersion: tls.VersionTLS12}),
		got: make(chan *tree, 1<<14), done: make(chan struct{}),
	}
	j.in = bufio.NewReader(j.conn)
	if err := errors.Join(j.conn.SetDeadline(time.Now().Add(patience)), j.header(l), j.authenticate(l), j.header(l)); err != nil {
		t.Errorf("%s signs in: %v", l.name, err)
		raw.Close()
		return nil
	}
	j.conn.SetDeadline(time.Time{})
	go j.read() // ends with the connection
	t.Cleanup(j.drop)
	return j
}

// answer is the next thing that comes; nil at the end of the stream. Unlike next it
// may be called by any goroutine.
func (j *jabber) answer() *tree {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case e := <-j.got:
		return e
	case <-late.C:
		j.t.Errorf("%s: no answer", j.jid)
		return nil
	}
}

func (r *roamer) signIn(resource string, managed bool) {
	j := r.login.unbound(r.world.t)
	if j == nil {
		return
	}
	j.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>%s</resource></bind></iq>", resource)
	if iq := j.answer(); iq.attr("type") != "result" {
		r.world.t.Errorf("%s binds %s: %s", r.name, resource, iq)
		j.drop()
		return
	}
	j.jid, j.bare = r.name+"@desk.example/"+resource, r.name+"@desk.example"
	again := r.out
	r.forget()
	r.resource = resource
	if managed {
		j.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
		e := j.answer()
		for e != nil && e.name.Space == "jabber:client" { // it came before
			r.take(e)
			e = j.answer()
		}
		if e == nil || e.name.Local != "enabled" { // another device took the name meanwhile
			j.drop()
			r.out = again
			return
		}
		r.stream, r.counting, r.received = e.attr("id"), true, 0
	}
	r.j = j
	for _, m := range again {
		// The server knows for ten minutes what it has got already.
		if m.id != "" && time.Since(m.at) < 9*time.Minute {
			r.send(m)
		}
	}
}

// forget begins a new session.
func (r *roamer) forget() {
	r.stream, r.counting, r.received, r.confirmed, r.handled = "", false, 0, 0, 0
	r.seen, r.out = make(map[string]bool), nil
}

func (r *roamer) resume() {
	j := r.login.unbound(r.world.t)
	if j == nil {
		return
	}
	j.send("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", r.stream, r.received)
	e := j.answer()
	if e == nil || e.name.Local != "resumed" {
		if e == nil || e.name.Local != "failed" {
			r.world.t.Errorf("%s/%s resumes: %s", r.name, r.resource, e)
		} else if h := e.attr("h"); h != "" {
			r.acknowledged(h)
		}
		r.stream = ""
		j.drop()
		return
	}
	for id := range r.seen {
		r.seen[id] = true
	}
	r.confirmed = r.received
	r.acknowledged(e.attr("h"))
	again := r.out
	r.out = nil
	r.j = j
	for _, m := range again {
		r.send(m)
	}
}

// acknowledged takes the server's count.
func (r *roamer) acknowledged(h string) {
	n, err := strconv.ParseUint(h, 10, 32)
	count := uint32(n) - r.handled
	if err != nil || int(count) > len(r.out) {
		r.world.t.Errorf("%s/%s: h is %q after %d, but only %d stanzas are out", r.name, r.resource, h, r.handled, len(r.out))
		return
	}
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	for _, m := range r.out[:count] {
		if m.id != "" {
			r.world.kept[m.id] = m.to
		}
	}
	r.handled, r.out = uint32(n), r.out[count:]
}

// collect takes what has come.
func (r *roamer) collect() {
	r.pause(time.Millisecond) // pretend time passes when nobody has anything left to do
	for r.j != nil {
		select {
		case e := <-r.j.got:
			r.take(e)
		default:
			return
		}
	}
}

func (r *roamer) take(e *tree) {
	if e == nil {
		r.j.drop()
		r.j = nil
		return
	}
	switch e.name.Local {
	case "a":
		r.acknowledged(e.attr("h"))
		return
	case "message", "presence", "iq":
		r.received++
	default:
		return
	}
	if e.name.Local != "message" || e.attr("type") == "error" {
		return
	}
	if m := e.child("result").child("forwarded").child("message"); m != nil {
		r.world.arrived(r.name, m.attr("id"))
		return
	}
	id := e.attr("id")
	if confirmed, again := r.seen[id]; again && confirmed {
		r.world.t.Errorf("%s/%s acknowledged %s and got it again in the same session", r.name, r.resource, id)
	}
	r.seen[id] = false
	r.world.arrived(r.name, id)
}

func (r *roamer) acknowledge() {
	if !r.counting {
		return
	}
	r.collect()
	for id := range r.seen {
		r.seen[id] = true
	}
	r.confirmed = r.received
	r.write(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", r.received))
}

func (r *roamer) say() {
	to := []string{"anna", "bob", "carol"}[r.rng.IntN(3)]
	address := to + "@desk.example"
	if r.rng.IntN(3) == 0 {
		address += "/one"
	}
	r.said++
	id := fmt.Sprintf("%s%d-%d", r.name, r.number, r.said)
	r.send(outStanza{id, to, fmt.Sprintf("<message to='%s' type='chat' id='%s'><body>%s</body></message>", address, id, id), time.Now()})
}

func (r *roamer) available(inner string) {
	r.send(outStanza{stanza: "<presence>" + inner + "</presence>"})
}

func (r *roamer) send(m outStanza) {
	if r.counting {
		r.out = append(r.out, m)
	}
	r.write(m.stanza)
}

func (r *roamer) write(text string) {
	if r.j != nil {
		r.j.send("%s", text)
	}
}

// drop cuts the line. With stream management, what has not been looked at by then was
// lost on the way; without, the server can't know, and it counts as come.
func (r *roamer) drop() {
	if r.j == nil {
		return
	}
	r.j.drop()
	if !r.counting {
		r.collect()
	}
	r.j = nil
}

// close ends the stream properly.
func (r *roamer) close() {
	if r.j == nil {
		return
	}
	r.acknowledge()
	if r.j == nil {
		return // it was ended
	}
	r.write("</stream:stream>")
	<-r.j.done
	r.collect()
	r.j, r.stream, r.counting, r.out = nil, "", false, nil
}

// settle comes back a last time, takes all that is for it and leaves in order.
func (r *roamer) settle() {
	if r.j == nil && r.stream != "" {
		r.resume()
	}
	for range 3 {
		r.pause(3 * time.Second)
		r.collect()
		r.acknowledge()
	}
	r.close()
}
