package im

import (
	"math/rand/v2"
	"testing"
	"time"
)

// What is written is what package time would write.
func TestAppendStamp(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	begin, end := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).Unix()
	zone := time.FixedZone("", 5400)
	for range 10_000 {
		at := time.Unix(begin+rnd.Int64N(end-begin), rnd.Int64N(1e9)).In(zone)
		if got, want := string(AppendStamp(nil, at)), at.UTC().Format("2006-01-02T15:04:05.000Z"); got != want {
			t.Fatalf("AppendStamp(%v) = %s, want %s", at, got, want)
		}
	}
}
