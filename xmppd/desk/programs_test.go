package desk

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// What programs do to a contact is done whole, or not at all.
func TestRevise(t *testing.T) {
	was := &Contact{ID: 1, Version: 4, State: Finalized, Fields: map[string]string{"order": "1", "phone": "2"}, Tags: []string{"old"}, Priority: 15}
	ch, err := was.Revised(System, nil, []Revision{Tagged([]string{"new"}), Filled(map[string]string{"order": "3", "phone": ""}), Prioritized(2)}, was.Created)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(ch.Is.Version, ch.Is.Tags, ch.Is.Fields, ch.Is.Priority, len(ch.Events)); got != "7 [new] map[order:3] 2 3" {
		t.Errorf("it is %s", got)
	}
	if got := fmt.Sprint(was.Version, was.Tags, was.Fields, was.Priority); got != "4 [old] map[order:1 phone:2] 15" {
		t.Errorf("it was %s", got)
	}
	no := errors.New("no")
	if ch, err := was.Revised(System, func(*Contact) error { return no }, []Revision{Prioritized(2)}, was.Created); err != no || ch.Is != was {
		t.Errorf("refused it is %+v, %v", ch.Is, err)
	}
}

// A program has others asked, whoever has a contact, and also while nobody has it.
func TestHand(t *testing.T) {
	b := sit(t, func(s *Settings) { s.Groups = map[string]Group{"billing": {Tags: []string{"billing"}}} })
	b.comes(1)
	b.comes(2, "billing")
	b.comes(3, "billing")
	b.opens(7, Wants{}, 0)
	b.want("7 created", "7 queued", "7 offered [1 2 3]")
	b.Hand(7, Wants{Group: "billing"}, "", b.answers(nil))
	b.want("7 updated rerouted", "7 offered [2 3]")
	b.Hand(7, Wants{Group: "nobody"}, "", b.answers(ErrNobody))
	b.Accept(7, 2, b.answers(nil))
	b.want("7 assigned by 2")
	b.Hand(7, Wants{Agent: 2}, "", b.answers(ErrNobody))
	b.Hand(7, Wants{Agent: 1}, "she asks for you", b.answers(nil))
	b.want("7 updated transferring", "7 offered [1]")
	b.Hand(7, Wants{Agent: 3}, "", b.answers(ErrNotNow))
	b.after(time.Minute).want("7 updated returned")
	b.Shut(7, "", b.answers(nil))
	b.Hand(7, Wants{Agent: 1}, "", b.answers(ErrClosed))
	b.want("7 closed")
}
