package hook

import (
	"testing"
	"time"
)

// Events are held back where there are many messages and too few processors for them, and
// nowhere else: a part of them is sent all the same.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		name     string
		records  int64   // a second
		pressure float64 // -1: nobody knows
		want     float64 // events a second of a thousand that are tried
	}{
		{"quiet", 100, 0.1, 1000},
		{"many messages, and processors for them", 10_000, 0.3, 1000},
		{"few messages, and others at work", 1500, 0.9, 1000},
		{"too much", 15_000, 0.9, 500},
		{"just too much", 2100, 0.9, 100},
		{"too much, perhaps", 15_000, -1, 500},
	} {
		now := time.Unix(1_800_000_000, 0)
		var total time.Duration
		p := &pace{processors: 2, waited: func() (time.Duration, bool) { return total, c.pressure >= 0 }}
		sent := 0.0
		const seconds = 10
		for i := range (seconds + 1) * 1000 {
			now = now.Add(time.Millisecond)
			total += time.Duration(c.pressure * float64(time.Millisecond))
			p.note(c.records/1000, now)
			if c.records%1000 != 0 && now.UnixMilli()%10 == 0 {
				p.note(c.records%1000/100, now)
			}
			if ok, again := p.take(now); ok {
				if i >= 1000 { // it needs a moment to see
					sent++
				}
			} else if again.Sub(now) != paceWait {
				t.Fatalf("%s: to ask again after %v", c.name, again.Sub(now))
			}
		}
		if rate := sent / seconds; rate < c.want*0.9-1 || rate > c.want*1.1+1 {
			t.Errorf("%s: %.0f events a second, want %.0f", c.name, rate, c.want)
		}
		// It ends with the messages.
		now = now.Add(2 * time.Second)
		for range 100 {
			if ok, _ := p.take(now); !ok {
				t.Errorf("%s: held back when it is quiet", c.name)
			}
		}
	}
}

func TestParsePressure(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"some avg10=86.95 avg60=92.53 avg300=91.95 total=8198297609\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", 8198297609 * time.Microsecond, true},
		{"full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", 0, false},
		{"some total=-1\n", 0, false},
		{"some total=99999999999999999999\n", 0, false},
		{"some\n\n", 0, false},
		{"", 0, false},
	} {
		if got, ok := parsePressure(c.in); ok != c.ok || ok && got != c.want {
			t.Errorf("parsePressure(%q) = %v, %v, want %v, %v", c.in, got, ok, c.want, c.ok)
		}
	}
}
