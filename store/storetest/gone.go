package storetest

import (
	"fmt"
	"testing"
	"time"

	"parley.im/parley/store"
)

// Rule 56: who gets a name that was somebody else's gets nothing of hers.
func agentMadeAnewOwnsNothing(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	c := d.direct(anna, ben)
	d.say(c, ben, start, "for the first anna")
	a.SaveDelivery(anna, store.Delivery{Cursor: 5})
	must(t, a.SaveResumes(d.ctx, []store.Resume{{ID: "r", Agent: anna, Expires: time.Now().Add(time.Hour), State: []byte("s")}}))
	for part := store.OwnContacts; part <= store.OwnWatching; part++ {
		must(t, a.KeepOwn(d.ctx, store.Own{Agent: anna, Part: part, Name: "ben", Value: []byte("a friend")}))
	}
	must(t, a.DeleteAgent(d.ctx, anna))

	d = newDesk(t, reopen())
	again := d.agent("anna")
	if again == anna {
		t.Fatal("an agent's id is used again")
	}
	got, _ := d.page(store.Page{Agent: again, Max: 10})
	want(t, "her archive", len(got), 0)
	want(t, "her inbox", len(d.inbox(again, 0, 10)), 0)
	delivery, err := d.Delivery(d.ctx, again)
	must(t, err)
	want(t, "her delivery", delivery, store.Delivery{})
	resumes, err := d.TakeResumes(d.ctx)
	must(t, err)
	want(t, "sessions to resume", len(resumes), 0)
	for part := store.OwnContacts; part <= store.OwnWatching; part++ {
		want(t, fmt.Sprint("part ", part, " of what she has"), d.own(again, part), "")
		want(t, fmt.Sprint("part ", part, " of what the first one had"), d.own(anna, part), "")
	}
	if d.direct(again, ben).ID() == c.ID() {
		t.Error("she gets the old conversation")
	}
	got, _ = d.page(store.Page{Agent: ben, Max: 10})
	want(t, "the other's archive", got, []string{"for the first anna"})
}

// The same while the other goes on talking, in what was their conversation and in the
// new one.
func agentMadeAnewSeesNothingOld(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna, ben, cleo := d.agent("anna"), d.agent("ben"), d.agent("cleo")
	old := d.direct(anna, ben)
	o := d.say(old, ben, start, "for the first anna")
	d.say(old, anna, start, "from the first anna")
	d.say(d.direct(ben, cleo), ben, start, "for cleo")
	d.page(store.Page{Agent: anna, Max: 1}) // what is cached of her must go, too
	must(t, a.DeleteAgent(d.ctx, anna))
	d.say(old, ben, start, "after her") // whoever holds the conversation may still write to it
	_, err := d.Direct(d.ctx, anna, ben)
	wantErr(t, "talking with who is gone", err, store.ErrNotFound)

	again := d.agent("anna")
	check := func(hers ...string) {
		t.Helper()
		for _, p := range []store.Page{{}, {Backwards: true}, {After: o - 1}, {Start: start.Add(-time.Hour)}} {
			p.Agent, p.Max = again, 10
			got, _ := d.page(p)
			want(t, "her archive", got, hers)
			want(t, "its count", d.count(p), len(hers))
			p.With = old.ID()
			got, _ = d.page(p)
			want(t, "the old conversation in her archive", len(got), 0)
		}
		want(t, "her inbox", d.inbox(again, 0, 10), hers)
		visible, err := d.Visible(d.ctx, again, o)
		must(t, err)
		want(t, "the old message is visible", visible, false)
		_, err = d.ParseArchiveID(again, d.ArchiveID(anna, o))
		wantErr(t, "the first one's id", err, store.ErrNotFound)
		got, _ := d.page(store.Page{Agent: ben, Max: 10})
		want(t, "the other's archive", got, append([]string{"for the first anna", "from the first anna", "for cleo", "after her"}, hers...))
	}
	check()
	d = newDesk(t, reopen())
	check()
	d.say(d.direct(again, ben), ben, start, "for the second anna")
	check("for the second anna")
	d = newDesk(t, reopen())
	check("for the second anna")
}

func deletedPairIsShredded(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	c := d.direct(anna, ben)
	d.say(c, ben, start, "hello")
	must(t, a.DeleteAgent(d.ctx, anna))
	want(t, "the transcript", d.transcript(c.ID()), []string{"hello"})
	must(t, a.DeleteAgent(d.ctx, ben))
	wantErr(t, "the transcript when both are gone",
		a.Transcript(d.ctx, c.ID(), func(*store.Entry) error { return nil }), store.ErrNotFound)
}

