package visit

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
)

// A talk is a contact that is open somewhere.
type talk struct {
	account *account
	id      store.ConversationID
	visitor string

	lines []*line // guarded by account.mu

	mu      sync.Mutex // guards what follows
	contact *desk.Contact
	rate    bucket
	others  int64     // the newest message that is not the visitor's and was sent to some line
	marks   [2]int64  // up to where received and read were kept
	typing  time.Time // until when the agents know that somebody is
}

// linesMax is how many connections a contact may have at a time: pages that show it. The oldest gives way.
const linesMax = 8

// join adds a connection to a contact. It is refused when the account has ended.
func (a *account) join(c *desk.Contact, out sink, where netip.Prefix, after int64) (*line, error) {
	l, agent := newLine(out, where, after), a.face(context.Background(), c.Owner)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return nil, errCrowd
	}
	t := a.talks[c.ID]
	if t == nil {
		t = &talk{account: a, id: c.ID, visitor: c.Visitor, contact: c}
		a.talks[c.ID] = t
	}
	l.talk, l.last = t, c.State == desk.Finalized
	shown := a.shown(c, agent)
	l.beside = append(l.beside, (&frame{Type: "welcome", Contact: &shown}).bytes()) // before any record
	if c.State.Waiting() {
		l.queue = a.place(c) // the welcome has it
	}
	for i := range len(t.lines) - linesMax + 1 {
		t.lines[i].end(byeElsewhere)
	}
	t.lines = append(t.lines, l)
	delete(a.fresh, c.ID)
	if len(t.lines) == 1 {
		a.Contacts.VisitorHere(c.ID, true)
	}
	a.server.wheel.add(l)
	a.server.Stats.Connected.Add(1)
	a.Contacts.Watch(c.ID, l) // before anything is read
	l.change(func() {})
	return l, nil
}

// expect lets a visitor come who has just opened a contact.
func (a *account) expect(id store.ConversationID, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.talks[id] == nil {
		a.fresh[id] = now
	}
}

// comeBy is how long whoever opens a contact has to connect to it before counting as gone.
const comeBy = 10 * time.Second

// giveUp takes those for gone who have never come.
func (a *account) giveUp(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, since := range a.fresh {
		if now.Sub(since) >= comeBy {
			delete(a.fresh, id)
			a.Contacts.VisitorHere(id, false)
		}
	}
}

// leave ends a line and takes it away; with the last one the visitor is gone, for now.
func (l *line) leave() {
	l.end(byeGone)
	<-l.done
	t, a := l.talk, l.talk.account
	a.Contacts.Unwatch(t.id, l)
	a.server.wheel.remove(l)
	a.server.Stats.Connected.Add(-1)
	a.mu.Lock()
	defer a.mu.Unlock()
	t.lines = slices.DeleteFunc(t.lines, func(other *line) bool { return other == l })
	if len(t.lines) == 0 {
		delete(a.talks, t.id)
		a.Contacts.VisitorHere(t.id, false)
	}
}

// talkOf is a contact that somebody writes to without being connected: it is not kept, unless it is open elsewhere.
func (a *account) talkOf(c *desk.Contact) *talk {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.talks[c.ID]; t != nil {
		return t
	}
	return &talk{account: a, id: c.ID, visitor: c.Visitor, contact: c}
}

// sent notes that a message of others was sent.
func (t *talk) sent(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.others = max(t.others, n)
}

// allow takes one of the frames that the visitor may send, and says how long to wait for it.
func (t *talk) allow() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rate.take(t.account.server.cfg.Now(), framesPerSecond, framesBurst)
}

// says keeps what the visitor says.
func (t *talk) says(f *asked, done desk.Done) {
	c, err := t.account.Contacts.Contact(t.id)
	if err != nil {
		done(nil, err)
		return
	}
	text, link, err := t.words(f)
	if err != nil {
		done(nil, err)
		return
	}
	k := t.account.Contacts
	body := k.Text(c, desk.Visitor, f.ID, text, t.account.server.cfg.Now())
	if link != "" {
		body.Linking(link)
	}
	k.VisitorSays(t.id, desk.Said{Body: body}, done)
}

