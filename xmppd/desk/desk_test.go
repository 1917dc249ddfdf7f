package desk

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"parley.im/parley/store"
)

// A history keeps changes in the order in which it was asked to, when it likes, and now and then
// fails. It checks what must hold of each.
type history struct {
	t       *testing.T
	waiting []func()
	kept    map[store.ConversationID][]*Change
	fails   func() bool
	said    map[store.ConversationID]int // the newest, by its number
	chosen  map[store.AgentID]bool       // who have chosen something without being asked

	now   func() time.Time
	asked map[store.ConversationID]map[store.AgentID]time.Time // since when agents are
	hasty time.Duration                                        // within this nobody's reply takes a contact
	again int                                                  // how often somebody came after all
}

// ask notes who is asked, and checks that nobody's reply came too soon.
func (h *history) ask(ch *Change) {
	before, now := h.asked[ch.Is.ID], make(map[store.AgentID]time.Time)
	if s := ch.Said; s != nil && ch.Is != ch.Was && ch.Was != nil && ch.Was.OfferedTo(s.Agent) && h.now().Sub(before[s.Agent]) < h.hasty {
		h.t.Errorf("agent %d's reply took a contact %s after she was asked", s.Agent, h.now().Sub(before[s.Agent]))
	}
	if ch.Is.Offer != nil {
		for _, a := range ch.Is.Offer.To {
			if now[a] = before[a]; now[a].IsZero() {
				now[a] = h.now()
			}
		}
	}
	if h.asked == nil {
		h.asked = make(map[store.ConversationID]map[store.AgentID]time.Time)
	}
	h.asked[ch.Is.ID] = now
	if ch.Was != nil && ch.Was.State == Offline && ch.Is.State == Queued {
		h.again++
	}
}

var errDisk = errors.New("the disk is full")

func (h *history) Keep(ch *Change, done func(error)) {
	h.waiting = append(h.waiting, func() {
		if h.fails() {
			done(errDisk)
			return
		}
		h.check(ch)
		if h.now != nil {
			h.ask(ch)
		}
		h.kept[ch.Is.ID] = append(h.kept[ch.Is.ID], ch)
		done(nil)
	})
}

// one decides the first change that waits.
func (h *history) one() {
	if len(h.waiting) > 0 {
		first := h.waiting[0]
		h.waiting = h.waiting[1:]
		first()
	}
}

// check holds a change against what was kept of the contact before.
func (h *history) check(ch *Change) {
	var was *Contact
	if before := h.kept[ch.Is.ID]; len(before) > 0 {
		was = before[len(before)-1].Is
	}
	if was != ch.Was {
		h.t.Errorf("a change was made of %+v, but what is kept is %+v", ch.Was, was)
	}
	steps := int64(len(ch.Events))
	if was == nil {
		was = &Contact{}
	}
	if assigned := slices.ContainsFunc(ch.Events, func(e Event) bool { return e.Kind == store.KindContactTransferred }); assigned {
		steps-- // two events for one step
	}
	if ch.Is != ch.Was && ch.Is.Version != was.Version+steps {
		h.t.Errorf("%d events take version %d to %d", len(ch.Events), was.Version, ch.Is.Version)
	}
	if s := ch.Said; s != nil && s.By == Agents && !ch.Is.With(s.Agent) {
		h.t.Errorf("agent %d said something in what is not hers: %+v", s.Agent, ch.Is)
	}
	for _, e := range ch.Events {
		if e.Kind == store.KindContactAssigned && (ch.Was == nil || !ch.Was.OfferedTo(e.Actor)) && !h.chosen[e.Actor] {
			h.t.Errorf("agent %d got what she was not asked for: %+v", e.Actor, ch.Was)
		}
	}
	if s := ch.Said; s != nil {
		if number := s.Body.(int); number > h.said[ch.Is.ID] {
			h.said[ch.Is.ID] = number
		} else {
			h.t.Errorf("what was said as number %d comes after %d", number, h.said[ch.Is.ID])
		}
	}
	if ch.Said != nil && !ch.Is.State.Open() {
		h.t.Errorf("something was said in what is %s", ch.Is.State)
	}
	if ch.Is.State.Owned() && ch.Is.Owner == 0 || ch.Is.State.Waiting() && ch.Is.Owner != 0 {
		h.t.Errorf("%s with agent %d", ch.Is.State, ch.Is.Owner)
	}
	if ch.Is.State == Offered && len(ch.Is.Offer.To) == 0 || ch.Is.State == Queued && ch.Is.Offer != nil {
		h.t.Errorf("%s with the offer %+v", ch.Is.State, ch.Is.Offer)
	}
	open := 0
	for _, leg := range ch.Is.Legs {
		if leg.To.IsZero() {
			open++
		}
	}
	if want := map[bool]int{true: 1}[ch.Is.State.Owned()]; open != want {
		h.t.Errorf("%s with %d open legs: %+v", ch.Is.State, open, ch.Is.Legs)
	}
}

