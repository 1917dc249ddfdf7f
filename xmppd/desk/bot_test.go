package desk

import (
	"testing"
	"time"

	"parley.im/parley/store"
)

// A bot has each contact first, as long as it answers.
func TestBot(t *testing.T) {
	b := sit(t, func(s *Settings) { s.Bot = 30 * time.Second })
	b.comes(1)
	b.opens(7, Wants{}, 0)
	b.after(29 * time.Second).want("7 created")
	b.BotSays(7, Said{Body: 1}, b.answers(nil))
	b.after(10 * time.Minute).want("7 said 1") // the visitor thinks
	b.VisitorSays(7, Said{Body: 2}, b.answers(nil))
	b.after(20 * time.Second).want("7 said 2")
	b.VisitorSays(7, Said{Body: 3}, b.answers(nil))
	b.after(9 * time.Second).want("7 said 3")
	b.after(time.Second).want("7 queued", "7 offered [1]") // it has been silent for as long as it may
	b.BotSays(7, Said{Body: 4}, b.answers(nil))
	b.Submit(7, Bot, nil, b.answers(ErrNotNow))
	b.want("7 said 4")

	// It hands over; and so does a visitor who asks for that.
	b.opens(8, Wants{}, 0)
	b.Submit(8, Bot, nil, b.answers(nil))
	b.opens(9, Wants{}, 0)
	b.Submit(9, Visitor, nil, b.answers(nil))
	b.want("8 created", "9 created", "8 queued", "9 queued", "8 offered [1]", "9 offered [1]")

	for id := store.ConversationID(7); id < 10; id++ {
		b.Shut(id, "", b.answers(nil))
	}
	b.settle()
	b.events = nil

	// A form comes before it.
	b.Open(Contact{ID: 10}, false, nil, b.answers(nil))
	b.after(5 * time.Minute).want("10 created")
	b.Submit(10, Visitor, func(c *Contact) { c.Name = "Mia" }, b.answers(nil))
	b.after(29 * time.Second).want("10 updated fields")
	if c, err := b.Contact(10); err != nil || c.Name != "Mia" || c.State != Collecting {
		t.Errorf("it is %+v, %v", c, err)
	}
	b.after(time.Second).want("10 queued", "10 offered [1]")

	// Nobody is left with a bot that there is none of any more, or of which a restart knows nothing.
	b.opens(11, Wants{}, 0)
	b.BotSays(11, Said{Body: 1}, b.answers(nil))
	b.want("11 created", "11 said 1")
	c, err := b.Contact(11)
	if err != nil {
		t.Fatal(err)
	}
	again := sit(t, func(s *Settings) { s.Bot = 30 * time.Second })
	again.now = b.now
	again.comes(1)
	again.h.kept[11] = []*Change{{Is: c}}
	again.h.said[11] = b.h.said[11]
	again.Restore([]*Contact{c}, func(store.ConversationID) time.Time { return again.now })
	again.VisitorHere(11, true)
	again.after(30*time.Second).want("11 queued", "11 offered [1]")
	s := b.settings
	s.Bot = 0
	b.Configure(s)
	b.after(time.Second).want("11 queued", "11 offered [1]")
}

// What a visitor has waited for an agent is neither a bot's part, nor what comes after an agent has gone.
func TestWaited(t *testing.T) {
	b := sit(t, func(s *Settings) { s.Bot = 30 * time.Second })
	b.comes(1)
	b.comes(2)
	b.opens(7, Wants{}, 0)
	b.after(20 * time.Second)
	b.Submit(7, Bot, nil, b.answers(nil))
	b.after(7 * time.Second)
	b.Accept(7, 1, b.answers(nil))
	b.after(time.Minute)
	b.Leave(7, 1, b.answers(nil))
	b.after(3 * time.Second)
	b.Accept(7, 2, b.answers(nil))
	b.settle()
	if c, err := b.Contact(7); err != nil || c.State != Active || c.Waited != 7*time.Second {
		t.Errorf("it is %+v, %v", c, err)
	}
}