func shreddedIsGone(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna, ben, cleo := d.agent("anna"), d.agent("ben"), d.agent("cleo")
	gone, kept := d.direct(anna, ben), d.direct(anna, cleo)
	d.say(kept, anna, start, "kept 1")
	d.talk(gone, anna, ben, 450)
	last := d.say(gone, anna, start, "the last")
	must(t, a.Shred(d.ctx, gone.ID()))
	must(t, a.Shred(d.ctx, gone.ID())) // again is no fault
	wantErr(t, "shredding what is not there", a.Shred(d.ctx, 99), store.ErrNotFound)
	wantErr(t, "appending to it", d.append(said(gone, anna, start, "late")).Err, store.ErrNotFound)

	d = newDesk(t, reopen())
	want(t, "the newest ordinal", d.Newest(), last)
	got, _ := d.page(store.Page{Agent: anna, Max: 10})
	want(t, "the archive", got, []string{"kept 1"})
	visible, err := d.Visible(d.ctx, anna, last)
	must(t, err)
	want(t, "a record that was shredded is good for paging", visible, true)
	var entries []string
	must(t, d.Read(d.ctx, 0, 1000, texts(&entries)))
	want(t, "the log", entries, []string{"kept 1"})
	next := d.direct(anna, ben)
	if next.ID() == gone.ID() {
		t.Error("the shredded conversation goes on")
	}
	if o := d.say(next, ben, start, "new"); o != last+1 {
		t.Errorf("the next ordinal is %d, want %d", o, last+1)
	}
	got, _ = d.page(store.Page{Agent: anna, After: last, Max: 10})
	want(t, "the archive after", got, []string{"new"})
	list, err := d.Conversations(d.ctx, 0, 1000)
	must(t, err)
	for _, s := range list {
		want(t, "shredded", s.Shredded, s.ID == gone.ID())
	}
}

// Whoever knows the archive id of a shredded record goes on from it, in both directions,
// whatever is left of its conversation and whichever way the server was started. Its
// ordinal is never used again. Rule 40.
func shreddedIDsKeepPaging(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna, ben, cleo := d.agent("anna"), d.agent("ben"), d.agent("cleo")
	gone, kept := d.direct(anna, ben), d.direct(anna, cleo)
	var ids []string
	var before []int // how many of the kept were said before each
	texts := []string{"kept 0", "kept 1", "kept 2"}
	for i, text := range texts {
		for range 20 { // more than one block
			ids = append(ids, a.ArchiveID(anna, d.say(gone, ben, start, "gone")))
			before = append(before, i)
		}
		d.say(kept, cleo, start, text)
	}
	last := d.say(gone, anna, start, "the last")
	ids, before = append(ids, a.ArchiveID(anna, last)), append(before, len(texts))
	check := func(when string, texts []string) {
		t.Helper()
		for i, id := range ids {
			o, err := d.ParseArchiveID(anna, id)
			must(t, err)
			visible, err := d.Visible(d.ctx, anna, o)
			must(t, err)
			want(t, when+": a shredded record is good for paging", visible, true)
			n := min(before[i], len(texts))
			got, complete := d.page(store.Page{Agent: anna, After: o, Max: 1})
			want(t, when+": what follows", got, texts[n:min(n+1, len(texts))])
			want(t, when+": complete", complete, len(texts)-n <= 1)
			got, complete = d.page(store.Page{Agent: anna, Before: o, Max: 1, Backwards: true})
			want(t, when+": what precedes", got, texts[max(n-1, 0):n])
			want(t, when+": complete, backwards", complete, n <= 1)
			want(t, when+": count", d.count(store.Page{Agent: anna, After: o}), len(texts)-n)
			got, _ = d.page(store.Page{Agent: ben, After: o, Max: 1})
			want(t, when+": what the other sees", len(got), 0)
		}
	}
	must(t, a.Shred(d.ctx, gone.ID()))
	check("at once", texts)
	d = newDesk(t, reopen())
	check("after a start", texts)
	must(t, d.Shred(d.ctx, kept.ID()))
	check("all is gone", nil)
	d = newDesk(t, reopen())
	check("all is gone, after a start", nil)
	if o := d.say(d.direct(anna, ben), ben, start, "new"); o != last+1 {
		t.Errorf("the next ordinal is %d, want %d", o, last+1)
	}
}
