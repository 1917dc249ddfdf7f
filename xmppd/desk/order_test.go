package desk

import (
	"slices"
	"testing"
	"time"
)

// A slow keeper does something before it has heard what it is to keep.
type slow struct {
	before  func(said int)
	said    []int
	waiting []func(error)
}

func (k *slow) Keep(ch *Change, done func(error)) {
	if ch.Said != nil {
		n := ch.Said.Body.(int)
		k.before(n)
		k.said = append(k.said, n)
	}
	k.waiting = append(k.waiting, done)
}

// What is said while something else that was said is about to be kept comes after it.
func TestSaidInOrder(t *testing.T) {
	k := new(slow)
	d := New(Config{Settings: Defaults(), Keeper: k, Now: time.Now})
	k.before = func(said int) {
		if said == 1 {
			d.VisitorSays(1, Said{Body: 2}, nil)
		}
	}
	decide := func() {
		for len(k.waiting) > 0 {
			first := k.waiting[0]
			k.waiting = k.waiting[1:]
			first(nil)
		}
	}
	d.Open(Contact{ID: 1, Address: "a"}, false, nil, nil)
	decide()
	d.Set(1, System, 0, "tags", func(*Contact) {}, nil)
	d.VisitorSays(1, Said{Body: 1}, nil) // and waits for the step
	decide()
	if want := []int{1, 2}; !slices.Equal(k.said, want) {
		t.Errorf("it is kept as %v, want %v", k.said, want)
	}
}
