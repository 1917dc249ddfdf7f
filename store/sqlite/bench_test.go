package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
)

// BenchmarkAppend is the cost of a sealed message of 250 bytes, by how many are
// committed together and over how many conversations they spread. cpu-ns/message is
// the whole process's, checkpoints included.
func BenchmarkAppend(b *testing.B) {
	for _, pairs := range []int{1, 50, 1000} {
		for _, group := range []int{1, 10, 100, 1000} {
			b.Run(fmt.Sprintf("pairs=%d/group=%d", pairs, group), func(b *testing.B) { benchmarkAppend(b, pairs, group) })
		}
	}
}

func benchmarkAppend(b *testing.B, pairs, group int) {
	ctx := context.Background()
	a := benchAccount(b)
	names := make([]string, 2*pairs)
	for i := range names {
		names[i] = fmt.Sprint("agent", i)
	}
	if _, err := a.ImportAgents(ctx, names, "", make([]store.Credential, len(names))); err != nil {
		b.Fatal(err)
	}
	all, err := a.Agents(ctx)
	if err != nil {
		b.Fatal(err)
	}
	conversations := make([]store.Conversation, pairs)
	var open sync.WaitGroup
	for i := range conversations {
		open.Go(func() {
			var err error
			if conversations[i], err = a.Direct(ctx, all[2*i].ID, all[2*i+1].ID); err != nil {
				b.Error(err)
			}
		})
	}
	open.Wait()
	data := make([]byte, 250)
	done := make(chan struct{})
	batch := &store.Batch{Ops: make([]store.Op, group), Done: func(*store.Batch) { done <- struct{}{} }}
	b.ReportAllocs()
	b.ResetTimer()
	next := 0
	before := used(b)
	for b.Loop() {
		now := time.Now()
		for i := range batch.Ops {
			batch.Ops[i] = store.Op{Conversation: conversations[next%pairs], Kind: store.KindMessage, Actor: all[0].ID, At: now,
				Data: data, RepeatID: strconv.Itoa(next), Content: data}
			next++
		}
		a.Append(batch)
		if <-done; batch.Err != nil {
			b.Fatal(batch.Err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(next), "ns/message")
	b.ReportMetric(float64((used(b)-before).Nanoseconds())/float64(next), "cpu-ns/message")
}

func benchAccount(b *testing.B) *sqlite.Account {
	dir := b.TempDir()
	k, err := keys.Open(b.Context(), keys.Config{Dir: dir + "/keys", Account: "bench", Root: seal.NewKey()})
	if err != nil {
		b.Fatal(err)
	}
	a, err := sqlite.Open(b.Context(), sqlite.Config{Dir: dir + "/data", Account: "bench", Keys: k, Sealed: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(a.Close(), k.Close()); err != nil {
			b.Error(err)
		}
	})
	return a
}

// BenchmarkPage is the cost of 50 entries of an archive of 100,000 in 200
// conversations.
func BenchmarkPage(b *testing.B) {
	ctx := b.Context()
	a := benchAccount(b)
	const others, rounds, start = 200, 500, 1_700_000_000
	names := make([]string, others+1)
	for i := range names {
		names[i] = fmt.Sprintf("agent%04d", i)
	}
	if _, err := a.ImportAgents(ctx, names, "", make([]store.Credential, len(names))); err != nil {
		b.Fatal(err)
	}
	all, err := a.Agents(ctx)
	if err != nil {
		b.Fatal(err)
	}
	me := all[0].ID
	var wg sync.WaitGroup
	for i := range rounds {
		batch := &store.Batch{Done: func(*store.Batch) { wg.Done() }}
		for _, other := range all[1:] {
			c, err := a.Direct(ctx, me, other.ID)
			if err != nil {
				b.Fatal(err)
			}
			batch.Ops = append(batch.Ops, store.Op{Conversation: c, Kind: store.KindMessage, Actor: other.ID,
				At: time.Unix(start+int64(i), 0), Data: make([]byte, 250)})
		}
		wg.Add(1)
		a.Append(batch)
	}
	wg.Wait()
	for _, test := range []struct {
		name string
		page store.Page
	}{
		{"last", store.Page{Backwards: true}},
		{"first", store.Page{}},
		{"middle", store.Page{After: others * rounds / 2}},
		{"byTime", store.Page{Start: time.Unix(start+rounds/2, 0), End: time.Unix(start+rounds/2+100, 0), Backwards: true}},
	} {
		b.Run(test.name, func(b *testing.B) {
			test.page.Agent, test.page.Max = me, 50
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				if _, err := a.Page(ctx, test.page, func(*store.Entry) error { n++; return nil }); err != nil || n != 50 {
					b.Fatal(n, err)
				}
			}
		})
	}
	b.Run("inbox", func(b *testing.B) {
		for b.Loop() {
			n := 0
			if err := a.Inbox(ctx, me, others*rounds-50, 100, func(*store.Entry) error { n++; return nil }); err != nil || n != 50 {
				b.Fatal(n, err)
			}
		}
	})
}

// used is the process's CPU time.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
