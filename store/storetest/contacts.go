package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
)

// contact makes a contact, of version 1, and says something in it.
func (d *desk) contact(address string, change func(*store.ContactChange), said ...string) (store.Conversation, store.Contact) {
	d.t.Helper()
	c, err := d.NewContact(d.ctx)
	must(d.t, err)
	k := store.Contact{ID: c.ID(), Address: address, Version: 1, State: 2, Live: true, Visitor: "v-" + address, Created: start, Data: []byte(`{"Name":"Mia"}`)}
	ch := store.ContactChange{Contact: k}
	if change != nil {
		change(&ch)
	}
	must(d.t, d.change(ch, visitorSays(c, said...)...).Err)
	return c, ch.Contact
}

// visitorSays are messages of a visitor's.
func visitorSays(c store.Conversation, texts ...string) (ops []store.Op) {
	for i, text := range texts {
		ops = append(ops, said(c, 0, start.Add(time.Duration(i)*time.Second), text))
	}
	return ops
}

// change appends a batch that changes a contact.
func (d *desk) change(ch store.ContactChange, ops ...store.Op) *store.Batch {
	d.t.Helper()
	done := make(chan struct{})
	b := &store.Batch{Ops: ops, Contact: &ch, Done: func(*store.Batch) { close(done) }}
	d.Append(b)
	<-done
	return b
}

// next is the change after k, which change says more of.
func next(k store.Contact, change func(*store.ContactChange)) store.ContactChange {
	ch := store.ContactChange{Contact: k, Was: k.Version}
	ch.Version++
	change(&ch)
	return ch
}

