package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	talkers = 8  // clients that talk to each other all the time
	silent  = 80 // agents who hear of it later; each makes a new conversation with each talker
	kills   = 30
)

// I2, HAP-1: whatever was acknowledged survives kill -9, whenever it comes: while
// messages are on their way, while conversations with their keys are being made, while
// clients sign in, while the server starts. Clients send again what was not acknowledged,
// and in the end every message is in the archives exactly once and in its sender's order,
// has reached its recipient, and its event the receiver.
func TestI2Killed(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("PARLEY_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("PARLEY_TEST_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	rounds := kills
	if testing.Short() {
		rounds = 5
	}
	c := newCrowd(t, rng, silent)
	for round := range rounds {
		p := startParley(t, c.config)
		c.killed(p, rng, round)
		p.sound(t)
		if t.Failed() {
			t.Fatalf("after %d kills; the server's log:\n%s", round+1, p.out)
		}
	}
	p := startParley(t, c.config)
	c.began(p.ready(t))
	c.finish()
	c.verify()
	t.Logf("%d messages, %d sessions resumed, %d not", len(c.sent), c.resumed, c.failed)
}

// I2: a server that is stopped in order and started again goes on with the sessions of
// those who can resume: with their old ids, nothing lost and nothing twice.
func TestI2Restarted(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	c := newCrowd(t, rng, 0)
	for _, k := range c.talkers {
		k.resume, k.breaks = true, false
	}
	const restarts = 3
	p := startParley(t, c.config)
	for n := range restarts {
		c.began(p.ready(t))
		c.until("talking", func() string { return c.progress((n + 1) * 400) })
		c.mu.Lock()
		c.addr = ""
		c.mu.Unlock()
		p.stop(t)
		p.sound(t)
		p = startParley(t, c.config)
	}
	c.began(p.ready(t))
	c.until("resuming", func() string {
		if want := restarts * talkers; c.resumed < want {
			return fmt.Sprintf("%d sessions were resumed, want %d", c.resumed, want)
		}
		return ""
	})
	c.finish()
	c.verify()
	if c.failed > 0 {
		t.Errorf("%d sessions could not be resumed", c.failed)
	}
	for key, times := range c.got {
		for id, n := range times {
			if n != 1 {
				t.Errorf("%s came %d times, as %s, to a client that counts", key, n, id)
			}
		}
	}
}

// A crowd is a scene with clients who talk all the time.
type crowd struct {
	*scene
	talkers []*talker
	silent  []string
	fresh   chan struct{} // a new conversation begins
	running sync.WaitGroup
}

func newCrowd(t *testing.T, rng *rand.Rand, quiet int) *crowd {
	t.Helper()
	c := &crowd{fresh: make(chan struct{}, 1)}
	var all, loud []string
	for i := range talkers {
		loud = append(loud, fmt.Sprintf("talker%d@localhost", i))
	}
	for i := range quiet {
		c.silent = append(c.silent, fmt.Sprintf("silent%d@localhost", i))
	}
	all = append(append(all, loud...), c.silent...)
	c.scene = newScene(t, all...)
	for i, jid := range loud {
		k := &talker{
			scene: c.scene, jid: jid, resume: i%2 == 0, breaks: true, began: c.fresh,
			others: append(slices.Clone(loud[:i]), loud[i+1:]...),
			fresh:  slices.Clone(c.silent),
			rng:    rand.New(rand.NewPCG(rng.Uint64(), uint64(i))),
		}
		rng.Shuffle(len(k.fresh), func(i, j int) { k.fresh[i], k.fresh[j] = k.fresh[j], k.fresh[i] })
		k.cond.L = &k.mu
		c.talkers = append(c.talkers, k)
		c.running.Go(k.run)
	}
	t.Cleanup(c.running.Wait)
	t.Cleanup(c.end)
	return c
}

// killed lets a server run for a random while and kills it.
func (c *crowd) killed(p *process, rng *rand.Rand, round int) {
	c.t.Helper()
	moment := func(most time.Duration) <-chan time.Time { return time.After(time.Duration(rng.Int64N(int64(most)))) }
	switch round % 5 {
	case 0: // while it starts, perhaps
		select {
		case <-moment(300 * time.Millisecond):
			p.kill()
			return
		case addr := <-p.out.tls:
			c.began(addr)
		}
	case 1, 2: // while clients sign in and talk
		c.began(c.started(p))
		<-moment(time.Second)
	default: // while a conversation is being made: its key, and then its rows
		select { // an old one is of no interest
		case <-c.fresh:
		default:
		}
		c.began(c.started(p))
		select {
		case <-c.fresh:
			<-moment(8 * time.Millisecond)
		case <-time.After(processPatience):
			c.mu.Lock()
			defer c.mu.Unlock()
			c.t.Fatalf("nobody begins a new conversation; of %d messages %s; the server's log:\n%s", len(c.sent), c.progress(len(c.sent)), p.out)
		}
	}
	c.mu.Lock()
	c.addr = ""
	c.mu.Unlock()
	p.kill()
}

func (c *crowd) started(p *process) string {
	c.t.Helper()
	addr := p.ready(c.t)
	if addr == "" {
		c.t.Fatalf("parley ended by itself: %v\n%s", p.err, p.out)
	}
	return addr
}

// progress says what is missing until so many messages are acknowledged; c.mu is held.
func (c *crowd) progress(want int) string {
	n := 0
	for _, m := range c.sent {
		if m.acknowledged {
			n++
		}
	}
	if n < want {
		return fmt.Sprintf("%d of %d messages are acknowledged", n, want)
	}
	return ""
}

// finish lets the clients see through what they have begun, and sends them home. Those
// who were silent look at last what was said to them.
func (c *crowd) finish() {
	c.t.Helper()
	for _, k := range c.talkers {
		k.hush()
	}
	c.until("acknowledgements", func() string { return c.progress(len(c.sent)) })
	for _, jid := range c.silent {
		c.look(jid)
	}
	c.until("delivery", func() string { return c.missing("") })
	c.until("webhooks", func() string {
		c.events.mu.Lock()
		defer c.events.mu.Unlock()
		for id := range c.sent {
			if len(c.events.ids[id]) == 0 {
				return "no event tells of " + id
			}
		}
		return ""
	})
	addr := c.address()
	c.end()
	for _, k := range c.talkers {
		k.leave()
	}
	c.running.Wait()
	c.began(addr)
}

// missing is a message that has not reached its recipient: jid, or anybody. c.mu is held.
func (c *crowd) missing(jid string) string {
	for id, m := range c.sent {
		if (jid == "" || m.to == jid) && len(c.got[m.to+" "+id]) == 0 {
			return fmt.Sprintf("%s has not got %s", m.to, id)
		}
	}
	return ""
}

// look signs in as somebody who was away and reads what waits.
func (c *crowd) look(jid string) {
	c.t.Helper()
	s := c.visit(jid)
	defer s.conn.Close()
	if err := s.send("<presence/>"); err != nil {
		c.t.Fatal(err)
	}
	for {
		c.mu.Lock()
		missing := c.missing(jid)
		c.mu.Unlock()
		if missing == "" {
			return
		}
		e, err := s.next()
		if err != nil {
			c.t.Fatalf("%s, but %v", missing, err)
		}
		if e.XMLName.Local == "message" {
			c.arrived(jid, e)
		}
	}
}

// visit signs in with a connection that the test reads itself.
func (c *scene) visit(jid string) *stream {
	c.t.Helper()
	c.mu.Lock()
	addr := c.addr
	c.mu.Unlock()
	s, err := dialStream(addr, c.roots, jid, scenePassword)
	if err == nil {
		err = s.bind("look")
	}
	if err == nil {
		err = s.conn.SetDeadline(time.Now().Add(streamPatience))
	}
	if err != nil {
		c.t.Fatalf("%s: %v", jid, err)
	}
	return s
}

// verify compares what was said with the archives, with what came, and with the events.
func (c *crowd) verify() {
	c.t.Helper()
	for _, k := range c.talkers {
		c.verifyArchive(k.jid)
	}
	for key, times := range c.got {
		// The archive id is what tells a client that it has a message already (XEP-0359).
		if len(times) != 1 {
			c.t.Errorf("%s came under several stanza-ids: %v", key, times)
		}
	}
	for _, bad := range c.events.bad {
		c.t.Errorf("event: %s", bad)
	}
	for id, m := range c.sent {
		if len(c.events.ids[id]) != 1 {
			c.t.Errorf("events of %s: %v, want one, however often it came", id, c.events.ids[id])
		}
		for _, text := range c.events.ids[id] {
			if want := fmt.Sprintf("message.created %s→%s: word %d of %s,", m.from, m.to, m.number, m.from); !strings.HasPrefix(text, want) {
				c.t.Errorf("event of %s: %s, want %s", id, text, want)
			}
		}
	}
}

// verifyArchive looks for each message from and to jid exactly once in its archive, in
// the order in which each sender made them, and under the id that came with it.
func (c *crowd) verifyArchive(jid string) {
	c.t.Helper()
	s := c.visit(jid)
	defer s.conn.Close()
	last := make(map[string]int)
	found := make(map[string]bool)
	err := s.archived(func(archiveID string, message *element) {
		id := message.at("origin-id").attr("id")
		m := c.sent[id]
		switch {
		case m == nil:
			c.t.Errorf("the archive of %s has %q, which nobody sent", jid, id)
			return
		case found[id]:
			c.t.Errorf("the archive of %s has %s twice", jid, id)
		case m.number <= last[m.from]:
			c.t.Errorf("the archive of %s has %s after number %d of the same sender", jid, id, last[m.from])
		case m.to == jid && c.got[jid+" "+id][archiveID] == 0:
			c.t.Errorf("the archive of %s knows %s as %s; it came as %v", jid, id, archiveID, c.got[jid+" "+id])
		}
		found[id], last[m.from] = true, m.number
	})
	if err != nil {
		c.t.Fatalf("archive of %s: %v", jid, err)
	}
	for id, m := range c.sent {
		if (m.from == jid || m.to == jid) && !found[id] {
			c.t.Errorf("%s, which was acknowledged, is missing in the archive of %s", id, jid)
		}
	}
}
