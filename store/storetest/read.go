package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
)

func directIsOneForBoth(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	_, err := a.FindDirect(d.ctx, anna, ben)
	wantErr(t, "FindDirect before the first word", err, store.ErrNotFound)
	c := d.direct(anna, ben)
	if d.direct(ben, anna) != c {
		t.Error("the conversation is another one for the other")
	}
	id, err := a.FindDirect(d.ctx, ben, anna)
	must(t, err)
	want(t, "what FindDirect finds", id, c.ID())
	want(t, "its nature", c.Nature(), store.Direct)
	_, err = a.Direct(d.ctx, anna, 999)
	wantErr(t, "Direct with nobody", err, store.ErrNotFound)
}

func directsAreListed(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna, ben, cleo, dora := d.agent("anna"), d.agent("ben"), d.agent("cleo"), d.agent("dora")
	b, self, gone := d.direct(ben, anna), d.direct(anna, anna), d.direct(anna, dora)
	left, off := d.direct(anna, cleo), d.direct(anna, d.agent("emil"))
	d.direct(ben, cleo)
	d.say(b, ben, start, "hello")
	must(t, a.Shred(d.ctx, gone.ID()))
	must(t, a.DeleteAgent(d.ctx, cleo))
	emil, err := a.Agent(d.ctx, "emil")
	must(t, err)
	must(t, a.DisableAgent(d.ctx, emil.ID, true))
	for range 2 {
		got := make(map[string]store.ConversationID)
		must(t, d.Directs(d.ctx, anna, func(peer string, id store.ConversationID) error {
			got[peer] = id
			return nil
		}))
		want(t, "Anna's conversations", got, map[string]store.ConversationID{"ben": b.ID(), "anna": self.ID(), "": left.ID(), "emil": off.ID()})
		enough := errors.New("enough")
		wantErr(t, "a list that is broken off", d.Directs(d.ctx, ben, func(string, store.ConversationID) error { return enough }), enough)
		d = newDesk(t, reopen())
	}
}

func directIsOneUnderConcurrency(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna := d.agent("anna")
	var wg sync.WaitGroup
	for i := range 8 {
		other := d.agent(fmt.Sprint("other", i))
		var mu sync.Mutex
		found := make(map[store.Conversation]bool)
		for range 4 {
			wg.Go(func() {
				c, err := a.Direct(d.ctx, other, anna)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if found[c] = true; len(found) > 1 {
					t.Error("one pair of agents has two conversations")
				}
			})
		}
	}
	wg.Wait()
}

func journalIsOne(t *testing.T, open Open) {
	a, reopen := open(t)
	j, err := a.Journal(t.Context())
	must(t, err)
	want(t, "its nature", j.Nature(), store.Journal)
	id := j.ID()
	j, err = reopen().Journal(t.Context())
	must(t, err)
	want(t, "its id after a start", j.ID(), id)
}

func othersSeeNothing(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben, cleo := d.agent("anna"), d.agent("ben"), d.agent("cleo")
	c := d.direct(anna, ben)
	o := d.say(c, anna, start, "between us")
	for _, agent := range []store.AgentID{anna, ben, cleo} {
		mine := agent != cleo
		found, complete := d.page(store.Page{Agent: agent, Max: 10})
		want(t, "a page's length", len(found) == 1, mine)
		want(t, "complete", complete, true)
		want(t, "the count", d.count(store.Page{Agent: agent}) == 1, mine)
		visible, err := a.Visible(d.ctx, agent, o)
		must(t, err)
		want(t, "visible", visible, mine)
		newest, err := a.InboxNewest(d.ctx, agent)
		must(t, err)
		want(t, "there is an inbox", newest == o, mine)
	}
	found, _ := d.page(store.Page{Agent: cleo, With: c.ID(), Max: 10})
	want(t, "a page of others' conversation", len(found), 0)
	visible, err := a.Visible(d.ctx, anna, o+1)
	must(t, err)
	want(t, "what is not there yet is visible", visible, false)
}

// talk says count things in turn, a second apart, and answers them.
func (d *desk) talk(c store.Conversation, x, y store.AgentID, count int) (all []string, ordinals []store.Ordinal) {
	d.t.Helper()
	for i := range count {
		actor := x
		if i%2 == 1 {
			actor = y
		}
		all = append(all, fmt.Sprint("m", i))
		ordinals = append(ordinals, d.say(c, actor, start.Add(time.Duration(i)*time.Second), all[i]))
	}
	return all, ordinals
}

