package storetest

import (
	"errors"
	"fmt"
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

// Records are read from any number on, over blocks and up to any end.
func recordsFromAnyNumber(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	c := d.direct(anna, ben)
	const all = 40
	for n := range all {
		d.say(c, anna, time.Now(), fmt.Sprint(n+1))
	}
	for _, r := range []struct{ after, max, first, last int }{
		{0, 5, 1, 5}, {0, 100, 1, all}, {15, 2, 16, 17}, {16, 1, 17, 17}, {31, 9, 32, all}, {39, 5, 40, 40}, {40, 5, 0, 0}, {999, 5, 0, 0},
	} {
		var got []int64
		must(t, d.Records(d.ctx, c.ID(), int64(r.after), r.max, func(e *store.Entry) error {
			got = append(got, e.N)
			return nil
		}))
		count := 0
		if r.first > 0 {
			count = r.last - r.first + 1
		}
		if len(got) != count || count > 0 && (got[0] != int64(r.first) || got[count-1] != int64(r.last)) {
			t.Errorf("up to %d after %d: %v, want %d to %d", r.max, r.after, got, r.first, r.last)
		}
	}
	wantErr(t, "of no conversation", d.Records(d.ctx, 999, 0, 1, func(*store.Entry) error { return nil }), store.ErrNotFound)
}

func happenedIsTheJournal(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	c := d.direct(anna, ben)
	var told []store.Ordinal
	for i := range 10 {
		for range i * 3 {
			d.say(c, anna, start, "hello")
		}
		o, err := store.Journalize(d.ctx, a, store.KindAgentAvailable, []byte(fmt.Sprintf(`{"i":%d}`, i)), start)
		must(t, err)
		told = append(told, o)
	}
	happened := func(after, to store.Ordinal) (got []store.Ordinal) {
		must(t, a.Happened(d.ctx, after, to, func(e *store.Entry) error {
			want(t, "what happened", string(e.Data), fmt.Sprintf(`{"i":%d}`, len(got)+10-len(told)))
			got = append(got, e.Ordinal)
			return nil
		}))
		return got
	}
	want(t, "all that happened", happened(0, a.Newest()), told)
	want(t, "up to one", happened(0, told[4]), told[:5])
	last := told
	told = told[5:]
	want(t, "after one", happened(last[4], a.Newest()+1000), told)
	want(t, "nothing", happened(a.Newest(), a.Newest()), []store.Ordinal(nil))
	enough := errors.New("enough")
	wantErr(t, "what is broken off", a.Happened(d.ctx, 0, a.Newest(), func(*store.Entry) error { return enough }), enough)
}
