package desk

import (
	"fmt"
	"time"
)

// Hours are when an account has anybody at its desk. The zero value is always.
type Hours struct {
	Zone   *time.Location
	Week   map[time.Weekday][]Span
	Closed map[string]bool // days that are closed, as 2026-12-25
}

// A Span is a part of a day, in minutes since midnight as the clock on the wall shows them.
// From 0 to 1440 is all of it.
type Span struct{ From, To int }

// ParseSpan reads "09:00-17:30".
func ParseSpan(text string) (s Span, err error) {
	var fromHour, fromMinute, toHour, toMinute int
	var more string
	n, _ := fmt.Sscanf(text+" ", "%2d:%2d-%2d:%2d%1s", &fromHour, &fromMinute, &toHour, &toMinute, &more)
	s = Span{fromHour*60 + fromMinute, toHour*60 + toMinute}
	if n != 4 || fromMinute > 59 || toMinute > 59 || s.From < 0 || s.To > 24*60 || s.From >= s.To {
		return Span{}, fmt.Errorf("%q is no time of a day: write it as 09:00-17:30", text)
	}
	return s, nil
}

// Open says whether somebody is there.
func (h *Hours) Open(now time.Time) bool {
	if h.Week == nil {
		return true
	}
	now = h.local(now)
	if h.Closed[now.Format(time.DateOnly)] {
		return false
	}
	minute := now.Hour()*60 + now.Minute()
	for _, s := range h.Week[now.Weekday()] {
		if minute >= s.From && minute < s.To {
			return true
		}
	}
	return false
}

// Opens is when somebody is there next, within two weeks; zero if nobody is.
func (h *Hours) Opens(now time.Time) time.Time {
	if h.Open(now) {
		return now
	}
	today := h.local(now)
	for day := range 15 {
		// The first minute of each span, as time.Date has it where clocks are changed.
		var next time.Time
		for _, s := range h.Week[today.AddDate(0, 0, day).Weekday()] {
			at := time.Date(today.Year(), today.Month(), today.Day()+day, 0, s.From, 0, 0, today.Location())
			if at.After(now) && h.Open(at) && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
		if !next.IsZero() {
			return next
		}
	}
	return time.Time{}
}

// Today is when the day began at which it is now, by the same clock.
func (h *Hours) Today(now time.Time) time.Time {
	now = h.local(now)
	return time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
}

func (h *Hours) local(t time.Time) time.Time {
	if h.Zone == nil {
		return t.UTC()
	}
	return t.In(h.Zone)
}
