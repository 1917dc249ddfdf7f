package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
)

func appendNumbersWithoutGaps(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	const pairs, each = 4, 100
	conversations := make([]store.Conversation, pairs)
	for i := range conversations {
		conversations[i] = d.direct(d.agent(fmt.Sprint("a", i)), d.agent(fmt.Sprint("b", i)))
	}
	first := a.Newest() + 1
	var told collector
	var wg sync.WaitGroup
	for _, c := range conversations {
		for range 2 {
			wg.Go(func() {
				for i := range each {
					a.Append(told.batch(said(c, 1, start, fmt.Sprint(i))))
				}
			})
		}
	}
	wg.Wait()
	told.wg.Wait()
	n := make(map[store.ConversationID]int64)
	next := first
	for _, b := range told.told {
		must(t, b.Err)
		op := b.Ops[0]
		n[op.Conversation.ID()]++
		if op.Ordinal != next || op.N != n[op.Conversation.ID()] {
			t.Fatalf("record has ordinal %d and n %d, want %d and %d", op.Ordinal, op.N, next, n[op.Conversation.ID()])
		}
		next++
	}
	want(t, "the newest ordinal", a.Newest(), next-1)
}

func donesComeInOrder(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	c := d.direct(d.agent("anna"), d.agent("ben"))
	var told collector
	for i := range 700 { // more than one group
		a.Append(told.batch(said(c, 1, start, fmt.Sprint(i)), said(c, 1, start, fmt.Sprint(i, " too"))))
	}
	told.wg.Wait()
	last := store.Ordinal(0)
	for i, b := range told.told {
		if b.Ops[0].Ordinal <= last || b.Ops[1].Ordinal != b.Ops[0].Ordinal+1 {
			t.Fatalf("batch %d has ordinals %d and %d after %d", i, b.Ops[0].Ordinal, b.Ops[1].Ordinal, last)
		}
		last = b.Ops[1].Ordinal
		if got := string(b.Ops[0].Data); got != fmt.Sprint(i) {
			t.Fatalf("batch %d is the one that holds %q", i, got)
		}
	}
}

func groupIsToldAfterItsDones(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	c := d.direct(d.agent("anna"), d.agent("ben"))
	var dones, seen int // both are the dispatcher's
	all := make(chan struct{})
	a.OnGroup(func() {
		if seen = dones; seen == 100 {
			close(all)
		}
	})
	for range 100 {
		a.Append(&store.Batch{Ops: []store.Op{said(c, 1, start, "x")}, Done: func(*store.Batch) { dones++ }})
	}
	<-all
}

func batchIsAllOrNothing(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben, cleo := d.agent("anna"), d.agent("ben"), d.agent("cleo")
	good, gone := d.direct(anna, ben), d.direct(anna, cleo)
	must(t, a.Shred(d.ctx, gone.ID()))
	before := a.Newest()
	b := d.append(said(good, anna, start, "one"), said(gone, anna, start, "two"))
	wantErr(t, "a batch with a shredded conversation", b.Err, store.ErrNotFound)
	want(t, "the newest ordinal", a.Newest(), before)
	want(t, "what is kept", len(d.transcript(good.ID())), 0)
	d.say(good, anna, start, "three")
	want(t, "what is kept", d.transcript(good.ID()), []string{"three"})
}

func emptyBatchIsDecided(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	want(t, "the error of an empty batch", d.append().Err, nil)
}

func repeatOp(c store.Conversation, actor store.AgentID, id, text string) store.Op {
	op := said(c, actor, start, text)
	op.RepeatID, op.Content = id, []byte(text)
	return op
}

