package backup_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"parley.im/parley/store"
)

// BenchmarkIncrement is what a record costs that is copied, in the making: read, written
// into a piece, sealed. All of the account's other rows are read each time, too.
func BenchmarkIncrement(b *testing.B) {
	for _, records := range []int{1_000, 50_000} {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			p := newPlace(b, true)
			var used time.Duration
			for b.Loop() {
				b.StopTimer()
				p.sayMany(b, records)
				b.StartTimer()
				before := cpuTime(b)
				if err := p.keeper.Make(b.Context(), false); err != nil {
					b.Fatal(err)
				}
				used += cpuTime(b) - before
			}
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N*records), "cpu-ns/record")
		})
	}
}

// cpuTime is what the process has used so far.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (p *place) sayMany(b *testing.B, records int) {
	c, err := p.store.Direct(b.Context(), p.agents[0], p.agents[1])
	if err != nil {
		b.Fatal(err)
	}
	const batch = 500
	done := make(chan error, 1)
	text := make([]byte, 300)
	for range records / batch {
		ops := make([]store.Op, batch)
		for i := range ops {
			ops[i] = store.Op{Conversation: c, Kind: store.KindMessage, Actor: p.agents[0], At: p.clock(), Data: text}
		}
		p.store.Append(&store.Batch{Ops: ops, Done: func(b *store.Batch) { done <- b.Err }})
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}