// outcome is what a history came to, told without the desk's own words.
func (h *history) outcome(id store.ConversationID) Outcome {
	var visitor, agent, offered int
	var accepted, missed, away bool
	changes := h.kept[id]
	for _, ch := range changes {
		if ch.Said != nil {
			if ch.Said.By == Visitor {
				visitor++
			} else {
				agent++
			}
		}
		for _, e := range ch.Events {
			switch {
			case e.Kind == store.KindContactAssigned:
				accepted = true
			case e.Kind == store.KindContactQueued: // somebody came after all
				missed, away = false, false
			case e.Kind == store.KindContactMissed:
				missed = true
			case e.What == "turned_away":
				away = true
			case e.Kind == store.KindContactOffered:
				offered++
			}
		}
	}
	last := changes[len(changes)-1].Is
	switch {
	case accepted && visitor > 0 && agent > 0 && visitor+agent > 2:
		return Successful
	case accepted:
		return NoInteraction
	case missed:
		return Missed
	case away:
		return Dissuaded
	case last.Ended.Sub(last.Created) < 10*time.Second:
		return Cancelled
	}
	return Abandoned
}

// Many agents and visitors do what they like, in any order, while changes are decided late and
// some fail: each contact has one agent at a time, nothing is said by one who came too late, no
// step is left out, and each ends with the right outcome.
func TestAnything(t *testing.T) {
	again := 0
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { again += anything(t, rand.New(rand.NewPCG(seed, 5))) })
	}
	if again == 0 {
		t.Error("nobody came after all")
	}
}