// said is says for whoever waits for the answer.
func (t *talk) said(ctx context.Context, f *asked) (*frame, error) {
	ch, err := contact.Wait(func(done desk.Done) { t.says(f, done) })
	if err != nil {
		return nil, err
	}
	records := ch.Kept.(contact.Records)
	page, _, _, err := t.page(ctx, records[len(records)-1].N-1, 1)
	if err != nil || len(page) == 0 {
		return nil, cmp.Or(err, store.ErrNotFound)
	}
	return &page[0].answers().frame, nil
}

// page reads records that follow number after, as the visitor sees them. Full is that there may be more.
func (t *talk) page(ctx context.Context, after int64, most int) (list []*news, last int64, full bool, err error) {
	n := 0
	last = after
	err = t.account.Store.Records(ctx, t.id, after, most, func(e *store.Entry) error {
		n, last = n+1, e.N
		if it := newsOf(e); it != nil {
			list = append(list, it)
		}
		return nil
	})
	t.dress(ctx, list)
	return list, last, n == most, err
}

// does does what a frame asks for that is answered by news, or not at all; done is called if it can't be.
func (t *talk) does(f *asked, done desk.Done) {
	k := t.account.Contacts
	switch f.Type {
	case "typing":
		t.types(f.On)
	case "received":
		t.mark(0, store.KindMessageDelivered, f.Seq)
	case "read":
		t.mark(1, store.KindMessageRead, f.Seq)
	case "submit":
		t.submit(f, done)
	case "rate":
		k.Rate(t.id, desk.Rating{Stars: f.Stars, Comment: f.Comment}, done)
	case "close":
		k.VisitorLeaves(t.id, func(ch *desk.Change, err error) {
			if errors.Is(err, desk.ErrClosed) || errors.Is(err, desk.ErrUnknown) {
				err = nil // it is what was wanted
			}
			done(ch, err)
		})
	}
}

// submit is the end of a form.
func (t *talk) submit(f *asked, done desk.Done) {
	k := t.account.Contacts
	c, err := k.Contact(t.id)
	if err == nil {
		filled := fill(c, f)
		err = t.account.complete(&filled)
	}
	if err != nil {
		done(nil, err)
		return
	}
	k.Submit(t.id, desk.Visitor, func(c *desk.Contact) {
		*c = fill(c, f)
		c.Emails = t.account.emails(c)
	}, done)
}

// fill is the contact with what a form says. What the shop has vouched for stays.
func fill(c *desk.Contact, f *asked) desk.Contact {
	n, vouched := *c, c.Vouched
	if f.Name != "" && (n.Name == "" || !vouched) {
		n.Name = f.Name
	}
	n.Fields = make(map[string]string, len(c.Fields)+len(f.Fields))
	for k, v := range f.Fields {
		n.Fields[k] = v
	}
	for k, v := range c.Fields {
		if _, again := n.Fields[k]; !again || vouched {
			n.Fields[k] = v
		}
	}
	return n
}

// typingFor is how often agents are told again that a visitor writes.
const typingFor = 3 * time.Second

// types tells agents that the visitor writes, or does so no more.
func (t *talk) types(on bool) {
	t.mu.Lock()
	now := t.account.server.cfg.Now()
	what, until := contact.Paused, time.Time{}
	if on {
		what, until = contact.Composing, now.Add(typingFor)
	}
	known := on && now.Before(t.typing) || !on && t.typing.IsZero()
	if !known {
		t.typing = until
	}
	t.mu.Unlock()
	if !known {
		t.account.Contacts.Signal(contact.Signal{Contact: t.id, By: desk.Visitor, What: what})
	}
}

// mark keeps that everything up to a record has arrived, or was read: once, and no further than
// to the newest of what others have said.
func (t *talk) mark(which int, kind store.Kind, n int64) {
	t.mu.Lock()
	n = min(n, t.others)
	known := n <= t.marks[which]
	if !known {
		t.marks[which] = n
	}
	t.mu.Unlock()
	if !known {
		t.account.Contacts.Mark(t.id, desk.Event{Kind: kind, By: desk.Visitor, N: n}, nil)
	}
}
