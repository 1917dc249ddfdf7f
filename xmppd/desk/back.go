package desk

import (
	"slices"
	"time"
)

// comeBack lets visitors wait for an agent after all who were told that nobody is there, and are
// there still: as soon as somebody can be asked. Where agents were asked, and none came, that is
// one who has become available since.
func (d *Desk) comeBack(now time.Time) {
	if !d.settings.Hours.Open(now) {
		return
	}
	var list []*live
	for _, l := range d.contacts {
		if l.stays() && !l.stepping && len(l.waiting) == 0 && d.somebody(l.c) {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, before) // who has waited longest comes first again
	for _, l := range list {
		d.take(l, input{do: func(_ *live, ch *Change, now time.Time) error { return ch.submitted(System, now) }})
	}
}

// stays says whether the visitor is there, though nobody else is.
func (l *live) stays() bool { return l.c.State == Offline && l.gone.IsZero() }

// somebody says whether there is now whom there was not when the visitor was turned away.
func (d *Desk) somebody(c *Contact) bool {
	for _, w := range d.askable(c, nil) {
		if c.Turned != Missed || w.readied.After(c.Changed) {
			return true
		}
	}
	return false
}

// opens is when the hours begin for a visitor who stays; zero if they don't, or it is within them.
func (d *Desk) opens(l *live, now time.Time) time.Time {
	if !l.stays() || d.settings.Hours.Open(now) {
		return time.Time{}
	}
	return d.settings.Hours.Opens(now)
}
