package xmppd

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"parley.im/parley/xmppd/wire"
)

// A watcher is a device that goes by what it has heard: which of another agent's devices
// it takes to be there.
type watcher struct {
	*Session
	there map[string]bool
}

// hearsOf takes in what the watcher has heard. A device that is gone for it must not go
// again, and nothing comes of whom its agent has blocked once that is answered.
func (w *watcher) hearsOf(t *testing.T, whom, when string) {
	t.Helper()
	blocked := false
	for _, st := range w.hears(t) {
		blocked = string(st.ID) == "block" || blocked && string(st.ID) != "unblock"
		from := string(st.From)
		if st.Kind != wire.Presence || !strings.HasPrefix(from, whom) {
			continue
		}
		gone := string(st.Type) == "unavailable"
		if there, known := w.there[from]; gone && known && !there {
			t.Errorf("%s: %s hears a second time that %s is gone", when, w.resource, from)
		}
		if blocked {
			t.Errorf("%s: %s hears of %s, whom it has blocked", when, w.resource, from)
		}
		w.there[from] = !gone
	}
}

// knows says whether the watcher is right about a device.
func (w *watcher) knows(t *testing.T, o *Session, when string) {
	t.Helper()
	if w.agent.blocks(o.address) {
		return // it hears nothing
	}
	if is := o.isAvailable() && !o.agent.blocks(w.address); w.there[o.address] != is {
		t.Errorf("%s: %s takes %s to be there: %t, want %t", when, w.resource, o.resource, w.there[o.address], is)
	}
}

