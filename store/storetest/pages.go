package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley.im/parley/store"
)

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
