package sqlite_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
)

// Pages, counts and inboxes of random talk are what going through the whole log in the
// plainest way gives, whichever way the engine takes.
func TestPagesAgainstTheWholeLog(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			f := newFiles(t)
			f.open()
			talk := newTalk(f)
			// What was read is cached, and must not be out of date.
			for part := range 3 {
				talk.goesOn(rnd, 40*part, 40*(part+1))
				talk.check(rnd)
				switch part {
				case 0:
					talk.hides(rnd)
				case 1:
					talk.loses(rnd)
				}
				talk.check(rnd)
			}
			if err := f.store.Verify(t.Context(), true); err != nil {
				t.Error(err)
			}
		})
	}
}

type talk struct {
	*files
	agents []store.AgentID
	log    []store.Entry
	pairs  map[store.ConversationID][2]store.AgentID
	hidden map[store.ConversationID]bool // from the first agent
}

const talkStart = 1_700_000_000

func newTalk(f *files) *talk {
	f.t.Helper()
	x := &talk{files: f, pairs: make(map[store.ConversationID][2]store.AgentID), hidden: make(map[store.ConversationID]bool)}
	if _, err := f.store.ImportAgents(f.t.Context(), names(30), "", make([]store.Credential, 30)); err != nil {
		f.t.Fatal(err)
	}
	for i := range 30 {
		x.agents = append(x.agents, store.AgentID(i+1))
	}
	return x
}

// goesOn appends random talk: the first agent talks with many others, some of whom talk
// for a while only; others talk among themselves.
func (x *talk) goesOn(rnd *rand.Rand, from, to int) {
	f := x.files
	f.t.Helper()
	var wg sync.WaitGroup
	for round := from; round < to; round++ {
		b := &store.Batch{Done: func(b *store.Batch) {
			if b.Err != nil {
				f.t.Error(b.Err)
			}
			wg.Done()
		}}
		for range rnd.IntN(60) {
			p := [2]store.AgentID{x.agents[0], x.agents[rnd.IntN(1+round%30)]}
			if rnd.IntN(3) == 0 {
				p = [2]store.AgentID{x.agents[10+rnd.IntN(5)], x.agents[20+rnd.IntN(10)]}
			}
			c := f.direct(p[0], p[1])
			x.pairs[c.ID()] = p
			kind := store.KindMessage
			if rnd.IntN(20) == 0 && p[1]%3 == 0 {
				kind = store.KindAgentAvailable
			}
			b.Ops = append(b.Ops, store.Op{Conversation: c, Kind: kind, Actor: p[rnd.IntN(2)], Data: []byte("x"),
				At: time.Unix(talkStart+int64(round)+rnd.Int64N(5), 0)})
		}
		wg.Add(1)
		f.store.Append(b)
	}
	wg.Wait()
	x.reread()
}

// loses shreds some conversations.
func (x *talk) loses(rnd *rand.Rand) {
	x.t.Helper()
	for _, id := range slices.Sorted(maps.Keys(x.pairs)) {
		if rnd.IntN(8) > 0 {
			continue
		}
		if err := x.store.Shred(x.t.Context(), id); err != nil {
			x.t.Fatal(err)
		}
	}
	x.reread()
}

// hides hides some conversations from the first agent, which is nothing that a running
// store does yet.
func (x *talk) hides(rnd *rand.Rand) {
	for _, id := range slices.Sorted(maps.Keys(x.pairs)) {
		if p := x.pairs[id]; p[0] == x.agents[0] && rnd.IntN(7) == 0 {
			x.hidden[id] = true
			x.sql("UPDATE member SET hidden = 1 WHERE agent = ? AND conversation = ?", int64(p[0]), int64(id))
		}
	}
	x.files.close()
	x.files.open()
	if err := x.store.Accept(x.t.Context()); err != nil {
		x.t.Fatal(err)
	}
}

func (x *talk) reread() {
	x.log = x.log[:0]
	if err := x.store.Read(x.t.Context(), 0, 1<<20, func(e *store.Entry) error {
		x.log = append(x.log, *e)
		return nil
	}); err != nil {
		x.t.Fatal(err)
	}
}

