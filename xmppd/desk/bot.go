package desk

import "time"

// answered notes whose turn it is in a bot's part of a contact.
func (l *live) answered(by Party, now time.Time) {
	switch {
	case by == Bot:
		l.unsaid = time.Time{}
	case by == Visitor && l.unsaid.IsZero() && l.c.Bot:
		l.unsaid = now
	}
}

// botFails is a bot that says nothing: agents are asked in its place. One that there is no more for is given up at once.
func (d *Desk) botFails(by func(since time.Time, after time.Duration, step stepFunc), l *live) {
	if !l.c.Bot {
		return
	}
	since := l.unsaid
	if d.settings.Bot == 0 {
		since = l.c.Changed
	}
	by(since, max(d.settings.Bot, time.Millisecond), func(_ *live, ch *Change, now time.Time) error { return d.submit(ch, System, now) })
}
