package desk

import (
	"time"

	"parley.im/parley/store"
)

// Open begins a contact, which has its ID, its Address and what is known of its visitor, and which
// nobody knows yet. With submit it waits for an agent at once; else a form or a bot comes first.
// What is said with it may be nil.
func (d *Desk) Open(c Contact, submit bool, said *Said, done Done) {
	d.mu.Lock()
	defer d.unlock()
	if d.contacts[c.ID] != nil {
		d.answer(done, nil, ErrNotNow)
		return
	}
	if c.Priority == 0 {
		c.Priority = usual
	}
	l := &live{c: &Contact{ID: c.ID, Address: c.Address}, index: -1}
	d.contacts[c.ID] = l
	d.take(l, input{do: func(_ *live, ch *Change, now time.Time) error {
		ch.Was, ch.Said = nil, said
		ch.opened(c, now)
		switch {
		case submit && d.settings.Bot > 0:
			ch.Is.Bot, l.unsaid = true, now
		case submit:
			return d.submit(ch, Visitor, now)
		}
		return nil
	}, done: func(ch *Change, err error) {
		if err != nil {
			d.drop(l)
		}
		if done != nil {
			done(ch, err)
		}
	}})
}

// usual is the priority of a contact of which nothing else is said.
const usual = 15

// drop forgets a contact that was never kept.
func (d *Desk) drop(l *live) {
	d.mu.Lock()
	defer d.unlock()
	d.forget(l)
}

// submit lets a contact wait, or tells its visitor that nobody is here.
func (d *Desk) submit(ch *Change, by Party, now time.Time) error {
	switch {
	case !d.settings.Hours.Open(now):
		return ch.turnedAway("closed", now)
	case !d.anybody(&ch.Is.Wants, 0):
		return ch.turnedAway("nobody", now)
	}
	return ch.submitted(by, now)
}

// Submit is the end of a form, or a bot's handing over: an agent is wanted. What the form says is
// put in by fill, which may be nil. Where bots have contacts first the end of a form is the beginning of the bot's part.
func (d *Desk) Submit(id store.ConversationID, by Party, fill func(*Contact), done Done) {
	d.do(id, input{do: func(l *live, ch *Change, now time.Time) error {
		if ch.Is.State != Collecting {
			return wrongState(ch.Is.State)
		}
		if by == Visitor && d.settings.Bot > 0 && !ch.Is.Bot {
			if err := ch.updated(change, Visitor, 0, "fields", "", now); err != nil {
				return err
			}
			ch.Is.Bot, l.unsaid = true, now
			if fill != nil {
				fill(ch.Is)
			}
			return nil
		}
		if fill != nil {
			n := *ch.Is
			fill(&n)
			ch.Is = &n
		}
		return d.submit(ch, by, now)
	}, done: done})
}

// VisitorSays is what the visitor says. In a contact in which nobody has said anything for a
// while that ends the silence; where nobody is here it is a message left.
func (d *Desk) VisitorSays(id store.ConversationID, said Said, done Done) {
	said.By = Visitor
	d.says(id, said, done)
}

// says has something said in a contact that is open, by somebody who may.
func (d *Desk) says(id store.ConversationID, said Said, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		return ch.spoken(&said, now)
	}, done: done})
}

// spoken has something said.
func (ch *Change) spoken(said *Said, now time.Time) error {
	if !ch.Is.State.Open() {
		return ErrClosed
	}
	ch.Said = said
	switch s := ch.Is.State; {
	case s == Offline && said.By == Visitor:
		return ch.letter(Count{Visitor: 1}, now)
	case s == Idle:
		return ch.updated(wake, said.By, said.Agent, "active", "", now)
	case s == Held && said.Agent == ch.Is.Owner:
		return ch.updated(resume, said.By, said.Agent, "resumed", "", now)
	}
	return nil
}

// BotSays and SystemSays are for what is said through the API.
func (d *Desk) BotSays(id store.ConversationID, said Said, done Done) {
	said.By = Bot
	d.says(id, said, done)
}

// SystemSays is what the account says itself.
func (d *Desk) SystemSays(id store.ConversationID, said Said, done Done) {
	said.By = System
	d.says(id, said, done)
}

// Mark keeps that what was said has arrived at the other side, or was read there: an event that
// changes nothing of the contact. It may come as long as the contact is not finalized.
func (d *Desk) Mark(id store.ConversationID, e Event, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		if e.Actor != 0 && !ch.Is.With(e.Actor) && ch.Is.Owner != e.Actor {
			return ErrNotYours
		}
		ch.Events = append(ch.Events, e)
		return nil
	}, done: done})
}

// VisitorLeaves is the visitor's end of it.
func (d *Desk) VisitorLeaves(id store.ConversationID, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		return ch.ended(Visitor, 0, "left", now)
	}, done: done})
}

// Rate keeps what the visitor thought of it, while it is not finalized. The last word holds.
func (d *Desk) Rate(id store.ConversationID, r Rating, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error { return ch.rated(r, now) }, done: done})
}

// Rated is Rate for a contact that is finalized, as it is kept: what a Keeper has to keep, or nil if nothing.
func (c *Contact) Rated(r Rating, now time.Time) (*Change, error) {
	ch := &Change{Was: c, Is: c}
	if err := ch.rated(r, now); err != nil || ch.Is == c {
		return nil, err
	}
	return ch, nil
}

// maxRatings is how often somebody may think better of it: each time is an event.
const maxRatings = 10

func (ch *Change) rated(r Rating, now time.Time) error {
	switch c := ch.Is; {
	case c.Accepted.IsZero():
		return ErrNotNow
	case c.Rating != nil && *c.Rating == r:
		return nil
	case c.Ratings >= maxRatings:
		return ErrNotNow
	}
	n, err := ch.Is.next(change, now)
	if err == nil {
		n.Rating, n.Ratings = &r, n.Ratings+1
	}
	return ch.step(n, err, Event{Kind: store.KindContactRated, By: Visitor})
}