func pagesForwardsAndBackwards(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	all, o := d.talk(d.direct(anna, ben), anna, ben, 100)
	for _, test := range []struct {
		name     string
		in       store.Page
		want     []string
		complete bool
	}{
		{"first", store.Page{Max: 10}, all[:10], false},
		{"after", store.Page{After: o[49], Max: 10}, all[50:60], false},
		{"rest", store.Page{After: o[89], Max: 10}, all[90:], true},
		{"none left", store.Page{After: o[99], Max: 10}, nil, true},
		{"last", store.Page{Backwards: true, Max: 10}, all[90:], false},
		{"before", store.Page{Before: o[50], Backwards: true, Max: 10}, all[40:50], false},
		{"beginning", store.Page{Before: o[5], Backwards: true, Max: 10}, all[:5], true},
		{"none before", store.Page{Before: o[0], Backwards: true, Max: 10}, nil, true},
		{"between", store.Page{After: o[9], Before: o[20], Max: 100}, all[10:20], true},
		{"between, backwards", store.Page{After: o[9], Before: o[20], Backwards: true, Max: 5}, all[15:20], false},
		{"all", store.Page{Max: 100}, all, true},
		{"no entries", store.Page{}, nil, false},
	} {
		test.in.Agent = ben
		got, complete := d.page(test.in)
		want(t, test.name, got, test.want)
		want(t, test.name+": complete", complete, test.complete)
	}
	want(t, "the count", d.count(store.Page{Agent: anna}), 100)
	want(t, "the count after", d.count(store.Page{Agent: anna, After: o[49]}), 50)
	want(t, "the count between", d.count(store.Page{Agent: anna, After: o[9], Before: o[20], Max: 3}), 10)
}

func pagesByTime(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	c := d.direct(anna, ben)
	// More than any engine keeps together, some of it out of order.
	const total = 2500
	var told collector
	at := func(i int) time.Time { return start.Add(time.Duration(i^1) * time.Second) }
	for i := range total {
		a.Append(told.batch(said(c, anna, at(i), fmt.Sprint(i))))
	}
	told.wg.Wait()
	between := func(from, to time.Time) (all []string) {
		for i := range total {
			if !at(i).Before(from) && (to.IsZero() || !at(i).After(to)) {
				all = append(all, fmt.Sprint(i))
			}
		}
		return all
	}
	second := func(i int) time.Time { return start.Add(time.Duration(i) * time.Second) }
	for _, test := range []struct {
		name     string
		from, to time.Time
	}{
		{"inclusive", second(10), second(20)},
		{"odd", second(11), second(21)},
		{"from", second(2400), time.Time{}},
		{"to", time.Time{}, second(30)},
		{"one", second(1500), second(1500)},
		{"across", second(1000), second(1100)},
		{"before all", second(-10), second(-5)},
		{"after all", second(5000), second(6000)},
		{"between two", second(7).Add(time.Millisecond), second(8).Add(-time.Millisecond)},
	} {
		all := between(test.from, test.to)
		p := store.Page{Agent: ben, Start: test.from, End: test.to, Max: total}
		got, complete := d.page(p)
		want(t, test.name, got, all)
		want(t, test.name+": complete", complete, true)
		want(t, test.name+": count", d.count(p), len(all))
		p.Backwards, p.Max = true, 3
		got, _ = d.page(p)
		want(t, test.name+", backwards", got, all[max(0, len(all)-3):])
	}
}

func pagesOfOneConversation(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben, cleo := d.agent("anna"), d.agent("ben"), d.agent("cleo")
	with, other := d.direct(anna, ben), d.direct(anna, cleo)
	for i := range 10 {
		d.say(with, anna, start, fmt.Sprint("ben ", i))
		d.say(other, cleo, start, fmt.Sprint("cleo ", i))
	}
	got, complete := d.page(store.Page{Agent: anna, With: with.ID(), Max: 3})
	want(t, "a page", got, []string{"ben 0", "ben 1", "ben 2"})
	want(t, "complete", complete, false)
	got, _ = d.page(store.Page{Agent: anna, With: other.ID(), Max: 2, Backwards: true})
	want(t, "a page", got, []string{"cleo 8", "cleo 9"})
	want(t, "the count", d.count(store.Page{Agent: anna, With: with.ID()}), 10)
}