// anything says how often somebody came after all.
func anything(t *testing.T, r *rand.Rand) int {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	h := &history{t: t, kept: make(map[store.ConversationID][]*Change), fails: func() bool { return r.IntN(8) == 0 },
		said: make(map[store.ConversationID]int), chosen: make(map[store.AgentID]bool)}
	numbers := 0
	number := func() int { numbers++; return numbers }
	s := Defaults()
	s.Algorithm = []Algorithm{Broadcast, SkillBased, RoundRobin, LeastLoaded, Dynamic}[r.IntN(5)]
	s.Exclusive, s.BounceBack, s.Limit, s.Offers = r.IntN(3) == 0, r.IntN(2) == 0, 1+r.IntN(4), 1+r.IntN(4)
	s.Groups = map[string]Group{"it": {Tags: []string{"italian"}, Priority: 3}}
	s.AcceptAfter = time.Duration(r.IntN(2)*3) * time.Second
	h.now, h.hasty = func() time.Time { return now }, s.AcceptAfter
	never := Hours{Week: map[time.Weekday][]Span{}}
	s.Bot = []time.Duration{0, 0, 30 * time.Second}[r.IntN(3)]
	said, refused := 0, 0
	d := New(Config{Settings: s, Keeper: h, Now: func() time.Time { return now }})
	agents := store.AgentID(1 + r.IntN(5))
	agent := func() store.AgentID { return 1 + store.AgentID(r.IntN(int(agents))) }
	var ids []store.ConversationID
	some := func() store.ConversationID {
		if len(ids) == 0 {
			return 1
		}
		return ids[max(0, len(ids)-1-r.IntN(4))] // few, so that much happens to each at once
	}
	known := func(_ *Change, err error) {
		if err != nil && !slices.Contains([]error{ErrClosed, ErrNotYours, ErrTaken, ErrTooSoon, ErrNotNow, ErrNobody, ErrUnknown, errDisk}, err) {
			t.Errorf("unexpected: %v", err)
		}
	}
	heard := func(_ *Change, err error) {
		if err == nil {
			said++
		} else {
			refused++
		}
	}
	arrive := func() {
		a := Agent{ID: agent(), Here: r.IntN(4) > 0}
		a.Takes = a.Here && r.IntN(3) > 0
		if r.IntN(2) == 0 {
			a.Tags = []string{"italian"}
		}
		d.SetAgent(a)
	}
	open := func() {
		id := store.ConversationID(len(h.kept) + len(ids) + 1000*len(ids) + 1)
		var wants Wants
		if r.IntN(3) == 0 {
			wants.Tags = []string{"italian"}
		}
		d.Open(Contact{ID: id, Wants: wants, Priority: 1 + r.IntN(30), Lang: []string{"", "it-CH"}[r.IntN(2)]}, r.IntN(4) > 0, nil, func(_ *Change, err error) {
			if err == nil {
				ids = append(ids, id)
			}
		})
	}
	deeds := []func(){
		arrive, open,
		func() {
			if r.IntN(8) == 0 {
				d.RemoveAgent(agent())
			}
		},
		func() { d.VisitorSays(some(), Said{Body: number()}, heard) },
		func() { d.VisitorSays(some(), Said{Body: number()}, heard) },
		func() { d.AgentSays(some(), Said{Agent: agent(), Body: number()}, heard) },
		func() { d.AgentSays(some(), Said{Agent: agent(), Body: number()}, heard) },
		func() { d.AgentSays(some(), Said{Agent: agent(), Body: number()}, heard) },
		func() { d.Submit(some(), Visitor, nil, known) },
		func() { d.Accept(some(), agent(), known) },
		func() {
			if a := agent(); a == 1 {
				h.chosen[a] = true
				d.Take(some(), a, known)
			}
		},
		func() { d.Decline(some(), agent(), "", known) },
		func() { d.Hold(some(), agent(), known) },
		func() { d.Resume(some(), agent(), known) },
		func() { d.Transfer(some(), agent(), Wants{Agent: agent()}, "", known) },
		func() { d.Transfer(some(), agent(), Wants{Group: "it"}, "", known) },
		func() { d.Hand(some(), Wants{Agent: agent()}, "", known) },
		func() { d.Hand(some(), Wants{Group: "it"}, "", known) },
		func() { d.Revise(some(), System, nil, []Revision{Prioritized(1 + r.IntN(30)), Tagged(nil)}, known) },
		func() { d.TakeBack(some(), agent(), known) },
		func() { d.Erase(some(), known) },
		func() { d.Invite(some(), agent(), agent(), known) },
		func() { d.Leave(some(), agent(), known) },
		func() { d.Note(some(), Agents, agent(), "a note", known) },
		func() { d.Whisper(some(), agent(), "a note", known) },
		func() {
			if a := agent(); a == 1 {
				h.chosen[a] = true
				d.TakeOver(some(), a, known)
			}
		},
		func() { d.Pause(agent(), "lunch") },
		func() { d.Ready(agent()) },
		func() { d.VisitorHere(some(), r.IntN(2) == 0) },
		func() {
			is := s
			if r.IntN(4) == 0 {
				is.Hours = never
			}
			d.Configure(is)
		},
		func() {
			if r.IntN(3) == 0 {
				d.Close(some(), agent(), "", known)
			}
		},
		func() {
			if r.IntN(3) == 0 {
				d.VisitorLeaves(some(), known)
			}
		},
		func() { d.Rate(some(), Rating{Stars: 5}, known) },
		func() { d.Finish(some(), agent(), known) },
		func() { now = now.Add(time.Duration(r.IntN(20)) * time.Second) },
	}
	for range 1500 {
		deeds[r.IntN(len(deeds))]()
		for range r.IntN(3) {
			h.one()
		}
		if r.IntN(2) == 0 {
			d.look()
		}
	}
	for len(h.waiting) > 0 {
		h.one()
	}
	d.agree(t)
	// Everybody goes.
	h.fails = func() bool { return false }
	for _, id := range ids {
		d.VisitorHere(id, false)
	}
	for range 100 {
		d.look()
		for len(h.waiting) > 0 {
			h.one()
		}
		now = now.Add(time.Minute)
	}
	if left := d.Contacts(); len(left) > 0 {
		t.Errorf("after an hour and a half there is still %+v", left[0])
	}
	kept := 0
	for id, changes := range h.kept {
		last := changes[len(changes)-1].Is
		if last.State != Finalized || last.Outcome != h.outcome(id) {
			t.Errorf("contact %d ends %s with %q, want finalized with %q", id, last.State, last.Outcome, h.outcome(id))
		}
		for _, ch := range changes {
			if ch.Said != nil {
				kept++
			}
		}
	}
	if kept != said || said == 0 || refused == 0 {
		t.Errorf("%d messages were kept, %d taken, %d refused", kept, said, refused)
	}
	return h.again
}

// agree checks that agents have what their contacts say, and are asked for them, and that who was removed is there no longer than
// she has something.
func (d *Desk) agree(t *testing.T) {
	t.Helper()
	for agent, w := range d.workers {
		if w.removed && len(w.has)+len(w.asked) == 0 {
			t.Errorf("agent %d was removed, and is still there", agent)
		}
	}
	for id, l := range d.contacts {
		for agent, w := range d.workers {
			if got, want := w.has[id] != nil, l.c.State.Owned() && l.c.Owner == agent; got != want {
				t.Errorf("agent %d has contact %d: %t, want %t", agent, id, got, want)
			}
			if got, want := w.asked[id] != nil, l.c.OfferedTo(agent); got != want {
				t.Errorf("agent %d is asked for contact %d: %t, want %t", agent, id, got, want)
			}
		}
	}
}
