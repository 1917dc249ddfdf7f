package sqlite_test

import (
	"context"
	"fmt"
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
// committed together and over how many conversations they spread.
func BenchmarkAppend(b *testing.B) {
	for _, pairs := range []int{1, 50, 1000} {
		for _, group := range []int{1, 10, 100, 500} {
			b.Run(fmt.Sprintf("pairs=%d/group=%d", pairs, group), func(b *testing.B) { benchmarkAppend(b, pairs, group) })
		}
	}
}

func benchmarkAppend(b *testing.B, pairs, group int) {
	ctx := context.Background()
	dir := b.TempDir()
	k, err := keys.Open(ctx, keys.Config{Dir: dir + "/keys", Account: "bench", Root: seal.NewKey()})
	if err != nil {
		b.Fatal(err)
	}
	defer k.Close()
	a, err := sqlite.Open(ctx, sqlite.Config{Dir: dir + "/data", Account: "bench", Keys: k, Sealed: true})
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
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
	batches := make([]store.Batch, group)
	var done sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	next := 0
	before := used(b)
	for b.Loop() {
		done.Add(group)
		now := time.Now()
		for i := range batches {
			c := conversations[next%pairs]
			next++
			batches[i].Ops = append(batches[i].Ops[:0], store.Op{Conversation: c, Kind: store.KindMessage, Actor: all[0].ID, At: now,
				Data: data, RepeatID: fmt.Sprint(next), Content: data})
			batches[i].Done = func(*store.Batch) { done.Done() }
			a.Append(&batches[i])
		}
		done.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(next), "ns/message")
	b.ReportMetric(float64((used(b)-before).Nanoseconds())/float64(next), "cpu-ns/message")
	if b.N > 0 && batches[0].Err != nil {
		b.Fatal(batches[0].Err)
	}
}

// used is the process's CPU time.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
