package hook

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"parley.im/parley/store"
)

// BenchmarkDeliveries is how fast signed events leave a log, sealed as always, for one HTTPS
// receiver on the loopback that answers at once; and the same beside a receiver that is dead,
// one that takes ten seconds and one that refuses all.
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
	all := make(chan struct{})
	m := newLedger(b).with(store.Endpoint{ID: "wh_fast", URL: https(b, cert, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		if taken.Add(1) == int64(b.N) {
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
	c := loopback(ca)
	c.Log = slog.New(slog.DiscardHandler)
	b.ResetTimer()
	_, stop := start(b, c, desk(m))
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	stop()
}
