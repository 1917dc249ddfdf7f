package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"parley.im/parley/store"
)

// A watch is what an agent sees of a contact: records first to last, 0 is open.
type watch struct {
	first, last int64
	hidden      bool
}

// A playedContact is a contact, and what each agent is to see of it.
type playedContact struct {
	c       store.Conversation
	contact store.Contact
	n       int64
	watches map[store.AgentID]*watch
}

// step changes who sees it at random, or not, and says something, or nothing.
func (p *playedContact) step(f *files, rnd *rand.Rand, agents []store.AgentID) {
	f.t.Helper()
	ops := make([]store.Op, rnd.IntN(4))
	for i := range ops {
		ops[i] = store.Op{Conversation: p.c, Kind: store.KindMessage, Actor: agents[rnd.IntN(len(agents))] * store.AgentID(rnd.IntN(2)),
			At: time.Unix(talkStart, 0), Data: []byte("x")}
		if rnd.IntN(3) == 0 {
			ops[i].Kind = store.KindContactUpdated
		}
	}
	ch := store.ContactChange{Contact: p.contact, Was: p.contact.Version, From: rnd.Int64N(p.n + 3)}
	ch.Version++
	for _, agent := range agents {
		switch rnd.IntN(8) {
		case 0:
			ch.See = append(ch.See, agent)
		case 1:
			ch.Stop = append(ch.Stop, agent)
		case 2:
			ch.Hide = append(ch.Hide, agent)
		}
	}
	f.changeContact(ch, ops...)
	p.contact = ch.Contact
	p.rule(&ch)
	p.n += int64(len(ops))
}

// rule is who sees what after a change, said plainly.
func (p *playedContact) rule(ch *store.ContactChange) {
	from := ch.From
	if from == 0 {
		from = p.n + 1
	}
	for _, agent := range ch.See {
		if w := p.watches[agent]; w != nil && !w.hidden {
			from := min(from, w.first)
			p.watches[agent] = &watch{first: from}
			continue
		}
		p.watches[agent] = &watch{first: from}
	}
	for _, agent := range ch.Stop {
		if w := p.watches[agent]; w != nil && w.last == 0 {
			w.last, w.hidden = p.n, w.hidden || p.n == 0
		}
	}
	for _, agent := range ch.Hide {
		if w := p.watches[agent]; w != nil {
			w.hidden = true
		}
	}
}

// Whatever becomes of contacts, each agent sees of them what the plain rule says, whether
// she has looked before or not, and after a start.
func TestContactPagesAgainstTheWholeLog(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 0))
	f := newFiles(t)
	f.open()
	var agents []store.AgentID
	for i := range 4 {
		agents = append(agents, f.agent(fmt.Sprint("agent", i)))
	}
	direct := f.direct(agents[0], agents[1])
	all := make(map[store.ConversationID]*playedContact)
	var list []*playedContact
	for i := range 6 {
		c, k := f.contact(fmt.Sprint("a", i))
		p := &playedContact{c: c, contact: k, n: 1, watches: make(map[store.AgentID]*watch)}
		all[c.ID()], list = p, append(list, p)
	}
	for round := range 150 {
		list[rnd.IntN(len(list))].step(f, rnd, agents)
		if round%10 == 0 {
			f.say(direct, agents[0], "between us")
		}
		if round == 75 {
			f.close()
			f.open()
			direct = f.direct(agents[0], agents[1])
			for _, p := range list {
				var err error
				if p.c, err = f.store.OpenContact(t.Context(), p.contact.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		checkSeen(t, f, rnd, agents[rnd.IntN(len(agents))], all, direct.ID(), agents[:2])
	}
	f.verify()
}

func checkSeen(t *testing.T, f *files, rnd *rand.Rand, agent store.AgentID, all map[store.ConversationID]*playedContact, direct store.ConversationID, pair []store.AgentID) {
	t.Helper()
	p := store.Page{Agent: agent, Max: 1000, Backwards: rnd.IntN(2) == 0}
	if rnd.IntN(2) == 0 {
		p.After = store.Ordinal(rnd.IntN(int(f.store.Newest())))
	}
	if rnd.IntN(2) == 0 {
		p.Before = store.Ordinal(rnd.IntN(int(f.store.Newest())))
	}
	var page, inbox, gotPage, gotInbox []store.Ordinal
	if err := f.store.Read(t.Context(), 0, 1<<20, func(e *store.Entry) error {
		sees := e.Conversation == direct && slices.Contains(pair, agent)
		if c := all[e.Conversation]; c != nil {
			w := c.watches[agent]
			sees = w != nil && !w.hidden && e.N >= w.first && (w.last == 0 || e.N <= w.last)
		}
		if !sees || e.Kind != store.KindMessage {
			return nil
		}
		if e.Ordinal > p.After && (p.Before == 0 || e.Ordinal < p.Before) {
			page = append(page, e.Ordinal)
		}
		if e.Actor != agent {
			inbox = append(inbox, e.Ordinal)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	collect := func(into *[]store.Ordinal) func(*store.Entry) error {
		return func(e *store.Entry) error {
			*into = append(*into, e.Ordinal)
			return nil
		}
	}
	if _, err := f.store.Page(t.Context(), p, collect(&gotPage)); err != nil || !slices.Equal(gotPage, page) {
		t.Fatalf("Page(%+v) = %v, %v, want %v", p, gotPage, err, page)
	}
	if n, err := f.store.Count(t.Context(), p); err != nil || n != len(page) {
		t.Fatalf("Count(%+v) = %d, %v, want %d", p, n, err, len(page))
	}
	if err := f.store.Inbox(t.Context(), agent, 0, 1000, collect(&gotInbox)); err != nil || !slices.Equal(gotInbox, inbox) {
		t.Fatalf("Inbox(%d) = %v, %v, want %v", agent, gotInbox, err, inbox)
	}
	newest, err := f.store.InboxNewest(t.Context(), agent)
	if err != nil || len(inbox) > 0 && newest < inbox[len(inbox)-1] {
		t.Fatalf("InboxNewest(%d) = %d, %v, want at least %v", agent, newest, err, inbox)
	}
	for _, o := range page {
		if visible, err := f.store.Visible(t.Context(), agent, o); err != nil || !visible {
			t.Fatalf("Visible(%d, %d) = %v, %v", agent, o, visible, err)
		}
	}
}
