package web

import (
	"fmt"
	"testing"
	"time"
)

// However many nonces there are, and however the clock is set: nothing is taken twice.
func TestNoncesFailClosed(t *testing.T) {
	k := &keyNonces{loaded: true}
	now := time.Unix(1_700_000_000, 0)
	taken := make(map[[16]byte]int64)
	take := func(n int, at int64) bool {
		k.turn(now)
		name := [16]byte([]byte(fmt.Sprintf("%016d", n)))
		if _, gone := k.gone.at(at); gone || k.young.has(name) || k.old.has(name) {
			return false
		}
		k.young.take(name, at)
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
	if !take(3*noncesMax, now.Unix()) {
		t.Error("nothing is taken by a clock that was set back, though nothing was signed then")
	}
	if len(k.young.taken)+len(k.old.taken) > 2*noncesMax {
		t.Errorf("%d nonces are remembered", len(k.young.taken)+len(k.old.taken))
	}
}

// A clock that is a day ahead for a while leaves nothing behind by which the right times are
// refused: neither when what was taken is forgotten, nor after a start.
func TestNoncesOfAClockThatWasAhead(t *testing.T) {
	k := &keyNonces{loaded: true}
	now := time.Unix(1_700_000_000, 0)
	n := 0
	for _, jump := range []time.Duration{0, 24 * time.Hour, -24 * time.Hour} {
		now = now.Add(jump)
		for range 100 {
			now, n = now.Add(time.Minute), n+1
			k.turn(now)
			if at, gone := k.gone.at(now.Unix()); gone {
				t.Errorf("after a jump of %v, at %d, %v is gone", jump, now.Unix(), at)
			}
			if at, known := k.marks.at(now.Unix()); known { // it would be gone after a start
				t.Errorf("after a jump of %v, at %d, the store knows %v", jump, now.Unix(), at)
			}
			k.marks = k.marks.with(span{now.Unix(), now.Unix() + markStep})
			k.young.take([16]byte([]byte(fmt.Sprintf("%016d", n))), now.Unix())
		}
	}
}