// Whoever saw a device hears once that it is gone: when its agent blocks him, and when it
// goes; also where both happen at once, or where he blocks her meanwhile, or she takes it
// back. Rules 31 and 53.
func TestFarewellsAreSaidOnce(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	laptop, phone := d.device("anna", "laptop", "1"), d.device("anna", "phone", "1")
	desk, tablet := d.device("bob", "desk", "1"), d.device("bob", "tablet", "1")
	watchers := []*watcher{{laptop, map[string]bool{}}, {desk, map[string]bool{}}, {tablet, map[string]bool{}}}
	others := map[*agent][]*Session{laptop.agent: {desk, tablet}, desk.agent: {laptop, phone}}
	look := func(when string) {
		t.Helper()
		for _, w := range watchers {
			whom := "bob@"
			if w.agent == desk.agent {
				whom = "anna@"
			}
			w.hearsOf(t, whom, when)
			for _, o := range others[w.agent] {
				w.knows(t, o, when)
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	look("at first")
	for round := range 1000 {
		var all sync.WaitGroup
		var what []string
		meanwhile := func(name string, do func()) {
			if rand.IntN(2) == 0 {
				what = append(what, name)
				all.Go(do)
			}
		}
		directed := rand.IntN(2) == 0
		if directed {
			phone.says(t, "<presence to='%s'/>", desk.address)
		}
		again, does := rand.IntN(3) == 0, rand.IntN(5)
		var answered atomic.Int32 // changes of block lists
		meanwhile(fmt.Sprint("anna blocks, and not any more: ", again), func() {
			defer answered.Add(1)
			laptop.changesBlocked(t, "block", "bob")
			if again {
				laptop.changesBlocked(t, "unblock", "bob")
			}
		})
		meanwhile("bob blocks", func() {
			defer answered.Add(1)
			tablet.changesBlocked(t, "block", "anna")
		})
		changes := int32(len(what))
		all.Go(func() {
			for does%2 == 0 && answered.Load() < changes && !laptop.agent.blocks(desk.address) && !desk.agent.blocks(phone.address) {
				runtime.Gosched() // until nearly then
			}
			switch does {
			case 0: // nothing
			case 1, 2:
				phone.handles(t, "<presence><status>more</status></presence>")
			default:
				phone.handles(t, "<presence type='unavailable'/>")
			}
		})
		what = append(what, []string{"the phone stays", "the phone says more", "the phone says more then", "the phone goes", "the phone goes then"}[does])
		all.Wait()
		when := fmt.Sprintf("round %d (%s; directed: %t)", round, strings.Join(what, ", "), directed)
		look(when)
		first, second := func() { laptop.changesBlocked(t, "unblock", "bob") }, func() { tablet.changesBlocked(t, "unblock", "anna") }
		if rand.IntN(2) == 0 {
			first, second = second, first
		}
		first()
		look(when + ", unblocked by one")
		second()
		look(when + ", unblocked by both")
		phone.says(t, "<presence/>")
		look(when + ", there again")
		phone.hears(t)
	}
}

// A device goes, and before anybody was told its agent blocks somebody who knew it by
// directed presence: he hears once that it is gone (rule 31).
func TestADeviceGoesJustBeforeABlock(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	laptop, phone, desk := d.device("anna", "laptop", ""), d.device("anna", "phone", "1"), d.device("bob", "desk", "1")
	phone.says(t, "<presence to='%s'/>", desk.address)
	desk.hears(t)
	var all sync.WaitGroup
	desk.agent.mu.Lock() // so nobody is told yet
	all.Go(func() { phone.handles(t, "<presence type='unavailable'/>") })
	for phone.isAvailable() {
		runtime.Gosched()
	}
	all.Go(func() { laptop.changesBlocked(t, "block", "bob") })
	for !laptop.agent.blocks(desk.address) {
		runtime.Gosched()
	}
	desk.agent.mu.Unlock()
	all.Wait()
	desk.saidGoodbye(t, phone)
}

// A device goes after its agent has blocked somebody, and before he was told she unblocks
// him: he hears that it is gone, since the farewells of a block come first.
func TestABlockIsTakenBackAtOnce(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	laptop, phone, desk := d.device("anna", "laptop", ""), d.device("anna", "phone", "1"), d.device("bob", "desk", "1")
	tablet := d.device("anna", "tablet", "")
	desk.hears(t)
	var all sync.WaitGroup
	desk.agent.mu.Lock() // so nobody is told yet
	all.Go(func() { laptop.changesBlocked(t, "block", "bob") })
	for !laptop.agent.blocks(desk.address) {
		runtime.Gosched()
	}
	all.Go(func() { phone.handles(t, "<presence type='unavailable'/>") })
	for phone.isAvailable() {
		runtime.Gosched()
	}
	all.Go(func() { tablet.changesBlocked(t, "unblock", "bob") })
	d.commits(20) // with one of which it would be in force
	desk.agent.mu.Unlock()
	all.Wait()
	desk.saidGoodbye(t, phone)
}

// Whoever is being shown somebody's device while another one of his blocks her sees it
// before that is answered, or not at all (XEP-0191 §3.3).
func TestNobodySeesWhomHeHasBlocked(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	phone, desk, tablet := d.device("anna", "phone", "1"), d.device("bob", "desk", "1"), d.device("bob", "tablet", "")
	desk.says(t, "<iq type='get' id='list'><blocklist xmlns='urn:xmpp:blocking'/></iq>") // to hear of the block
	desk.drains()
	desk.hears(t)
	var all sync.WaitGroup
	phone.mu.Lock() // so that it is being looked at for a while
	all.Go(func() { desk.see(phone.agent, "", nil) })
	for phone.agent.mu.TryLock() {
		phone.agent.mu.Unlock()
		runtime.Gosched()
	}
	all.Go(func() { tablet.changesBlocked(t, "block", "anna") })
	d.commits(20)
	phone.mu.Unlock()
	all.Wait()
	blocked := false
	for _, st := range desk.hears(t) {
		blocked = blocked || st.Child("urn:xmpp:blocking", "block") != nil
		if blocked && st.Kind == wire.Presence {
			t.Errorf("after the block comes %s", st.Raw())
		}
	}
	if !blocked {
		t.Error("nothing is heard of the block")
	}
}

// commits lets some time pass: whatever was about to be kept is.
func (d *office) commits(n int) {
	for range n {
		if err := d.store.SetSetting(d.t.Context(), "some", "time"); err != nil {
			d.t.Error(err)
		}
	}
}

// changesBlocked blocks or unblocks an agent.
func (s *Session) changesBlocked(t *testing.T, verb, whom string) {
	s.handles(t, fmt.Sprintf("<iq type='set' id='%s'><%s xmlns='urn:xmpp:blocking'><item jid='%s@desk.example'/></%s></iq>", verb, verb, whom, verb))
}

// saidGoodbye fails unless the session has heard once that o is gone.
func (s *Session) saidGoodbye(t *testing.T, o *Session) {
	t.Helper()
	times := 0
	for _, st := range s.hears(t) {
		if string(st.From) == o.address && string(st.Type) == "unavailable" {
			times++
		}
	}
	if times != 1 {
		t.Errorf("%s hears %d times that %s is gone", s.address, times, o.resource)
	}
}