func wantContact(t *testing.T, what string, a store.Account, k store.Contact) {
	t.Helper()
	got, err := a.Contact(t.Context(), k.ID)
	must(t, err)
	want(t, what, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", k))
	got, err = a.ContactAt(t.Context(), k.Address)
	must(t, err)
	want(t, what+", by its address,", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", k))
}

func contactIsKept(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	c, k := d.contact("aaaa", nil, "hello")
	want(t, "its nature", c.Nature(), store.Support)
	wantContact(t, "the contact", a, k)
	again, err := a.OpenContact(d.ctx, c.ID())
	must(t, err)
	if again != c {
		t.Error("a contact is open twice")
	}
	_, err = a.OpenContact(d.ctx, 99)
	wantErr(t, "opening what is not there", err, store.ErrNotFound)
	_, err = a.Contact(d.ctx, 99)
	wantErr(t, "what is not there", err, store.ErrNotFound)
	_, err = a.ContactAt(d.ctx, "zzzz")
	wantErr(t, "an address that is nobody's", err, store.ErrNotFound)
	direct := d.direct(d.agent("anna"), d.agent("ben"))
	_, err = a.OpenContact(d.ctx, direct.ID())
	wantErr(t, "opening what is no contact", err, store.ErrNotFound)

	a = reopen()
	d = newDesk(t, a)
	wantContact(t, "the contact after a start", a, k)
	c, err = a.OpenContact(d.ctx, k.ID)
	must(t, err)
	ch := next(k, func(ch *store.ContactChange) {
		ch.State, ch.Live, ch.Owner, ch.Ended, ch.Outcome, ch.Data = 10, false, 1, start.Add(time.Hour), "successful", []byte(`{"Name":"Mia M."}`)
		ch.Visitor = "v-2"
	})
	must(t, d.change(ch, visitorSays(c, "bye")...).Err)
	wantContact(t, "the contact when it is over", a, ch.Contact)
	want(t, "the transcript", d.transcript(k.ID), []string{"hello", "bye"})
	s, err := a.Conversation(d.ctx, k.ID)
	must(t, err)
	want(t, "the summary", fmt.Sprintf("%+v", s), fmt.Sprintf("%+v", store.Summary{ID: k.ID, Nature: store.Support, Records: 2, First: s.First, Last: s.Last}))
	wantContact(t, "the contact after another start", reopen(), ch.Contact)
}

func contactChangesWithItsRecords(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	c, k := d.contact("aaaa", nil, "hello")
	newest := a.Newest()
	for what, ch := range map[string]store.ContactChange{
		"an older version":        next(k, func(ch *store.ContactChange) { ch.Was = 0 }),
		"a version to come":       next(k, func(ch *store.ContactChange) { ch.Was, ch.Version = 2, 3 }),
		"the same version again":  next(k, func(ch *store.ContactChange) { ch.Version = 1 }),
		"another address":         next(k, func(ch *store.ContactChange) { ch.Address = "bbbb" }),
		"another beginning":       next(k, func(ch *store.ContactChange) { ch.Created = start.Add(time.Second) }),
		"an end without its time": next(k, func(ch *store.ContactChange) { ch.Live = false }),
	} {
		wantErr(t, what, d.change(ch, visitorSays(c, what)...).Err, store.ErrConflict)
	}
	other, err := a.NewContact(d.ctx)
	must(t, err)
	ch := store.ContactChange{Contact: store.Contact{ID: other.ID(), Address: "aaaa", Version: 1, Live: true, Created: start}}
	wantErr(t, "an address that is taken", d.change(ch, visitorSays(other, "me, too")...).Err, store.ErrConflict)
	_, err = a.Contact(d.ctx, other.ID())
	wantErr(t, "the contact that came to nothing", err, store.ErrNotFound)
	want(t, "the newest ordinal", a.Newest(), newest)
	wantContact(t, "the contact", a, k)
	ch.Address = "bbbb" // the next one is not
	must(t, d.change(ch, visitorSays(other, "me, too")...).Err)

	ch = next(k, func(ch *store.ContactChange) { ch.Data = []byte("{}") })
	must(t, d.change(ch).Err) // without records
	wantContact(t, "the contact after a change without records", a, ch.Contact)
	must(t, d.append(visitorSays(c, "more")...).Err) // records without a change
	must(t, d.change(next(ch.Contact, func(ch *store.ContactChange) { ch.Version = 9 }), visitorSays(c, "and on")...).Err)
	want(t, "the transcript", d.transcript(k.ID), []string{"hello", "more", "and on"})
	gone := d.direct(d.agent("anna"), d.agent("ben"))
	must(t, a.Shred(d.ctx, gone.ID()))
	k.Version = 9
	b := d.change(next(k, func(*store.ContactChange) {}), append(visitorSays(c, "half"), said(gone, 0, start, "of it"))...)
	wantErr(t, "a change with a record that can't be kept", b.Err, store.ErrNotFound)
	now, err := a.Contact(d.ctx, k.ID)
	must(t, err)
	want(t, "the version after it", now.Version, 9)
}

func contactIsChangedOnce(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	c, k := d.contact("aaaa", nil)
	other, ok := d.contact("bbbb", nil)
	const agents = 50
	batches := make([]*store.Batch, 2*agents)
	var wg, told sync.WaitGroup
	told.Add(len(batches))
	for i := range batches {
		contact, from := k, c
		if i%2 == 1 {
			contact, from = ok, other
		}
		ch := next(contact, func(ch *store.ContactChange) { ch.Owner = store.AgentID(i + 1) })
		batches[i] = &store.Batch{Ops: []store.Op{said(from, ch.Owner, start, fmt.Sprint(i+1))}, Contact: &ch, Done: func(*store.Batch) { told.Done() }}
		wg.Go(func() { a.Append(batches[i]) })
	}
	wg.Wait()
	told.Wait()
	won := make(map[store.ConversationID]store.AgentID)
	for i, b := range batches {
		if b.Err != nil {
			wantErr(t, "who came too late", b.Err, store.ErrConflict)
			continue
		}
		if won[b.Contact.ID] != 0 {
			t.Errorf("contact %d is changed by %d and by %d", b.Contact.ID, won[b.Contact.ID], i+1)
		}
		won[b.Contact.ID] = store.AgentID(i + 1)
	}
	for _, id := range []store.ConversationID{k.ID, ok.ID} {
		now, err := a.Contact(d.ctx, id)
		must(t, err)
		want(t, "whose it is", now.Owner, won[id])
		want(t, "what was said", d.transcript(id), []string{fmt.Sprint(won[id])})
	}
}

// What is said again is not kept again; what becomes of the contact with it is.
func contactChangesWithARepetition(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna := d.agent("anna")
	c, k := d.contact("aaaa", nil, "hello")
	accept := next(k, func(ch *store.ContactChange) { ch.State, ch.Owner = 4, anna })
	event := store.Op{Conversation: c, Kind: store.KindContactAssigned, Actor: anna, At: start, Data: []byte("{}")}
	first := d.change(accept, event, repeatOp(c, anna, "id-1", "hi"))
	must(t, first.Err)
	wantErr(t, "the same again", d.change(accept, event, repeatOp(c, anna, "id-1", "hi")).Err, store.ErrConflict)
	wake := next(accept.Contact, func(ch *store.ContactChange) { ch.State = 5 })
	b := d.change(wake, event, repeatOp(c, anna, "id-1", "hi"))
	must(t, b.Err)
	if b.Ops[0].Repeated || b.Ops[0].N != 4 || !b.Ops[1].Repeated || b.Ops[1].Ordinal != first.Ops[1].Ordinal || b.Ops[1].N != 3 {
		t.Errorf("the next change with the same is %+v", b.Ops)
	}
	wantContact(t, "the contact", a, wake.Contact)
	want(t, "the transcript", d.transcript(k.ID), []string{"hello", "{}", "hi", "{}"})
}

// sees compares all ways in which an agent may see messages.
func (d *desk) sees(what string, agent store.AgentID, texts ...string) {
	d.t.Helper()
	got, _ := d.page(store.Page{Agent: agent, Max: 100})
	want(d.t, what, got, texts)
	got, _ = d.page(store.Page{Agent: agent, Max: 100, Backwards: true})
	want(d.t, what+", backwards", got, texts)
	want(d.t, what+", counted", d.count(store.Page{Agent: agent}), len(texts))
}

func contactIsSeen(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna, ben, cleo := d.agent("anna"), d.agent("ben"), d.agent("cleo")
	for _, g := range []store.AgentID{anna, ben, cleo} { // what they see is known from here on, and must not get out of date
		d.sees("nothing yet", g)
	}
	c, k := d.contact("aaaa", func(ch *store.ContactChange) { ch.See, ch.From = []store.AgentID{anna, ben, 99}, 1 }, "m1", "m2")
	d.sees("anna is asked", anna, "m1", "m2")
	d.sees("cleo is not", cleo)
	change := func(change func(*store.ContactChange), actor store.AgentID, texts ...string) {
		t.Helper()
		ch := next(k, change)
		ops := visitorSays(c, texts...)
		for i := range ops {
			ops[i].Actor = actor
		}
		must(t, d.change(ch, ops...).Err)
		k = ch.Contact
	}
	change(func(ch *store.ContactChange) { ch.Owner, ch.Stop = anna, []store.AgentID{ben} }, anna, "m3")
	d.sees("anna has it", anna, "m1", "m2", "m3")
	d.sees("ben is asked no more", ben, "m1", "m2")
	want(t, "anna's inbox", d.inbox(anna, 0, 10), []string{"m1", "m2"})
	last := d.say(c, 0, start, "m4") // a record without a change
	d.sees("more is said", anna, "m1", "m2", "m3", "m4")
	newest, err := a.InboxNewest(d.ctx, anna)
	must(t, err)
	want(t, "the newest in her inbox", newest, last)

	change(func(ch *store.ContactChange) { ch.See, ch.From = []store.AgentID{cleo}, 4 }, 0)
	d.sees("cleo is to have the last of it", cleo, "m4")
	change(func(ch *store.ContactChange) { ch.Owner, ch.Stop = cleo, []store.AgentID{anna} }, cleo, "m5")
	d.sees("cleo has it", cleo, "m4", "m5")
	d.sees("anna had it", anna, "m1", "m2", "m3", "m4")
	want(t, "cleo's inbox", d.inbox(cleo, 0, 10), []string{"m4"})
	change(func(ch *store.ContactChange) { ch.See, ch.From = []store.AgentID{anna, cleo}, 5 }, 0, "m6")
	d.sees("anna comes back", anna, "m1", "m2", "m3", "m4", "m5", "m6")
	d.sees("and takes nothing from cleo", cleo, "m4", "m5", "m6")
	change(func(ch *store.ContactChange) { ch.See = []store.AgentID{ben} }, 0, "m7")
	d.sees("ben sees what he had seen, and what came meanwhile", ben, "m1", "m2", "m3", "m4", "m5", "m6", "m7")

	d = newDesk(t, reopen())
	d.sees("after a start", cleo, "m4", "m5", "m6", "m7")
	c, err = d.OpenContact(d.ctx, k.ID)
	must(t, err)
	d.say(c, 0, start, "m8")
	d.sees("more is said after a start", cleo, "m4", "m5", "m6", "m7", "m8")
	change(func(ch *store.ContactChange) { ch.See, ch.From = []store.AgentID{cleo}, 1 }, 0)
	d.sees("all of it", cleo, "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8")
}

func contactIsHidden(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	before := d.say(d.direct(anna, ben), ben, start, "before")
	c, k := d.contact("aaaa", func(ch *store.ContactChange) { ch.See, ch.From = []store.AgentID{anna}, 1 }, "m1", "m2")
	d.sees("anna is asked", anna, "before", "m1", "m2")
	ch := next(k, func(ch *store.ContactChange) { ch.Hide = []store.AgentID{anna, ben} })
	must(t, d.change(ch, visitorSays(c, "m3")...).Err)
	check := func() {
		t.Helper()
		d.sees("anna is asked no more", anna, "before")
		want(t, "her inbox", d.inbox(anna, 0, 10), []string{"before"})
		newest, err := d.InboxNewest(d.ctx, anna)
		must(t, err)
		want(t, "the newest in it", newest, before)
		got, _ := d.page(store.Page{Agent: anna, With: k.ID, Max: 10})
		want(t, "the contact alone", len(got), 0)
		// The id of what she saw is good for paging, one that nobody could give her is not.
		visible, err := d.Visible(d.ctx, anna, before+1)
		must(t, err)
		want(t, "what she saw is good for paging", visible, true)
		visible, err = d.Visible(d.ctx, ben, before+1)
		must(t, err)
		want(t, "what he never saw is good for paging", visible, false)
	}
	check()
	d = newDesk(t, reopen())
	check()
	c, err := d.OpenContact(d.ctx, k.ID)
	must(t, err)
	d.say(c, 0, start, "m4")
	must(t, d.change(next(ch.Contact, func(ch *store.ContactChange) { ch.See, ch.From = []store.AgentID{anna}, 4 })).Err)
	d.sees("anna is asked again, for what follows", anna, "before", "m4")
}

func contactsAreListed(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	const count = 40
	var all []store.Contact
	for i := range count {
		_, k := d.contact(fmt.Sprintf("a%03d", i), func(ch *store.ContactChange) {
			// Two are made at the same time, and some are not in the order of their ids.
			ch.Created = start.Add(time.Duration((i+i%3*4)/2) * time.Minute)
			ch.State, ch.Owner, ch.Visitor, ch.Outcome = uint8(1+i%5), store.AgentID(i%3), fmt.Sprint("v", i%7), []string{"", "abandoned", "successful"}[i%3]
			if ch.Live = i%4 > 0; !ch.Live {
				ch.Ended = ch.Created.Add(time.Hour)
			}
		})
		all = append(all, k)
	}
	slices.SortFunc(all, func(x, y store.Contact) int {
		if n := y.Created.Compare(x.Created); n != 0 {
			return n
		}
		return int(y.ID - x.ID)
	})
	check := func(what string, q store.ContactQuery, wants func(*store.Contact) bool) {
		t.Helper()
		var wanted, got []store.Contact
		for _, k := range all {
			if wants(&k) {
				wanted = append(wanted, k)
			}
		}
		for q.Max = 3; ; { // page by page
			some, err := d.Contacts(d.ctx, q)
			must(t, err)
			got = append(got, some...)
			if len(some) < q.Max {
				break
			}
			q.Before = some[len(some)-1].ID
		}
		want(t, what, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", wanted))
	}
	since, until := start.Add(5*time.Minute), start.Add(15*time.Minute)
	for range 2 {
		check("all", store.ContactQuery{}, func(*store.Contact) bool { return true })
		check("live", store.ContactQuery{Live: true}, func(k *store.Contact) bool { return k.Live })
		check("of a state", store.ContactQuery{States: []uint8{3}}, func(k *store.Contact) bool { return k.State == 3 })
		check("of some states", store.ContactQuery{States: []uint8{5, 1, 5, 77}}, func(k *store.Contact) bool { return k.State == 5 || k.State == 1 })
		check("an agent's", store.ContactQuery{Owner: 2}, func(k *store.Contact) bool { return k.Owner == 2 })
		check("a visitor's", store.ContactQuery{Visitor: "v3"}, func(k *store.Contact) bool { return k.Visitor == "v3" })
		check("nobody's", store.ContactQuery{Visitor: "v9"}, func(*store.Contact) bool { return false })
		check("of an outcome", store.ContactQuery{Outcome: "abandoned"}, func(k *store.Contact) bool { return k.Outcome == "abandoned" })
		check("of a time", store.ContactQuery{Since: since, Until: until}, func(k *store.Contact) bool {
			return !k.Created.Before(since) && !k.Created.After(until)
		})
		check("all at once", store.ContactQuery{Live: true, States: []uint8{1, 2, 3}, Owner: 1, Outcome: "abandoned", Since: since},
			func(k *store.Contact) bool {
				return k.Live && k.State <= 3 && k.Owner == 1 && k.Outcome == "abandoned" && !k.Created.Before(since)
			})
		d = newDesk(t, reopen())
	}
	// One that was shredded meanwhile is still a place in the list.
	at := all[10]
	must(t, d.Shred(d.ctx, at.ID))
	some, err := d.Contacts(d.ctx, store.ContactQuery{Before: at.ID, Max: 100})
	must(t, err)
	if len(some) == 0 || len(some) >= count || slices.ContainsFunc(some, func(k store.Contact) bool { return k.ID == at.ID }) {
		t.Errorf("after one that was shredded there are %d", len(some))
	}
	some, err = d.Contacts(d.ctx, store.ContactQuery{})
	must(t, err)
	want(t, "none", len(some), 0)
}

func contactNeverBegunIsGone(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	c, err := a.NewContact(d.ctx)
	must(t, err)
	_, err = a.Contact(d.ctx, c.ID())
	wantErr(t, "a contact that was not kept yet", err, store.ErrNotFound)
	must(t, d.append(visitorSays(c, "is anybody here?")...).Err)
	must(t, a.Verify(d.ctx, true))
	d = newDesk(t, reopen())
	_, err = d.OpenContact(d.ctx, c.ID())
	wantErr(t, "opening it after a start", err, store.ErrNotFound)
	s, err := d.Conversation(d.ctx, c.ID())
	must(t, err)
	want(t, "it is shredded", s.Shredded, true)
	var left []string
	must(t, d.Read(d.ctx, 0, 100, func(e *store.Entry) error {
		if e.Conversation == c.ID() {
			left = append(left, string(e.Data))
		}
		return nil
	}))
	want(t, "what is left of it", len(left), 0)
	must(t, d.Verify(d.ctx, true))
}

func shreddedContactIsGone(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna := d.agent("anna")
	see := func(ch *store.ContactChange) { ch.See, ch.From = []store.AgentID{anna}, 1 }
	c, k := d.contact("aaaa", see, "m1", "m2")
	_, kept := d.contact("bbbb", see, "kept")
	d.sees("both", anna, "m1", "m2", "kept")
	must(t, a.Hold(d.ctx, k.ID, time.Now().Add(time.Hour)))
	wantErr(t, "shredding what is held", a.Shred(d.ctx, k.ID), store.ErrConflict)
	must(t, a.Hold(d.ctx, k.ID, time.Time{}))
	must(t, a.Shred(d.ctx, k.ID))
	wantErr(t, "changing what was shredded", d.change(next(k, func(*store.ContactChange) {})).Err, store.ErrNotFound)
	wantErr(t, "saying more in it", d.append(visitorSays(c, "late")...).Err, store.ErrNotFound)
	for range 2 {
		d.sees("one is gone", anna, "kept")
		_, err := d.Contact(d.ctx, k.ID)
		wantErr(t, "the contact", err, store.ErrNotFound)
		_, err = d.ContactAt(d.ctx, k.Address)
		wantErr(t, "its address", err, store.ErrNotFound)
		_, err = d.OpenContact(d.ctx, k.ID)
		wantErr(t, "opening it", err, store.ErrNotFound)
		list, err := d.Contacts(d.ctx, store.ContactQuery{Max: 10})
		must(t, err)
		want(t, "the list", fmt.Sprintf("%+v", list), fmt.Sprintf("%+v", []store.Contact{kept}))
		must(t, d.Verify(d.ctx, true))
		d = newDesk(t, reopen())
	}
}

func deletedAgentLeavesContacts(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna := d.agent("anna")
	c, k := d.contact("aaaa", func(ch *store.ContactChange) { ch.Owner, ch.See, ch.From = anna, []store.AgentID{anna}, 1 }, "m1")
	d.sees("hers", anna, "m1")
	must(t, a.DeleteAgent(d.ctx, anna))
	wantContact(t, "the contact", a, k)
	ch := next(k, func(ch *store.ContactChange) { ch.See, ch.Stop = []store.AgentID{anna}, []store.AgentID{anna} })
	must(t, d.change(ch, visitorSays(c, "m2")...).Err)
	d.sees("nobody's", anna)
	want(t, "the transcript", d.transcript(k.ID), []string{"m1", "m2"})
	must(t, a.Verify(d.ctx, true))
}
