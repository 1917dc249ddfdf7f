package xmppd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// controlName is the local part at which agents talk with the desk itself. An agent of that name
// has it for herself.
const controlName = "parley"

// controls are what agents can ask of the desk, by name.
var controls = map[string]command{
	"queue":    {"", "who waits", (*order).queue},
	"next":     {"", "take who comes first", (*order).next},
	"take":     {"id", "take that chat", (*order).take},
	"pause":    {"[why]", "no more chats for now", (*order).pause},
	"ready":    {"", "chats again", (*order).ready},
	"who":      {"", "who is here, and what they have", (*order).who},
	"limits":   {"", "how many chats you can have, and have", (*order).limits},
	"stats":    {"", "your day, and how it stands", (*order).stats},
	"watch":    {"on|off", "read along with all chats, if you are a supervisor", (*order).watchAll},
	"close":    {"id [why]", "end a chat of yours", (*order).closeOther},
	"transfer": {"id @agent|#group [note]", "ask others to take over a chat of yours", (*order).transferOther},
}

// toDesk takes what an agent writes to the desk.
func (s *Session) toDesk(st *wire.Stanza, t *target, kind im.Kind) {
	text := strings.TrimSpace(im.BodyText(st))
	if kind == im.ErrorMessage || kind == im.Headline || text == "" {
		return
	}
	s.copyAside(st, t)
	name, args := firstWord(strings.TrimPrefix(text, "!"))
	o := &order{Session: s, support: s.agent.account.support, args: args}
	reply, known, _ := o.run(controls, name)
	if !known {
		reply = help("What you can ask:", "", controls)
	}
	s.agent.hear(aside(t.bare(), s.agent.bare, reply))
}

// waiting are the contacts that wait, in the order in which they are served.
func (o *order) waiting() (list []*desk.Contact) {
	for _, c := range o.support.contacts.Contacts() {
		if c.State.Waiting() {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(x, y *desk.Contact) int {
		return cmp.Or(cmp.Compare(x.Priority, y.Priority), x.Queued.Compare(y.Queued), cmp.Compare(x.ID, y.ID))
	})
	return list
}

func (o *order) queue() (string, error) {
	var lines []string
	for _, c := range o.waiting() {
		lines = append(lines, fmt.Sprintf("%s · waits for %s", o.support.title(c), time.Since(c.Queued).Round(time.Second)))
	}
	return cmp.Or(strings.Join(lines, "\n"), "Nobody waits."), nil
}

func (o *order) next() (string, error) {
	for _, c := range o.waiting() {
		if c.OfferedTo(o.agent.id) {
			return o.taken(c)
		}
	}
	return "There is nobody whom you could take.", nil
}

func (o *order) taken(c *desk.Contact) (string, error) {
	err := wait(func(done desk.Done) { o.support.contacts.Accept(c.ID, o.agent.id, done) })
	return o.support.title(c) + " is yours.", err
}

// named is the contact whose address ends with what the agent has typed, among those that she
// may name; nil if there is none, or more than one.
func (o *order) named(id string, may func(*desk.Contact) bool) (found *desk.Contact) {
	for _, c := range o.support.contacts.Contacts() {
		if len(id) >= 4 && strings.HasSuffix(c.Address, strings.ToLower(id)) && may(c) {
			if found != nil {
				return nil
			}
			found = c
		}
	}
	return found
}

const whichChat = "Which chat? Its id is the last four characters of its name."

func (o *order) take() (string, error) {
	c := o.named(o.args, func(c *desk.Contact) bool { return c.OfferedTo(o.agent.id) })
	if c == nil {
		return whichChat, nil
	}
	return o.taken(c)
}

func (o *order) closeOther() (string, error) {
	id, why, _ := strings.Cut(o.args, " ")
	c := o.named(id, o.owns)
	if c == nil {
		return whichChat, nil
	}
	return "Closed.", wait(func(done desk.Done) { o.support.contacts.Close(c.ID, o.agent.id, strings.TrimSpace(why), done) })
}

func (o *order) owns(c *desk.Contact) bool { return c.State.Owned() && c.Owner == o.agent.id }

func (o *order) transferOther() (string, error) {
	id, rest, _ := strings.Cut(o.args, " ")
	c := o.named(id, o.owns)
	if c == nil {
		return whichChat, nil
	}
	return (&order{o.Session, o.support, c, strings.TrimSpace(rest)}).transfer()
}

func (o *order) pause() (string, error) {
	o.support.contacts.Pause(o.agent.id, im.OneLine(o.args, maxName))
	return "Paused. What you have stays with you; ready ends it.", nil
}

func (o *order) ready() (string, error) {
	o.support.contacts.Ready(o.agent.id)
	if s := o.support.contacts.Standing(o.agent.id); !s.Takes {
		return "You are not paused any more, but your client says that you are away: you get chats when it says that you are available.", nil
	}
	return "You get chats again.", nil
}

func (o *order) who() (string, error) {
	var lines []string
	for _, s := range o.support.contacts.Standings() {
		state := "available"
		switch {
		case !s.Here:
			state = "gone"
		case s.Paused != "":
			state = "paused: " + s.Paused
		case !s.Takes:
			state = "away"
		}
		lines = append(lines, fmt.Sprintf("%s · %s · %d chats", o.support.account.nameOf(s.ID), state, len(s.Has)))
	}
	return cmp.Or(strings.Join(lines, "\n"), "Nobody is here."), nil
}
