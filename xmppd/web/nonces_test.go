package web

import (
	"fmt"
	"testing"
	"time"
)

// However many nonces there are, and however the clock is set: nothing is taken twice.
func TestNoncesFailClosed(t *testing.T) {
	k := &keyNonces{loaded: true, mark: 1 << 40, young: half{taken: make(map[[16]byte]struct{})}}
	now := time.Unix(1_700_000_000, 0)
	taken := make(map[[16]byte]int64)
	take := func(n int, at int64) bool {
		k.turn(now)
		name := [16]byte([]byte(fmt.Sprintf("%016d", n)))
		if at <= k.floor || k.young.has(name) || k.old.has(name) {
			return false
		}
		k.young.taken[name], k.young.latest = struct{}{}, max(k.young.latest, at)
		taken[name] = at
		return true
	}
	for n := range 3 * noncesMax {
		if n%1000 == 0 {
			now = now.Add(time.Second)
		}
		take(n, now.Unix())
	}
	now = now.Add(-time.Hour) // the clock is set back
	for n := range 3 * noncesMax {
		name := [16]byte([]byte(fmt.Sprintf("%016d", n)))
		if at, was := taken[name]; was && take(n, at) {
			t.Fatalf("nonce %d was taken twice", n)
		}
	}
	if len(k.young.taken)+len(k.old.taken) > 2*noncesMax {
		t.Errorf("%d nonces are remembered", len(k.young.taken)+len(k.old.taken))
	}
}