// sees is the plain rule.
func (x *talk) sees(agent store.AgentID, e *store.Entry) bool {
	p, ok := x.pairs[e.Conversation]
	return ok && e.Kind == store.KindMessage && (p[0] == agent || p[1] == agent) &&
		!(agent == x.agents[0] && x.hidden[e.Conversation])
}

func (x *talk) check(rnd *rand.Rand) {
	x.t.Helper()
	for range 60 {
		x.checkPage(rnd)
	}
	for range 10 {
		x.checkInbox(rnd)
	}
}

func (x *talk) checkPage(rnd *rand.Rand) {
	x.t.Helper()
	p := store.Page{Agent: x.agents[[]int{0, 0, 3, 12, 22}[rnd.IntN(5)]], Max: rnd.IntN(80), Backwards: rnd.IntN(2) == 0}
	ordinal := func() store.Ordinal { return store.Ordinal(rnd.IntN(int(x.store.Newest()) + 10)) }
	at := func() time.Time { return time.Unix(talkStart-2+rnd.Int64N(130), 0) }
	if rnd.IntN(3) == 0 {
		p.After = ordinal()
	}
	if rnd.IntN(3) == 0 {
		p.Before = ordinal()
	}
	if rnd.IntN(4) == 0 {
		p.Start = at()
	}
	if rnd.IntN(4) == 0 {
		p.End = at()
	}
	if rnd.IntN(4) == 0 {
		p.With = x.log[rnd.IntN(len(x.log))].Conversation
	}
	if rnd.IntN(6) == 0 {
		p.Only = x.some(rnd)
	}
	if rnd.IntN(6) == 0 {
		p.Except = x.some(rnd)
	}
	var all []store.Ordinal
	for i := range x.log {
		e := &x.log[i]
		if (p.Only == nil || slices.Contains(p.Only, e.Conversation)) && !slices.Contains(p.Except, e.Conversation) &&
			x.sees(p.Agent, e) && e.Ordinal > p.After && (p.Before == 0 || e.Ordinal < p.Before) && (p.With == 0 || e.Conversation == p.With) &&
			(p.Start.IsZero() || !e.At.Before(p.Start)) && (p.End.IsZero() || !e.At.After(p.End)) {
			all = append(all, e.Ordinal)
		}
	}
	want := all[:min(p.Max, len(all))]
	if p.Backwards {
		want = all[max(0, len(all)-p.Max):]
	}
	var got []store.Ordinal
	complete, err := x.store.Page(x.t.Context(), p, func(e *store.Entry) error {
		got = append(got, e.Ordinal)
		return nil
	})
	if err != nil || !slices.Equal(got, want) || complete != (len(want) == len(all)) {
		x.t.Fatalf("Page(%+v) = %v, %v, %v, want %v of %d", p, got, complete, err, want, len(all))
	}
	if n, err := x.store.Count(x.t.Context(), p); err != nil || n != len(all) {
		x.t.Fatalf("Count(%+v) = %d, %v, want %d", p, n, err, len(all))
	}
}

// some are conversations of the log, one or a few.
func (x *talk) some(rnd *rand.Rand) (ids []store.ConversationID) {
	for range 1 + rnd.IntN(8) {
		ids = append(ids, x.log[rnd.IntN(len(x.log))].Conversation)
	}
	return ids
}

func (x *talk) checkInbox(rnd *rand.Rand) {
	x.t.Helper()
	agent, after, limit := x.agents[[]int{0, 3, 12}[rnd.IntN(3)]], store.Ordinal(rnd.IntN(len(x.log))), rnd.IntN(50)
	var want, got []store.Ordinal
	for i := range x.log {
		e := &x.log[i]
		self := x.pairs[e.Conversation] == [2]store.AgentID{agent, agent}
		if x.sees(agent, e) && e.Ordinal > after && (e.Actor != agent || self) && len(want) < limit {
			want = append(want, e.Ordinal)
		}
	}
	if err := x.store.Inbox(x.t.Context(), agent, after, limit, func(e *store.Entry) error {
		got = append(got, e.Ordinal)
		return nil
	}); err != nil || !slices.Equal(got, want) {
		x.t.Fatalf("Inbox(%d, %d, %d) = %v, %v, want %v", agent, after, limit, got, err, want)
	}
}