func repeatIsNotAppendedAgain(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	c := d.direct(anna, ben)
	first := repeatOp(c, anna, "id-1", "hello")
	first.At = time.Now()
	one := d.append(first).Ops[0]
	again := d.append(repeatOp(c, anna, "id-1", "hello")).Ops[0]
	if !again.Repeated || again.Ordinal != one.Ordinal || again.N != one.N {
		t.Errorf("the same again is %+v, want the first's ordinal %d and n %d", again, one.Ordinal, one.N)
	}
	for what, op := range map[string]store.Op{
		"other content": repeatOp(c, anna, "id-1", "hello!"),
		"another id":    repeatOp(c, anna, "id-2", "hello"),
		"another actor": repeatOp(c, ben, "id-1", "hello"),
		"no id":         said(c, anna, start, "hello"),
	} {
		if d.append(op).Ops[0].Repeated {
			t.Errorf("%s is taken for a repetition", what)
		}
	}
	d = newDesk(t, reopen())
	again = d.append(repeatOp(d.direct(anna, ben), anna, "id-1", "hello")).Ops[0]
	if !again.Repeated || again.Ordinal != one.Ordinal {
		t.Errorf("the same again after a start is %+v, want the first's ordinal %d", again, one.Ordinal)
	}
}

func repeatWithinOneBatch(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna := d.agent("anna")
	c := d.direct(anna, d.agent("ben"))
	ops := d.append(repeatOp(c, anna, "id", "hello"), repeatOp(c, anna, "id", "hello")).Ops
	if ops[0].Repeated || !ops[1].Repeated || ops[0].Ordinal != ops[1].Ordinal {
		t.Errorf("two of the same in one batch are %+v", ops)
	}
	want(t, "the transcript", d.transcript(c.ID()), []string{"hello"})
}

func watchTellsOfGrowth(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	c := d.direct(d.agent("anna"), d.agent("ben"))
	ch := make(chan struct{}, 1)
	stop := a.Watch(ch)
	o := d.say(c, 1, start, "hello")
	<-ch
	if a.Newest() < o {
		t.Errorf("the newest ordinal is %d when told of %d", a.Newest(), o)
	}
	stop()
	d.say(c, 1, start, "hello")
	d.append()
	select {
	case <-ch:
		t.Error("told after the watch has ended")
	default:
	}
}

func logIsReadFromACursor(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	c := d.direct(anna, ben)
	j, err := a.Journal(d.ctx)
	must(t, err)
	before := a.Newest()
	var wanted []string
	for i := range 600 {
		text := fmt.Sprint("message ", i)
		wanted = append(wanted, text)
		d.say(c, anna, start.Add(time.Duration(i)*time.Second), text)
	}
	b := d.append(store.Op{Conversation: j, Kind: store.KindAgentAvailable, Actor: ben, At: start, Data: []byte("{}")})
	must(t, b.Err)
	wanted = append(wanted, "{}")
	var got []string
	must(t, a.Read(d.ctx, before, 1000, texts(&got)))
	want(t, "the log", got, wanted)
	got = nil
	must(t, a.Read(d.ctx, before+10, 5, texts(&got)))
	want(t, "five after the tenth", got, wanted[10:15])

	var e store.Entry
	must(t, a.Entries(d.ctx, []store.Ordinal{before + 3, b.Ops[0].Ordinal + 99}, func(x *store.Entry) error {
		e = *x
		e.Data, e.Clear = nil, false // which differs between profiles
		return nil
	}))
	want(t, "an entry", fmt.Sprintf("%+v", e), fmt.Sprintf("%+v", store.Entry{Ordinal: before + 3, Conversation: c.ID(), N: 3,
		At: start.Add(2 * time.Second), Kind: store.KindMessage, Actor: anna}))
}

func closedTakesNothing(t *testing.T, open Open) {
	a, _ := open(t)
	d := newDesk(t, a)
	c := d.direct(d.agent("anna"), d.agent("ben"))
	must(t, a.Close())
	must(t, a.Close())
	wantErr(t, "a batch after Close", d.append(said(c, 1, start, "late")).Err, store.ErrUnavailable)
	wantErr(t, "SetSetting after Close", a.SetSetting(d.ctx, "a", "b"), store.ErrUnavailable)
	_, err := a.Agents(d.ctx)
	wantErr(t, "Agents after Close", err, store.ErrUnavailable)
}
