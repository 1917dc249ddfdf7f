package desk

import (
	"testing"
	"time"
)

func TestHours(t *testing.T) {
	rome, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	h := Hours{Zone: rome, Week: map[time.Weekday][]Span{
		time.Monday: {{9 * 60, 13 * 60}, {14 * 60, 18 * 60}}, time.Sunday: {{2*60 + 15, 4 * 60}},
	}, Closed: map[string]bool{"2026-11-09": true}}
	for _, c := range []struct {
		at    string
		open  bool
		opens string // "" is never
	}{
		{"2026-11-02T07:59:59Z", false, "2026-11-02T08:00:00Z"}, // a Monday in winter, an hour ahead
		{"2026-11-02T08:00:00Z", true, "2026-11-02T08:00:00Z"},
		{"2026-11-02T12:30:00Z", false, "2026-11-02T13:00:00Z"},
		{"2026-11-02T17:00:00Z", false, "2026-11-08T01:15:00Z"},
		{"2026-11-08T03:00:00Z", false, "2026-11-15T01:15:00Z"}, // the 9th is closed
		{"2026-08-03T07:00:00Z", true, "2026-08-03T07:00:00Z"},  // two hours ahead in summer
		{"2026-03-29T00:50:00Z", false, "2026-03-29T01:15:00Z"}, // clocks go from 2 to 3
		{"2026-10-25T00:20:00Z", true, "2026-10-25T00:20:00Z"},  // ... and from 3 to 2
	} {
		at, _ := time.Parse(time.RFC3339, c.at)
		if got := h.Open(at); got != c.open {
			t.Errorf("Open(%s) = %t", c.at, got)
		}
		if got := h.Opens(at).UTC().Format(time.RFC3339); got != c.opens {
			t.Errorf("Opens(%s) = %s, want %s", c.at, got, c.opens)
		}
	}
	never := Hours{Week: map[time.Weekday][]Span{}}
	if at := never.Opens(time.Now()); !at.IsZero() {
		t.Errorf("who is never there opens at %s", at)
	}
	var always Hours
	if !always.Open(time.Now()) {
		t.Error("the zero value is not always open")
	}
}

func TestParseSpan(t *testing.T) {
	for _, text := range []string{"09:00-17:30", "00:00-24:00", "9:05-9:06"} {
		if _, err := ParseSpan(text); err != nil {
			t.Error(err)
		}
	}
	for _, text := range []string{"", "9-17", "17:00-09:00", "09:00-24:01", "09:60-10:00", "09:00-10:00 and more", "-1:00-10:00", "09:00-09:00", "09:00-10:75"} {
		if s, err := ParseSpan(text); err == nil {
			t.Errorf("ParseSpan(%q) = %v, want an error", text, s)
		}
	}
}
