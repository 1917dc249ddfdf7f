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

// A request is a command to the desk, on its way.
type request struct {
	*Session
	support *support
	args    string
}

// controls are what agents can ask of the desk, by name.
var controls = map[string]struct {
	usage, about string
	do           func(*request) (string, error)
}{
	"queue":    {"", "who waits", (*request).queue},
	"next":     {"", "take who has waited longest", (*request).next},
	"take":     {"id", "take that chat", (*request).take},
	"pause":    {"[why]", "no more chats for now", (*request).pause},
	"ready":    {"", "chats again", (*request).ready},
	"who":      {"", "who is here, and what they have", (*request).who},
	"close":    {"id [why]", "end a chat of yours", (*request).close},
	"transfer": {"id @agent|#group [note]", "ask others to take over a chat of yours", (*request).transfer},
}

// toDesk takes what an agent writes to the desk.
func (s *Session) toDesk(st *wire.Stanza, t *target, kind im.Kind) {
	text := strings.TrimSpace(im.BodyText(st))
	if kind == im.ErrorMessage || kind == im.Headline || text == "" {
		return
	}
	s.copyAside(st, t)
	name, args, _ := strings.Cut(strings.TrimPrefix(text, "!"), " ")
	reply := ""
	var err error
	if c, ok := controls[strings.ToLower(name)]; ok {
		reply, err = c.do(&request{s, s.agent.account.support, strings.TrimSpace(args)})
	} else {
		reply = controlHelp()
	}
	if err != nil {
		reply = s.excuse(err)
	}
	s.agent.hear(aside(t.bare(), s.agent.bare, reply))
}

func controlHelp() string {
	names := make([]string, 0, len(controls))
	for name := range controls {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("What you can ask:")
	for _, name := range names {
		fmt.Fprintf(&b, "\n%s: %s", strings.TrimSpace(name+" "+controls[name].usage), controls[name].about)
	}
	return b.String()
}

// waiting are the contacts that wait, in the order in which they are served.
func (r *request) waiting() (list []*desk.Contact) {
	for _, c := range r.support.contacts.Contacts() {
		if c.State.Waiting() {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(x, y *desk.Contact) int {
		return cmp.Or(cmp.Compare(x.Priority, y.Priority), x.Queued.Compare(y.Queued), cmp.Compare(x.ID, y.ID))
	})
	return list
}

func (r *request) queue() (string, error) {
	var lines []string
	for _, c := range r.waiting() {
		lines = append(lines, fmt.Sprintf("%s · waits for %s", r.support.title(c), time.Since(c.Queued).Round(time.Second)))
	}
	return cmp.Or(strings.Join(lines, "\n"), "Nobody waits."), nil
}

func (r *request) next() (string, error) {
	for _, c := range r.waiting() {
		if c.OfferedTo(r.agent.id) {
			return r.taken(c)
		}
	}
	return "There is nobody whom you could take.", nil
}

func (r *request) taken(c *desk.Contact) (string, error) {
	err := wait(func(done desk.Done) { r.support.contacts.Accept(c.ID, r.agent.id, done) })
	return r.support.title(c) + " is yours.", err
}

// named is the contact whose address ends with what the agent has typed, among those that she
// may name; nil if there is none, or more than one.
func (r *request) named(id string, may func(*desk.Contact) bool) (found *desk.Contact) {
	for _, c := range r.support.contacts.Contacts() {
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

func (r *request) take() (string, error) {
	c := r.named(r.args, func(c *desk.Contact) bool { return c.OfferedTo(r.agent.id) })
	if c == nil {
		return whichChat, nil
	}
	return r.taken(c)
}

func (r *request) close() (string, error) {
	id, why, _ := strings.Cut(r.args, " ")
	c := r.named(id, r.owns)
	if c == nil {
		return whichChat, nil
	}
	return "Closed.", wait(func(done desk.Done) { r.support.contacts.Close(c.ID, r.agent.id, strings.TrimSpace(why), done) })
}

func (r *request) owns(c *desk.Contact) bool { return c.State.Owned() && c.Owner == r.agent.id }

func (r *request) transfer() (string, error) {
	id, rest, _ := strings.Cut(r.args, " ")
	c := r.named(id, r.owns)
	if c == nil {
		return whichChat, nil
	}
	return (&order{r.Session, r.support, c, strings.TrimSpace(rest)}).transfer()
}

func (r *request) pause() (string, error) {
	r.support.contacts.Pause(r.agent.id, im.OneLine(r.args, maxName))
	return "Paused. What you have stays with you; ready ends it.", nil
}

func (r *request) ready() (string, error) {
	r.support.contacts.Ready(r.agent.id)
	if s := r.support.contacts.Standing(r.agent.id); !s.Takes {
		return "You are not paused any more, but your client says that you are away: you get chats when it says that you are available.", nil
	}
	return "You get chats again.", nil
}

func (r *request) who() (string, error) {
	var lines []string
	for _, s := range r.support.contacts.Standings() {
		state := "available"
		switch {
		case !s.Here:
			state = "gone"
		case s.Paused != "":
			state = "paused: " + s.Paused
		case !s.Takes:
			state = "away"
		}
		lines = append(lines, fmt.Sprintf("%s · %s · %d chats", r.support.account.nameOf(s.ID), state, len(s.Has)))
	}
	return cmp.Or(strings.Join(lines, "\n"), "Nobody is here."), nil
}
