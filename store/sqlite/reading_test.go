package sqlite

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"parley.im/parley/store"
	"parley.im/parley/store/storetest"
)

// A page costs what it yields, however much there is: so many rows are looked at for
// fifty of forty thousand.
func TestPageCostsWhatItYields(t *testing.T) {
	const records, wanted = 40_000, 50
	for _, test := range []struct {
		layout
		rows int64
	}{
		{layout{"finished", 20, 8}, 400}, // a fifth is hers
		{layout{"short", 2, 8}, 3000},    // a fiftieth
		{layout{"longLived", 20, 0}, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := test.filling(records)
			f.Conversations = 400
			f.Active = cmp.Or(test.active, f.Conversations)
			a := openTest(t, nil)
			fillSized(t, a, f)
			me := f.Agents[0].ID
			with, err := a.FindDirect(t.Context(), me, f.Agents[f.Conversations/2].ID)
			if err != nil {
				t.Fatal(err)
			}
			for name, p := range map[string]store.Page{
				"first": {}, "last": {Backwards: true},
				"after": {After: records / 2}, "before": {Before: records / 2, Backwards: true},
				"by time": {Start: f.At(records / 2)}, "by time, backwards": {End: f.At(records / 2), Backwards: true},
				"with": {With: with}, "only": {Only: []store.ConversationID{with}, Backwards: true},
				"an inbox of nothing new": {After: records},
			} {
				p.Agent, p.Max = me, wanted
				r, err := a.pageReading(t.Context(), &p, wanted)
				found, most := 0, test.rows
				if !p.Start.IsZero() || !p.End.IsZero() {
					most += spanSize
				}
				for err == nil && !r.ended && found < wanted {
					var rs []record
					rs, err = r.some(t.Context(), wanted-found)
					found += len(rs)
				}
				if err != nil || found == 0 && p.After < records || r.rows > most {
					t.Errorf("%s: %d records for %d rows, want at most %d, %v", name, found, r.rows, most, err)
				}
			}
		})
	}
}

// Looking through the log and merging conversations come to the same.
func TestBothWaysOfReading(t *testing.T) {
	const records = 4000
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, l := range []layout{{"finished", 40, 5}, {"short", 3, 5}, {"longLived", 40, 0}} {
		t.Run(l.name, func(t *testing.T) {
			f := l.filling(records)
			f.Conversations = 40
			f.Active = cmp.Or(l.active, f.Conversations)
			a := openTest(t, nil)
			fillSized(t, a, f)
			for range 150 {
				p := randomPage(rnd, f)
				looked, merged := readBy(t, a, p, true), readBy(t, a, p, false)
				if !slices.Equal(looked, merged) {
					t.Fatalf("%+v: looking through the log finds %d, merging %d:\n%v\n%v", p, len(looked), len(merged), looked, merged)
				}
			}
		})
	}
}

func randomPage(rnd *rand.Rand, f *storetest.Filling) store.Page {
	p := store.Page{Agent: f.Agents[rnd.IntN(3)].ID, Max: 1 + rnd.IntN(300), Backwards: rnd.IntN(2) == 0}
	for _, set := range []func(){
		func() { p.After = store.Ordinal(rnd.IntN(f.Records)) },
		func() { p.Before = store.Ordinal(rnd.IntN(f.Records)) },
		func() { p.Start = f.At(rnd.IntN(f.Records)) },
		func() { p.End = f.At(rnd.IntN(f.Records)) },
		func() { p.With = store.ConversationID(2 + rnd.IntN(f.Conversations)) },
		func() { p.Only = []store.ConversationID{2, 3, store.ConversationID(4 + rnd.IntN(f.Conversations))} },
		func() { p.Except = []store.ConversationID{store.ConversationID(2 + rnd.IntN(f.Conversations))} },
	} {
		if rnd.IntN(4) == 0 {
			set()
		}
	}
	return p
}

// readBy reads a page, as its ordinals. It begins in the one way or the other.
func readBy(t *testing.T, a *Account, p store.Page, looking bool) (all []store.Ordinal) {
	t.Helper()
	r, err := a.pageReading(t.Context(), &p, p.Max)
	r.looking, r.values = looking, true
	for err == nil && !r.ended && len(all) < p.Max {
		var rs []record
		rs, err = r.some(t.Context(), p.Max-len(all))
		for i := range rs {
			all = append(all, rs[i].entry.Ordinal)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Whose conversations are whose is read once, and then only what has changed.
func TestViewIsReadOnce(t *testing.T) {
	a := openTest(t, nil)
	f := layouts[0].filling(200)
	f.Conversations, f.Said, f.Active = 20, 5, 20
	fillSized(t, a, f)
	me := f.Agents[0].ID
	view := func() *view {
		v, err := a.view(t.Context(), me)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first := view()
	if view() != first {
		t.Error("what has not changed was read again")
	}
	c, err := a.Direct(t.Context(), me, f.Agents[7].ID)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	a.Append(&store.Batch{Ops: []store.Op{message(c.(*conversation), "new")}, Done: func(*store.Batch) { close(done) }})
	<-done
	second := view()
	if newest := second.byLast[0]; newest.id != c.ID() || newest.last != int64(a.Newest()) {
		t.Errorf("the newest conversation is %d, want %d", newest.id, c.ID())
	}
	for _, s := range second.byFirst {
		if s.id != c.ID() && !slices.Contains(first.byFirst, s) {
			t.Errorf("conversation %d has not changed, and was read again", s.id)
		}
	}
}

// Records that are too large to be read along, or to be held all at once, are in their
// places nevertheless.
func TestLargeRecordsArePaged(t *testing.T) {
	a := openTest(t, nil)
	c := selfTalk(t, a, "anna")
	var want []string
	b := &store.Batch{}
	for i := range 45 {
		size := []int{10, alongMax + 10, 200 << 10}[i%3]
		text := fmt.Sprint(i, " ", string(bytes.Repeat([]byte{'x'}, size)))
		want = append(want, text)
		b.Ops = append(b.Ops, message(c, text))
	}
	done := make(chan struct{})
	b.Done = func(*store.Batch) { close(done) }
	a.Append(b)
	<-done
	for _, looking := range []bool{false, true} {
		for _, backwards := range []bool{false, true} {
			for _, limit := range []int{7, 44, 45, 100} {
				p := store.Page{Agent: c.a, Max: limit, Backwards: backwards}
				r, err := a.pageReading(t.Context(), &p, limit)
				if err != nil {
					t.Fatal(err)
				}
				r.looking, r.values = looking, true
				read, part := a.pull, want[:min(limit, len(want))]
				if backwards {
					read, part = a.pageBack, want[max(len(want)-limit, 0):]
				}
				var got []string
				complete, err := read(t.Context(), r, limit, func(e *store.Entry) error {
					got = append(got, string(e.Data))
					return nil
				})
				if err != nil || !slices.Equal(got, part) || complete != (limit >= len(want)) {
					t.Errorf("looking %t, backwards %t, %d: %d records, complete %t, %v", looking, backwards, limit, len(got), complete, err)
				}
			}
		}
	}
}