func pagesOfSomeConversations(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben, cleo, dora := d.agent("anna"), d.agent("ben"), d.agent("cleo"), d.agent("dora")
	b, c, o := d.direct(anna, ben), d.direct(anna, cleo), d.direct(anna, dora)
	for i := range 3 {
		d.say(b, ben, start, fmt.Sprint("b", i))
		d.say(c, cleo, start, fmt.Sprint("c", i))
		d.say(o, dora, start, fmt.Sprint("d", i))
	}
	others := d.direct(ben, cleo)
	d.say(others, ben, start, "theirs")
	list := func(all ...store.Conversation) []store.ConversationID {
		ids := make([]store.ConversationID, 0) // not nil: none
		for _, c := range all {
			ids = append(ids, c.ID())
		}
		return ids
	}
	for _, test := range []struct {
		name string
		in   store.Page
		want []string
	}{
		{"only one", store.Page{Only: list(c)}, []string{"c0", "c1", "c2"}},
		{"only two", store.Page{Only: list(o, b, b)}, []string{"b0", "d0", "b1", "d1", "b2", "d2"}},
		{"only none", store.Page{Only: list()}, nil},
		{"only others'", store.Page{Only: list(others)}, nil},
		{"except one", store.Page{Except: list(c)}, []string{"b0", "d0", "b1", "d1", "b2", "d2"}},
		{"except none", store.Page{With: b.ID(), Except: list()}, []string{"b0", "b1", "b2"}},
		{"except all", store.Page{Except: list(b, c, o, others)}, nil},
		{"only and except", store.Page{Only: list(b, c), Except: list(b)}, []string{"c0", "c1", "c2"}},
		{"with one of only", store.Page{With: c.ID(), Only: list(b, c)}, []string{"c0", "c1", "c2"}},
		{"with one that is not in only", store.Page{With: c.ID(), Only: list(b)}, nil},
		{"with one that is excepted", store.Page{With: c.ID(), Except: list(c)}, nil},
	} {
		test.in.Agent, test.in.Max = anna, 10
		got, complete := d.page(test.in)
		want(t, test.name, got, test.want)
		want(t, test.name+": complete", complete, true)
		want(t, test.name+": count", d.count(test.in), len(test.want))
		test.in.Backwards, test.in.Max = true, 2
		got, _ = d.page(test.in)
		want(t, test.name+", backwards", got, test.want[max(0, len(test.want)-2):])
	}
}

func pagesMergeManyConversations(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna := d.agent("anna")
	const others, rounds = 12, 100
	var conversations []store.Conversation
	for i := range others {
		conversations = append(conversations, d.direct(anna, d.agent(fmt.Sprint("other", i))))
	}
	// Some conversations go on all the time, some for a while only.
	var all []string
	var o []store.Ordinal
	var told collector
	for r := range rounds {
		for i, c := range conversations {
			if i%2 == 0 || r/20 == i/2 {
				all = append(all, fmt.Sprint(r, "/", i))
				a.Append(told.batch(said(c, anna, start, all[len(all)-1])))
			}
		}
	}
	told.wg.Wait()
	for _, b := range told.told {
		must(t, b.Err)
		o = append(o, b.Ops[0].Ordinal)
	}
	var got []string
	for p := (store.Page{Agent: anna, Max: 37}); ; p.After = o[len(got)-1] {
		found, complete := d.page(p)
		if got = append(got, found...); complete {
			break
		}
	}
	want(t, "all pages", got, all)
	got = nil
	for p := (store.Page{Agent: anna, Max: 37, Backwards: true}); ; p.Before = o[len(all)-len(got)] {
		found, complete := d.page(p)
		if got = append(slices.Clone(found), got...); complete {
			break
		}
	}
	want(t, "all pages, backwards", got, all)
	want(t, "the count", d.count(store.Page{Agent: anna, After: o[99], Before: o[501]}), 401)
}

func inboxHasWhatOthersSaid(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben, cleo := d.agent("anna"), d.agent("ben"), d.agent("cleo")
	ab, ac, bc := d.direct(anna, ben), d.direct(anna, cleo), d.direct(ben, cleo)
	d.say(ab, ben, start, "1")
	o := d.say(ab, anna, start, "mine")
	d.say(ac, cleo, start, "2")
	d.say(bc, cleo, start, "theirs")
	d.say(ab, ben, start, "3")
	last := d.say(ac, anna, start, "mine too")
	d.say(bc, ben, start, "theirs too")
	want(t, "the inbox", d.inbox(anna, 0, 10), []string{"1", "2", "3"})
	want(t, "the inbox after", d.inbox(anna, o, 10), []string{"2", "3"})
	want(t, "the inbox, two at most", d.inbox(anna, 0, 2), []string{"1", "2"})
	newest, err := a.InboxNewest(d.ctx, anna)
	must(t, err)
	want(t, "its newest", newest, last)
	want(t, "the inbox after that", len(d.inbox(anna, newest, 10)), 0)
}

func inboxHasWhatOneSaidToOneself(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna := d.agent("anna")
	d.say(d.direct(anna, anna), anna, start, "a note")
	want(t, "the inbox", d.inbox(anna, 0, 10), []string{"a note"})
	got, _ := d.page(store.Page{Agent: anna, Max: 5})
	want(t, "the page", got, []string{"a note"})
}

func deliveryIsKept(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna := d.agent("anna")
	got, err := a.Delivery(d.ctx, anna)
	must(t, err)
	want(t, "delivery at first", got, store.Delivery{})
	a.SaveDelivery(anna, store.Delivery{Cursor: 1})
	saved := store.Delivery{Cursor: 7, Acked: []store.Ordinal{9, 12, 400}}
	a.SaveDelivery(anna, saved)
	got, err = a.Delivery(d.ctx, anna)
	must(t, err)
	want(t, "delivery at once", got, saved)
	got, err = reopen().Delivery(d.ctx, anna)
	must(t, err)
	want(t, "delivery after a start", got, saved)
}
