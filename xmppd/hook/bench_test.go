package hook

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"parley.im/parley/store"
)

// BenchmarkDeliveries is how fast signed events leave a log, sealed as always, for one HTTPS
// receiver on the loopback that answers at once; and the same beside a receiver that is dead,
// one that takes ten seconds and one that refuses all. heap-MB is the most that sending had the
// process's heap grow by, receivers and store included: what others do not take waits in the
// log, not in memory.
func BenchmarkDeliveries(b *testing.B) {
	b.Run("alone", func(b *testing.B) { benchmarkDeliveries(b) })
	b.Run("besideOthers", func(b *testing.B) {
		benchmarkDeliveries(b,
			http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
			http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-r.Context().Done():
				case <-time.After(10 * time.Second):
				}
			}),
			http.HandlerFunc(status(http.StatusInternalServerError)))
	})
}

func benchmarkDeliveries(b *testing.B, others ...http.Handler) {
	ca := newAuthority(b)
	cert := ca.issue(b, "127.0.0.1", time.Now().Add(time.Hour))
	var taken atomic.Int64
	var most peak
	all := make(chan struct{})
	m := newLedger(b)
	m.advanced = nil // it would keep what was sent
	m.with(store.Endpoint{ID: "wh_fast", URL: https(b, cert, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		n := taken.Add(1)
		if n%64 == 0 {
			most.look()
		}
		if n == int64(b.N) {
			close(all)
		}
	}))})
	for i, h := range others {
		m.with(store.Endpoint{ID: fmt.Sprint("wh_", i), URL: https(b, cert, h)})
	}
	var texts []string
	for range b.N {
		texts = append(texts, "Where is my order? It was to be here on Monday, and now it is Thursday.")
	}
	m.say(texts...)
	texts = nil
	c := loopback(ca)
	c.Log = slog.New(slog.DiscardHandler)
	most.begin()
	b.ResetTimer()
	_, stop := start(b, c, desk(m))
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	grown := most.grown()
	b.ReportMetric(float64(grown)/(1<<20), "heap-MB")
	if grown > heapMost {
		b.Errorf("the heap has grown by %d bytes, more than %d", grown, heapMost)
	}
	stop()
}

// heapMost is what sending may take, however much there is to send.
const heapMost = 16 << 20

// A peak is how far the heap has grown since begin.
type peak struct{ before, most atomic.Uint64 }

func (p *peak) begin() {
	runtime.GC()
	p.before.Store(heap())
}

func (p *peak) look() {
	for now := heap(); ; {
		most := p.most.Load()
		if now <= most || p.most.CompareAndSwap(most, now) {
			return
		}
	}
}

func (p *peak) grown() int64 {
	p.look()
	return int64(p.most.Load()) - int64(p.before.Load())
}

// heap is what objects take, those included that nobody uses any more and that are not yet collected.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
