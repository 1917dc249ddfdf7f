package web

import (
	"math/rand/v2"
	"testing"
)

// Whatever is put into spans stays in them, however many there are, and what the store keeps is
// the same.
func TestSpans(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var s spans
		var all []span
		for range 40 {
			one := span{from: rnd.Int64N(100_000)}
			one.to = one.from + rnd.Int64N(50)
			all, s = append(all, one), s.with(one)
			for _, in := range all {
				if at, ok := s.at(in.from); !ok || at.to < in.to {
					t.Fatalf("%v lacks %v", s, in)
				}
			}
			for i := range s[1:] {
				if s[i+1].from <= s[i].to+markStep {
					t.Fatalf("%v are not apart", s)
				}
			}
			if len(s) > spansMax {
				t.Fatalf("%d spans", len(s))
			}
		}
		same, err := parseSpans(s.String())
		if err != nil || same.String() != s.String() {
			t.Fatalf("%v became %v, %v", s, same, err)
		}
	}
	var s spans
	for _, from := range []int64{100, 86_500, 130, 103} { // the clock was a day ahead for a while
		s = s.with(span{from, from + markStep})
	}
	if got, want := s.String(), "100:108 130:135 86500:86505"; got != want {
		t.Errorf("spans %s, want %s", got, want)
	}
	if all, err := parseSpans("1700000000"); err != nil || all.String() != "0:1700000000" {
		t.Errorf("a number alone is %v, %v", all, err) // what earlier versions kept
	}
	for _, bad := range []string{"x", "1:x", "1:2 :"} {
		if all, err := parseSpans(bad); err == nil {
			t.Errorf("parseSpans(%q) = %v", bad, all)
		}
	}
}
