package im

import (
	"math/rand/v2"
	"testing"

	"parley.im/parley/store"
)

func TestDeliveryCursorPassesOnlyWhatArrived(t *testing.T) {
	d := NewDelivery(store.Delivery{}, 0)
	d.Sent(1, 1)
	d.Sent(2, 1)
	d.Sent(5, 2)
	d.Arrived(2)
	if k := d.Kept(); k.Cursor != 0 || len(k.Acked) != 1 || k.Acked[0] != 2 {
		t.Fatalf("after 2 arrived: %+v, want cursor 0 with 2 apart", k)
	}
	d.Arrived(1)
	if k := d.Kept(); k.Cursor != 4 || len(k.Acked) != 0 {
		t.Fatalf("after 1 and 2 arrived: %+v, want cursor 4", k)
	}
	d.Arrived(5) // one of the two devices is enough
	if k := d.Kept(); k.Cursor != 5 {
		t.Fatalf("after one device got 5: %+v, want cursor 5", k)
	}
}

func TestDeliveryLostIsBacklogAgain(t *testing.T) {
	d := NewDelivery(store.Delivery{}, 0)
	d.Sent(1, 1)
	d.Sent(2, 1)
	d.Arrived(1)
	d.Lost(2)
	if after, waiting := d.Backlog(); !waiting || after != 1 || !d.Wanted(2) {
		t.Fatalf("backlog after %d, %t; want 2 to wait", after, waiting)
	}
	d.Held(2)
	if !d.Drained(1, 2) {
		t.Fatal("drained up to the newest, but a backlog is left")
	}
	if k := d.Kept(); k.Cursor != 1 {
		t.Fatalf("2 is on its way again, but the cursor is %d", k.Cursor)
	}
	d.Arrived(2)
	if k := d.Kept(); k.Cursor != 2 {
		t.Fatalf("cursor %d, want 2", k.Cursor)
	}
}

func TestDeliveryLostWhileTheRestIsRead(t *testing.T) { // XEP-0160 §3
	// One device has taken 1 to 3 and another reads on from there, when the first one
	// goes.
	d := NewDelivery(store.Delivery{}, 5)
	for o := store.Ordinal(1); o <= 3; o++ {
		d.Held(o)
	}
	d.Drained(0, 3)
	from, _ := d.Backlog()
	for o := store.Ordinal(1); o <= 3; o++ {
		d.Lost(o)
	}
	d.Held(4)
	d.Held(5)
	if d.Drained(from, 5) {
		t.Error("drained, but 1 to 3 have reached nobody")
	}
	d.Arrived(4)
	d.Arrived(5)
	if k := d.Kept(); k.Cursor != 0 {
		t.Errorf("cursor %d, but 1 to 3 have reached nobody", k.Cursor)
	}
	if after, waiting := d.Backlog(); !waiting || after != 0 || !d.Wanted(1) || d.Wanted(4) {
		t.Errorf("backlog after %d, %t; want 1 to 3 to wait, and not 4", after, waiting)
	}
}

func TestDeliverySeenInTheArchiveIsNotOffered(t *testing.T) { // rule 23
	d := NewDelivery(store.Delivery{Cursor: 3}, 9)
	d.Seen(8, 9)
	d.Seen(6, 7)
	for o, want := range map[store.Ordinal]bool{3: false, 4: true, 5: true, 6: false, 9: false} {
		if got := d.Wanted(o); got != want {
			t.Errorf("Wanted(%d) = %t, want %t", o, got, want)
		}
	}
	d.Seen(4, 5)
	if k := d.Kept(); k.Cursor != 9 {
		t.Errorf("everything was seen, but the cursor is %d", k.Cursor)
	}
}

// What a model with a set of ordinals says must hold at each step: the cursor
// never passes what has not arrived, and in the end everything has.
func TestDeliveryAgainstModel(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		d := NewDelivery(store.Delivery{}, 0)
		arrived := map[store.Ordinal]bool{}
		holders := map[store.Ordinal]int{}
		var newest store.Ordinal
		step := func() {
			switch rng.IntN(5) {
			case 0, 1:
				newest += store.Ordinal(1 + rng.IntN(2))
				n := rng.IntN(3)
				d.Sent(newest, n)
				holders[newest] = n
			case 2, 3:
				for o, n := range holders {
					if n == 0 {
						continue
					}
					holders[o]--
					if rng.IntN(3) == 0 {
						d.Lost(o)
					} else {
						d.Arrived(o)
						arrived[o] = true
					}
					return
				}
			case 4:
				after, waiting := d.Backlog()
				if !waiting {
					return
				}
				for o := after + 1; o <= newest; o++ {
					if _, real := holders[o]; real && d.Wanted(o) {
						if holders[o] > 0 || arrived[o] {
							t.Fatalf("seed %d: %d is offered twice", seed, o)
						}
						d.Held(o)
						holders[o]++
						d.Drained(after, o)
						return
					}
				}
				d.Drained(after, newest)
			}
		}
		check := func() {
			k := d.Kept()
			known := map[store.Ordinal]bool{}
			for _, o := range k.Acked {
				known[o] = true
			}
			for o := range holders {
				if (o <= k.Cursor || known[o]) && !arrived[o] {
					t.Fatalf("seed %d: %d counts as arrived, but did not: %+v", seed, o, k)
				}
			}
		}
		for range 400 {
			step()
			check()
		}
		for range 100000 {
			if k := d.Kept(); k.Cursor == newest {
				break
			}
			step()
			check()
			for o, n := range holders { // no more losses: let it end
				for ; n > 0; n-- {
					d.Arrived(o)
					arrived[o] = true
				}
				holders[o] = 0
			}
		}
		if len(holders) != len(arrived) {
			t.Fatalf("seed %d: %d of %d arrived", seed, len(arrived), len(holders))
		}
	}
}
