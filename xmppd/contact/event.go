package contact

import (
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// What is kept of an event, and told to webhooks. Person and Note are what a thin body lacks.
type told struct {
	Contact About    `json:"contact"`
	Person  *Person  `json:"person,omitempty"`
	By      string   `json:"by"`
	Agent   string   `json:"agent,omitempty"`  // who did it
	Agents  []string `json:"agents,omitempty"` // whom it concerns
	What    string   `json:"what,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	Note    string   `json:"note,omitempty"`
	UpTo    int64    `json:"up_to,omitempty"` // the number of the newest record that arrived, or was read
}

// About is a contact for programs.
type About struct {
	ID       string     `json:"id"`
	State    string     `json:"state"`
	Visitor  string     `json:"visitor,omitempty"`
	Agent    string     `json:"agent,omitempty"`
	Guests   []string   `json:"guests,omitempty"`
	Group    string     `json:"group,omitempty"`
	Tags     []string   `json:"tags,omitempty"`
	Priority int        `json:"priority"`
	Created  time.Time  `json:"created"`
	Accepted *time.Time `json:"accepted,omitempty"`
	Closed   *time.Time `json:"closed,omitempty"`
	Outcome  string     `json:"outcome,omitempty"`
	Rating   int        `json:"rating,omitempty"`
	// Seconds from the beginning to the first agent, and from her to the end.
	Waited float64 `json:"waited,omitempty"`
	Lasted float64 `json:"lasted,omitempty"`
}

// A Person is what a contact's visitor has said of themself.
type Person struct {
	Name    string            `json:"name,omitempty"`
	Subject string            `json:"subject,omitempty"`
	Page    string            `json:"page,omitempty"`
	Lang    string            `json:"lang,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// About is the contact for programs.
func (k *Contacts) About(c *desk.Contact) About { return AboutOf(c, k.config.Name) }

// AboutOf is a contact for programs, where nobody but its store is at hand.
func AboutOf(c *desk.Contact, name func(store.AgentID) string) About {
	a := About{ID: c.Address, State: c.State.String(), Visitor: c.Visitor, Group: c.Wants.Group, Tags: c.Tags, Priority: c.Priority,
		Created: c.Created.UTC(), Outcome: string(c.Outcome), Guests: named(c.Guests, name)}
	if c.Owner != 0 {
		a.Agent = name(c.Owner)
	}
	if !c.Accepted.IsZero() {
		at := c.Accepted.UTC()
		a.Accepted, a.Waited = &at, c.Waited.Seconds()
	}
	if !c.Ended.IsZero() {
		at := c.Ended.UTC()
		a.Closed = &at
		if a.Accepted != nil {
			a.Lasted = at.Sub(*a.Accepted).Seconds()
		}
	}
	if c.Rating != nil {
		a.Rating = c.Rating.Stars
	}
	return a
}

// PersonOf is what the visitor has said of themself.
func PersonOf(c *desk.Contact) Person {
	return Person{Name: c.Name, Subject: c.Subject, Page: c.Page, Lang: c.Lang, Fields: c.Fields}
}

// told is the record of one of a change's events.
func (k *Contacts) told(ch *desk.Change, e *desk.Event) told {
	t := told{Contact: k.About(ch.Is), By: string(e.By), Agents: k.names(e.Agents), What: e.What, Reason: e.Why, Note: e.Text, UpTo: e.N}
	if e.Actor != 0 {
		t.Agent = k.config.Name(e.Actor)
	}
	switch {
	case e.Kind == store.KindContactCreated, e.Kind == store.KindContactFinalized, e.Kind == store.KindOfflineMessage, e.What == "fields":
		p := PersonOf(ch.Is)
		t.Person = &p
	}
	if e.Kind == store.KindContactRated && ch.Is.Rating != nil {
		t.Note = ch.Is.Rating.Comment
	}
	return t
}

func (k *Contacts) names(agents []store.AgentID) []string { return named(agents, k.config.Name) }

func named(agents []store.AgentID, name func(store.AgentID) string) (list []string) {
	for _, a := range agents {
		list = append(list, name(a))
	}
	return list
}
