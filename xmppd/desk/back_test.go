package desk

import (
	"slices"
	"testing"
	"time"
)

// Visitors who were told that nobody is there, and stayed, wait for an agent after all when one can be asked: when she comes, is
// ready again, has less to do, or the hours begin. Where agents were asked, and did not come, it is for who comes after that.
func TestComeBack(t *testing.T) {
	b := sit(t, func(s *Settings) {
		s.Limit = 1
		s.Hours = Hours{Week: map[time.Weekday][]Span{time.Monday: {{9 * 60, 12 * 60}, {12*60 + 5, 17 * 60}}}}
	})
	b.opens(1, Wants{}, 0)
	b.want("1 created", "1 updated turned_away")
	b.VisitorSays(1, Said{Body: 1}, b.answers(nil))
	b.want("1 offline_message.created", "1 said 1")
	b.comes(1)
	b.want("1 queued", "1 offered [1]")
	b.after(2 * time.Minute).want("1 missed") // and she has been there all the time
	b.after(time.Minute).want()
	b.Pause(1, "")
	b.Ready(1)
	b.want("1 queued", "1 offered [1]")
	b.Accept(1, 1, b.answers(nil))
	b.opens(2, Wants{}, 0)
	b.opens(3, Wants{}, 0)
	b.VisitorHere(3, false)
	b.want("1 assigned by 1", "2 created", "2 queued", "3 created", "3 queued")
	b.after(2*time.Minute).want("3 closed", "3 finalized", "2 updated turned_away")
	b.Close(1, 1, "", b.answers(nil))
	b.want("1 closed by 1", "2 queued", "2 offered [1]")
	b.Accept(2, 1, b.answers(nil))
	b.Close(2, 1, "", b.answers(nil))
	b.after(time.Minute)
	b.now = time.Date(2026, 11, 2, 12, 1, 0, 0, time.UTC)
	b.SetAgent(Agent{ID: 1, Here: true, Takes: true})
	b.events = nil
	b.opens(4, Wants{}, 0)
	b.want("4 created", "4 updated turned_away")
	if due := b.look(); !due.Equal(time.Date(2026, 11, 2, 12, 5, 0, 0, time.UTC)) {
		t.Errorf("the desk looks again at %s", due)
	}
	b.after(4*time.Minute).want("4 queued", "4 offered [1]")
	b.VisitorLeaves(4, b.answers(nil))
	b.want("4 closed", "4 finalized")
	if last := b.h.kept[4][len(b.h.kept[4])-1].Is; last.Outcome != Abandoned {
		t.Errorf("it was %s", last.Outcome)
	}
}

// What a visitor's language and tags say is liked, and who knows most of it is asked first.
func TestLiked(t *testing.T) {
	b := sit(t, func(s *Settings) {
		s.Algorithm = SkillBased
		s.Groups = map[string]Group{"billing": {Tags: []string{"money"}, Priority: 2}}
	})
	b.comes(1, "money")
	b.comes(2, "money", "it")
	b.comes(3, "money", "it", "vip")
	b.Open(Contact{ID: 7, Lang: "it-CH", Tags: []string{"vip"}, Wants: Wants{Tags: []string{"money"}}}, true, nil, b.answers(nil))
	b.want("7 created", "7 queued", "7 offered [3]")
	b.after(12 * time.Second).want("7 offered [3 2]")
	if got := b.h.kept[7][0].Is.Wants.Liked; !slices.Equal(got, []string{"it", "vip"}) {
		t.Errorf("liked is %v", got)
	}
	b.Accept(7, 3, b.answers(nil))
	b.Transfer(7, 3, Wants{Group: "billing"}, "", b.answers(nil))
	b.want("7 assigned by 3", "7 updated by 3 transferring", "7 offered [2]") // who speaks Italian
}

// What is handed to a group is served as the group is.
func TestPriorityOfWhatIsHanded(t *testing.T) {
	b := sit(t, func(s *Settings) {
		s.Offers, s.BounceBack = 1, false
		s.Groups = map[string]Group{"billing": {Priority: 2}}
	})
	b.comes(1)
	b.opens(1, Wants{}, 0)
	b.settle()
	b.Accept(1, 1, b.answers(nil))
	b.SetAgent(Agent{ID: 2, Here: true, Takes: true})
	b.opens(3, Wants{}, 3)
	b.Decline(3, 1, "", nil)
	b.settle()
	b.events = nil
	b.opens(4, Wants{}, 4)
	b.Transfer(1, 1, Wants{Group: "billing"}, "", b.answers(nil))
	b.settle()
	b.Decline(3, 2, "", b.answers(nil))
	b.settle()
	if c, err := b.Contact(1); err != nil || !c.OfferedTo(2) {
		t.Errorf("what was handed over is %+v, %v", c, err)
	}
	b.after(time.Minute)
	if c, err := b.Contact(1); err != nil || c.Priority != 2 || c.Handed != nil {
		t.Errorf("what nobody took is %+v, %v", c, err)
	}
}

// A reply that comes too soon may be meant for somebody else; !accept is not.
func TestAcceptAfter(t *testing.T) {
	b := sit(t, func(s *Settings) { s.Algorithm, s.AcceptAfter = LeastLoaded, 3*time.Second })
	b.comes(1)
	b.opens(7, Wants{}, 0)
	b.want("7 created", "7 queued", "7 offered [1]")
	b.after(2 * time.Second)
	b.AgentSays(7, Said{Agent: 1, Body: 1}, b.answers(ErrTooSoon))
	b.comes(2)
	b.after(10 * time.Second).want("7 offered [1 2]")
	b.AgentSays(7, Said{Agent: 2, Body: 2}, b.answers(ErrTooSoon)) // she was asked just now
	b.AgentSays(7, Said{Agent: 1, Body: 3}, b.answers(nil))
	b.AgentSays(7, Said{Agent: 1, Body: 4}, b.answers(nil))
	b.want("7 assigned by 1", "7 said 3", "7 said 4")
	b.opens(8, Wants{}, 0)
	b.settle()
	b.Accept(8, 2, b.answers(nil))
	b.want("8 created", "8 queued", "8 offered [1 2]", "8 assigned by 2")
}
