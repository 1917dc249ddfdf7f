package xmppd

import (
	"cmp"
	"slices"
	"strings"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/im"
)

// offer is what an agent reads who is asked to take a contact: what the visitor has said, who it
// is, and what she can do.
func (p *support) offer(c *desk.Contact) string {
	var lines []string
	if q := im.Marked(c.Question); q != "" {
		lines = append(lines, q)
	}
	who := []string{p.visitor(c)}
	if about := p.about(c); about != "" {
		who = append(who, about)
	}
	lines = append(lines, "* "+strings.Join(who, " · "))
	if c.Handed != nil { // in a line of its own, which no name of a visitor's looks like (im.Named)
		lines = append(lines, "* handed over by "+p.account.nameOf(c.Owner))
	}
	if c.Handed != nil && c.Handed.Note != "" {
		lines = append(lines, "* note: "+im.OneLine(c.Handed.Note, maxField))
	}
	return strings.Join(append(lines, "* Reply to take it · !decline to pass · !help"), "\n")
}

// closedByHer is what an agent is told who has closed a contact.
const closedByHer = "Closed. !note and !tag work until !done, or for a moment."

// news is what an agent who sees a contact is told of a change, besides what her roster shows; ""
// if nothing.
func (p *support) news(ch *desk.Change, id store.AgentID) string {
	c := ch.Is
	for i := range ch.Events {
		e := &ch.Events[i]
		mine := c.Owner == id && (c.State.Owned() || c.State == desk.Closed)
		actor := p.account.nameOf(e.Actor)
		switch {
		case e.Kind == store.KindContactClosed && e.By == desk.Visitor && e.Why == "gone":
			return "The visitor is gone; this chat is closed."
		case e.Kind == store.KindContactClosed && e.By == desk.Visitor:
			return "The visitor has ended this chat."
		case e.Kind == store.KindContactClosed && e.By == desk.Agents && !mine:
			return actor + " has closed this chat."
		case e.Kind == store.KindContactClosed && e.By == desk.Agents:
			return closedByHer
		case e.Kind == store.KindContactClosed && e.Why == "":
			return "This chat was closed."
		case e.Kind == store.KindContactClosed:
			return "This chat was closed: " + im.OneLine(e.Why, maxField) + "."
		case e.Kind == store.KindContactTransferred && id == e.Actor && c.Owner != id: // who reads along, too: others have their farewell
			return p.account.nameOf(c.Owner) + " has this chat now"
		case e.Kind == store.KindContactAssigned && id == e.Actor && ch.Was != nil && ch.Was.State.Owned():
			return "This chat is yours now; " + p.account.nameOf(ch.Was.Owner) + " had it before. !history shows what was said."
		case e.Kind == store.KindContactAssigned && id == e.Actor && ch.Said == nil: // else she knows, having replied
			return "This chat is yours."
		case e.Kind == store.KindContactDeclined && mine:
			return actor + " has declined."
		case e.What == "returned" && mine && e.By == desk.System:
			return "Nobody has taken it over; it stays yours."
		case e.What == "invited" && slices.Contains(e.Agents, id):
			return actor + " has asked you to join. The visitor sees what you write. !history shows what was said, !leave ends it."
		case e.What == "left" && mine:
			return actor + " has left."
		case e.What == "transferring" && mine && e.By == desk.System:
			return "Others are asked to take this chat over. It stays yours until one does; !back keeps it."
		case e.What == "note" && id != e.Actor:
			return im.Prefixed("note of "+cmp.Or(actor, string(e.By))+": ", e.Text)
		}
	}
	return ""
}
