package desk

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
)

// A sitting is a desk whose time stands still, and whose changes are kept when settle says so.
type sitting struct {
	*Desk
	t      *testing.T
	now    time.Time
	h      *history
	events []string
}

func sit(t *testing.T, change func(*Settings)) *sitting {
	s := Defaults()
	s.WrapUp = 30 * time.Second
	if change != nil {
		change(&s)
	}
	b := &sitting{t: t, now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	b.h = &history{t: t, kept: make(map[store.ConversationID][]*Change), fails: func() bool { return false },
		said: make(map[store.ConversationID]int), chosen: map[store.AgentID]bool{}}
	b.Desk = New(Config{Settings: s, Keeper: b.h, Now: func() time.Time { return b.now }, Changed: b.changed,
		Paused: func(s Standing) { b.events = append(b.events, fmt.Sprintf("paused %d %s", s.ID, s.Paused)) }})
	return b
}

func (b *sitting) changed(ch *Change) {
	for _, e := range ch.Events {
		text := fmt.Sprintf("%d %s", ch.Is.ID, strings.TrimPrefix(e.Kind.Event(), "contact."))
		if e.Actor != 0 {
			text += fmt.Sprintf(" by %d", e.Actor)
		}
		if len(e.Agents) > 0 {
			text += fmt.Sprint(" ", e.Agents)
		}
		b.events = append(b.events, strings.TrimSpace(text+" "+e.What))
	}
	if ch.Said != nil {
		b.events = append(b.events, fmt.Sprintf("%d said %v", ch.Is.ID, ch.Said.Body))
	}
}

// settle lets all that is under way come to its end.
func (b *sitting) settle() {
	for range 20 {
		b.look()
		for len(b.h.waiting) > 0 {
			b.h.one()
		}
	}
}

// after lets time pass, in steps of a second.
func (b *sitting) after(d time.Duration) *sitting {
	b.settle()
	for end := b.now.Add(d); b.now.Before(end); {
		b.now = b.now.Add(time.Second)
		b.settle()
	}
	return b
}

// want compares what happened since the last time.
func (b *sitting) want(events ...string) {
	b.t.Helper()
	b.settle()
	if got := strings.Join(b.events, "\n"); got != strings.Join(events, "\n") {
		b.t.Errorf("it happened:\n%s\nwant:\n%s", got, strings.Join(events, "\n"))
	}
	b.events = nil
}

func (b *sitting) comes(id store.AgentID, tags ...string) {
	b.SetAgent(Agent{ID: id, Tags: tags, Here: true, Takes: true})
}

func (b *sitting) opens(id store.ConversationID, w Wants, priority int) {
	b.Open(Contact{ID: id, Wants: w, Priority: priority}, true, nil, func(_ *Change, err error) {
		if err != nil {
			b.t.Errorf("open %d: %v", id, err)
		}
	})
}

// answers is a Done that wants an error, nil or one of the desk's.
func (b *sitting) answers(want error) Done {
	b.t.Helper()
	return func(_ *Change, err error) {
		b.t.Helper()
		if !errors.Is(err, want) {
			b.t.Errorf("the desk says %v, want %v", err, want)
		}
	}
}

func TestFirstReplyAccepts(t *testing.T) {
	b := sit(t, nil)
	b.comes(1)
	b.comes(2)
	b.opens(7, Wants{}, 0)
	b.want("7 created", "7 queued", "7 offered [1 2]")
	// In the same moment.
	b.AgentSays(7, Said{Agent: 2, Body: 1}, b.answers(nil))
	b.AgentSays(7, Said{Agent: 1, Body: 2}, b.answers(ErrTaken))
	b.want("7 assigned by 2", "7 said 1")
	b.AgentSays(7, Said{Agent: 1, Body: 3}, b.answers(ErrTaken))
	b.Accept(7, 2, b.answers(nil)) // once more
	b.Close(7, 1, "", b.answers(ErrNotYours))
	b.Close(7, 2, "", b.answers(nil))
	b.AgentSays(7, Said{Agent: 2, Body: 4}, b.answers(ErrClosed))
	b.VisitorSays(7, Said{Body: 5}, b.answers(ErrClosed))
	b.want("7 closed by 2")
	b.after(30 * time.Second).want("7 finalized")
	b.AgentSays(7, Said{Agent: 2, Body: 6}, b.answers(ErrUnknown))
	b.want()
}

// Who looks after others takes over what one of them has, in whatever state that is, and nobody is left behind with it.
func TestTakeOver(t *testing.T) {
	b := sit(t, nil)
	b.h.chosen[1], b.h.chosen[3] = true, true
	b.comes(1)
	b.opens(7, Wants{}, 0)
	b.settle()
	b.TakeOver(7, 3, b.answers(ErrNotNow)) // nobody has it
	b.Accept(7, 1, b.answers(nil))
	b.want("7 created", "7 queued", "7 offered [1]", "7 assigned by 1")
	b.Hold(7, 1, b.answers(nil))
	b.TakeOver(7, 3, b.answers(nil))
	b.TakeOver(7, 3, b.answers(nil)) // once more
	b.settle()
	b.AgentSays(7, Said{Agent: 1, Body: 1}, b.answers(ErrTaken))
	b.want("7 updated by 1 held", "7 updated by 3 transferring", "7 transferred by 1 [3]", "7 assigned by 3")
	b.Invite(7, 3, 1, b.answers(nil))
	b.comes(2)
	b.Transfer(7, 3, Wants{Agent: 2}, "", b.answers(nil))
	b.settle()
	b.TakeOver(7, 1, b.answers(nil)) // a guest, while another is asked
	b.Accept(7, 2, b.answers(ErrTaken))
	b.want("7 updated by 3 [1] invited", "7 updated by 3 transferring", "7 offered [2]", "7 transferred by 3 [1]", "7 assigned by 1")
	if c, err := b.Contact(7); err != nil || c.Owner != 1 || len(c.Guests) > 0 || c.Offer != nil || c.Handed != nil || len(c.Legs) != 3 {
		t.Errorf("it is %+v (%v)", c, err)
	}
	b.Whisper(7, 2, "a note", b.answers(nil))
	b.Close(7, 1, "", b.answers(nil))
	b.TakeOver(7, 2, b.answers(ErrClosed))
	b.want("7 updated by 2 note", "7 closed by 1")
}

// What is said while an acceptance is under way comes after it.
func TestInTurn(t *testing.T) {
	b := sit(t, nil)
	b.comes(1)
	b.opens(7, Wants{}, 0)
	b.settle()
	b.VisitorSays(7, Said{Body: 1}, b.answers(nil))
	b.AgentSays(7, Said{Agent: 1, Body: 2}, b.answers(nil))
	b.VisitorSays(7, Said{Body: 3}, b.answers(nil))
	b.events = nil
	b.want("7 said 1", "7 assigned by 1", "7 said 2", "7 said 3")
}

func TestAlgorithms(t *testing.T) {
	// Agents 1 to 4 know ever more; agent 1 came first and has two conversations, 2 has one.
	for _, c := range []struct {
		algorithm Algorithm
		want      []string // who is asked, in the beginning and every 12 seconds
	}{
		{Broadcast, []string{"[1 2 3 4]"}},
		{SkillBased, []string{"[4]", "[4 3]", "[4 3 1 2]"}},
		{LeastLoaded, []string{"[3 4]", "[3 4 2]", "[3 4 2 1]"}},
		{RoundRobin, []string{"[3]", "declined 3", "[4]", "declined 4", "[1]", "declined 1", "[2]"}},
	} {
		t.Run(string(c.algorithm), func(t *testing.T) {
			b := sit(t, func(s *Settings) { s.Algorithm, s.Steps, s.Force, s.Limit = c.algorithm, 4, false, 4 })
			b.comes(1)
			b.comes(2)
			give := func(id store.ConversationID, to store.AgentID) {
				b.opens(id, Wants{Agent: to}, 0)
				b.settle()
				b.Accept(id, to, b.answers(nil))
				b.settle()
			}
			give(1, 1)
			give(2, 1)
			b.after(time.Second)
			give(3, 2)
			b.now = b.now.Add(-time.Minute) // the others have been here for longer
			b.comes(3, "a", "b", "c")
			b.now = b.now.Add(time.Second)
			b.comes(4, "a", "b", "c", "d")
			b.now = b.now.Add(time.Minute)
			b.events = nil
			b.opens(9, Wants{Liked: []string{"a", "b", "c", "d"}}, 0)
			b.after(37 * time.Second)
			var got []string
			for _, e := range b.events {
				if rest, ok := strings.CutPrefix(e, "9 offered "); ok {
					got = append(got, rest)
				} else if rest, ok := strings.CutPrefix(e, "9 declined by "); ok {
					got = append(got, "declined "+rest)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("asked were %v, want %v", got, c.want)
			}
		})
	}
}

// Who does not answer what she alone was asked takes a break.
func TestForcedPause(t *testing.T) {
	b := sit(t, func(s *Settings) { s.Exclusive = true })
	b.comes(1)
	b.opens(7, Wants{}, 0)
	b.want("7 created", "7 queued", "7 offered [1]")
	b.after(12*time.Second).want("7 declined by 1", "paused 1 forced")
	b.opens(8, Wants{}, 0)
	b.want("8 created", "8 queued")
	b.Ready(1)
	b.want("8 offered [1]")
}

// Who waits is served by priority, then by time; nobody sees more offers than she may.
func TestPriorities(t *testing.T) {
	b := sit(t, func(s *Settings) { s.Offers, s.Limit = 2, 2 })
	b.comes(1)
	b.Pause(1, "lunch")
	b.opens(1, Wants{}, 20)
	b.opens(2, Wants{}, 0)
	b.after(time.Second)
	b.opens(3, Wants{}, 15)
	b.opens(4, Wants{}, 1)
	b.settle()
	b.events = nil
	b.Ready(1)
	b.want("4 offered [1]", "2 offered [1]")
	b.Accept(2, 1, b.answers(nil))
	b.want("2 assigned by 1", "3 offered [1]")
	b.Accept(3, 1, b.answers(nil))
	b.want("3 assigned by 1", "4 queued") // she has enough
	b.Close(2, 1, "", b.answers(nil))
	b.want("2 closed by 1", "4 offered [1]", "1 offered [1]")
}

// Who is asked in somebody's place has the whole time.
func TestAskedInsteadOfAnother(t *testing.T) {
	b := sit(t, func(s *Settings) { s.Exclusive = true })
	b.comes(1)
	b.opens(7, Wants{}, 0)
	b.after(11 * time.Second)
	b.comes(2)
	b.SetAgent(Agent{ID: 1, Here: true})
	b.after(11 * time.Second)
	b.want("7 created", "7 queued", "7 offered [1]", "7 offered [2]")
	b.after(2*time.Second).want("7 declined by 2", "paused 2 forced")
}

// What an agent knows is a setting; who lacks it is not asked.
func TestSkills(t *testing.T) {
	b := sit(t, func(s *Settings) {
		s.Agents = map[string]Skills{"anna": {Tags: []string{"italian"}, Limit: 1}}
	})
	b.SetAgent(Agent{ID: 1, Name: "anna", Here: true, Takes: true})
	b.SetAgent(Agent{ID: 2, Name: "ben", Here: true, Takes: true})
	b.opens(7, Wants{Tags: []string{"italian"}}, 0)
	b.want("7 created", "7 queued", "7 offered [1]")
	b.Accept(7, 1, b.answers(nil))
	b.opens(8, Wants{Tags: []string{"italian"}}, 0)
	b.want("7 assigned by 1", "8 created", "8 queued") // she has as much as she takes
}

func TestTransfers(t *testing.T) {
	b := sit(t, func(s *Settings) { s.Groups = map[string]Group{"billing": {Tags: []string{"billing"}}} })
	b.comes(1)
	b.opens(7, Wants{}, 0)
	b.settle()
	b.Accept(7, 1, b.answers(nil))
	b.settle()
	b.Transfer(7, 1, Wants{Group: "billing"}, "", b.answers(ErrNobody))
	b.Transfer(7, 1, Wants{Group: "sales"}, "", b.answers(ErrNobody))
	b.comes(2, "billing")
	b.comes(3)
	b.settle()
	b.events = nil
	b.Transfer(7, 1, Wants{Group: "billing"}, "wants her money back", b.answers(nil))
	b.want("7 updated by 1 transferring", "7 offered [2]")
	b.AgentSays(7, Said{Agent: 1, Body: 1}, b.answers(nil)) // it is hers still
	b.Decline(7, 2, "busy", b.answers(nil))
	b.want("7 said 1", "7 declined by 2")
	b.after(time.Minute).want("7 updated returned")
	b.Transfer(7, 1, Wants{Agent: 3}, "", b.answers(nil))
	b.want("7 updated by 1 transferring", "7 offered [3]")
	b.AgentSays(7, Said{Agent: 3, Body: 2}, b.answers(nil))
	b.want("7 transferred by 1 [3]", "7 assigned by 3", "7 said 2")
	b.AgentSays(7, Said{Agent: 1, Body: 3}, b.answers(ErrTaken))
	b.want()
}

// An agent who is gone for longer than she may loses what she has; a visitor who is gone ends it.
func TestGone(t *testing.T) {
	b := sit(t, nil)
	b.comes(1)
	b.opens(7, Wants{}, 0)
	b.settle()
	b.Accept(7, 1, b.answers(nil))
	b.after(time.Second)
	b.events = nil
	b.SetAgent(Agent{ID: 1})
	b.after(59 * time.Second)
	b.comes(1)
	b.after(time.Minute).want() // she was back in time
	b.SetAgent(Agent{ID: 1})
	b.comes(2)
	b.after(time.Minute).want("7 queued [1]", "7 offered [2]")
	b.Accept(7, 2, b.answers(nil))
	b.VisitorHere(7, false)
	b.after(4 * time.Minute)
	b.VisitorHere(7, true)
	b.after(30 * time.Second).want("7 assigned by 2")
	b.after(31 * time.Second).want("7 updated idle")
	b.VisitorHere(7, false)
	b.after(5 * time.Minute).want("7 closed")
}

// What is under way when a server ends goes on with the next one.
func TestRestore(t *testing.T) {
	b := sit(t, nil)
	b.comes(1)
	b.comes(2)
	for id := range store.ConversationID(4) {
		b.opens(id+1, Wants{}, 0)
	}
	b.settle()
	b.Accept(1, 1, b.answers(nil))
	b.Accept(2, 2, b.answers(nil))
	b.Close(2, 2, "", b.answers(nil))
	b.settle()
	again := sit(t, nil)
	again.now = b.now.Add(20 * time.Second)
	for id, list := range b.h.kept {
		again.h.kept[id] = list
	}
	again.Restore(b.Contacts(), func(store.ConversationID) time.Time { return b.now })
	again.want("3 queued", "4 queued") // who was asked is not here yet
	again.comes(2)
	again.want("3 offered [2]", "4 offered [2]")
	again.VisitorHere(1, true)
	again.VisitorHere(3, true)
	again.after(10 * time.Second).want("2 finalized")
	again.after(20*time.Second).want("4 closed", "4 finalized") // its visitor did not come back
	again.Accept(3, 2, again.answers(nil))
	again.want("3 assigned by 2")
	again.after(149 * time.Second).want() // since it was not she who had gone
	again.after(time.Second).want("1 queued [1]", "1 offered [2]")
}

func TestNobodyHere(t *testing.T) {
	b := sit(t, func(s *Settings) {
		s.Hours = Hours{Week: map[time.Weekday][]Span{time.Monday: {{9 * 60, 17 * 60}}}}
	})
	b.opens(1, Wants{}, 0)
	b.want("1 created", "1 updated turned_away")
	b.VisitorSays(1, Said{Body: 1}, b.answers(nil)) // a message is left
	b.want("1 offline_message.created", "1 said 1")
	b.VisitorSays(1, Said{Body: 2}, b.answers(nil)) // and goes on
	b.comes(1)
	b.opens(2, Wants{}, 0)
	b.want("1 said 2", "2 created", "2 queued", "1 queued", "2 offered [1]", "1 offered [1]") // there is somebody now
	b.VisitorSays(2, Said{Body: 3}, b.answers(nil))
	b.after(2*time.Minute).want("2 said 3", "2 missed", "2 offline_message.created", "1 missed") // it was said before nobody came
	b.VisitorSays(2, Said{Body: 4}, b.answers(nil))
	b.want("2 said 4")
	b.now = b.now.Add(8 * time.Hour)
	b.settle()
	b.events = nil
	b.opens(3, Wants{}, 0)
	b.want("3 created", "3 updated turned_away")
}

func BenchmarkOpenBesideThousand(b *testing.B) {
	t := sit(&testing.T{}, func(s *Settings) { s.Groups = map[string]Group{} })
	t.comes(1)
	t.Pause(1, "lunch")
	for id := range store.ConversationID(1000) {
		t.opens(id+1, Wants{}, 0)
	}
	t.comes(2, "x")
	t.settle()
	id := store.ConversationID(2000)
	for b.Loop() {
		id++
		t.opens(id, Wants{Tags: []string{"x"}}, 0)
		for len(t.h.waiting) > 0 {
			t.h.one()
		}
		t.look()
		for len(t.h.waiting) > 0 {
			t.h.one()
		}
		t.VisitorLeaves(id, nil)
		t.Finish(id, 0, nil)
		for len(t.h.waiting) > 0 {
			t.h.one()
		}
	}
}

// A rating is an event if it is another one than before, also when all else is over.
func TestRating(t *testing.T) {
	b := sit(t, nil)
	b.comes(1)
	b.opens(1, Wants{}, 0)
	b.settle()
	b.Rate(1, Rating{Stars: 1}, b.answers(ErrNotNow)) // there is nobody to be rated yet
	b.Accept(1, 1, b.answers(nil))
	b.Rate(1, Rating{Stars: 3}, b.answers(nil))
	b.VisitorLeaves(1, b.answers(nil))
	b.settle()
	b.events = nil
	b.Rate(1, Rating{Stars: 3}, b.answers(nil))
	b.want()
	b.Rate(1, Rating{Stars: 4}, b.answers(nil))
	b.after(30*time.Second).want("1 rated", "1 finalized")
	b.Rate(1, Rating{Stars: 5}, b.answers(ErrUnknown))
	changes := b.h.kept[1]
	last := changes[len(changes)-1].Is
	ch, err := last.Rated(Rating{Stars: 5}, b.now)
	if err != nil || ch.Was != last || ch.Is.State != Finalized || ch.Is.Rating.Stars != 5 || !ch.Is.Final.Equal(last.Final) || !ch.Is.Ended.Equal(last.Ended) {
		t.Errorf("rated when it is finalized: %+v, %v", ch, err)
	}
	many := 3 // so far
	for c := ch.Is; err == nil && many < 20; many++ {
		if ch, err = c.Rated(Rating{Stars: 1 + many%2}, b.now); err == nil {
			c = ch.Is
		}
	}
	if err != ErrNotNow || many != 11 {
		t.Errorf("the %d. rating: %v", many, err)
	}
	ch, _ = last.Rated(Rating{Stars: 5}, b.now)
	if again, err := ch.Is.Rated(Rating{Stars: 5}, b.now); again != nil || err != nil {
		t.Errorf("the same again is %+v, %v", again, err)
	}
}
