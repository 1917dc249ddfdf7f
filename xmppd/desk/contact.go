package desk

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"parley.im/parley/store"
)

// A Contact is a visitor's conversation as the desk knows it. It is never changed: what becomes
// of it is another one, of the next Version.
type Contact struct {
	ID      store.ConversationID `json:"-"`
	Address string               `json:"-"` // the local part of its JID, never used again
	Version int64                `json:"-"` // grows with each step
	State   State                `json:"-"`

	Visitor  string            // who it is, as an internal id
	Vouched  bool              `json:",omitempty"` // a shop has said who that is
	Name     string            `json:",omitempty"` // what the visitor is called, one line
	Subject  string            `json:",omitempty"` // the page, one line
	Page     string            `json:",omitempty"` // its URL
	Question string            `json:",omitempty"` // what the visitor has said first
	Lang     string            `json:",omitempty"` // BCP 47
	Fields   map[string]string `json:",omitempty"` // of the form, and what agents have set
	Emails   []string          `json:",omitempty"` // of the addresses in Fields, those that the visitor, or who vouches for them, has given
	Tags     []string          `json:",omitempty"` // for people and reports
	Wants    Wants             // whom to ask
	Priority int               // 1, served first, to 30; 15 is usual

	Owner  store.AgentID   `json:",omitempty"` // who has it, or had it last
	Guests []store.AgentID `json:",omitempty"` // who were invited by her
	Legs   []Leg           `json:",omitempty"` // who had it, in order
	Offer  *Offer          `json:",omitempty"` // who is asked
	Passed []store.AgentID `json:",omitempty"` // who have said no, or did not answer, since it waits
	Asked  bool            `json:",omitempty"` // somebody was asked, since it waits
	Handed *Handing        `json:",omitempty"` // while others are to take it over
	Late   []store.AgentID `json:",omitempty"` // who were asked, too, when it was taken last

	Bot bool `json:",omitempty"` // a bot has it, or had it, before agents were wanted

	Created  time.Time
	Queued   time.Time     `json:",omitzero"` // when it began to wait; again after its agent was gone
	Changed  time.Time     // when this state was entered
	Accepted time.Time     `json:",omitzero"`  // first of all
	Waited   time.Duration `json:",omitempty"` // until then, without the time that a form or a bot had
	Ended    time.Time     `json:",omitzero"`  // when it was closed
	Final    time.Time     `json:",omitzero"`

	By      Party   `json:",omitempty"` // who closed it
	Why     string  `json:",omitempty"` // ... and why
	Turned  Outcome `json:",omitempty"` // why nobody was there
	Letter  bool    `json:",omitempty"` // ... though the visitor had something to say
	Outcome Outcome `json:",omitempty"` // what it came to, once it is closed
	Rating  *Rating `json:",omitempty"` // what the visitor thought of it
	Ratings int     `json:",omitempty"` // how often that was said
	Said    Count   // as of this version
}

// Wants says which agents a contact is for.
type Wants struct {
	Group    string        `json:",omitempty"` // the name of the group that Tags came from
	Tags     []string      `json:",omitempty"` // an agent needs all of them
	Liked    []string      `json:",omitempty"` // ... and the more of these the better
	Priority int           `json:",omitempty"` // of what is handed to the group; 0 leaves it
	Agent    store.AgentID `json:",omitempty"` // her alone
	Busy     bool          `json:",omitempty"` // though she has enough to do
}

// A Leg is the time that one agent had a contact.
type Leg struct {
	Agent store.AgentID
	From  time.Time
	To    time.Time `json:",omitzero"`
	Why   string    `json:",omitempty"` // why it ended: "transferred", "gone", "left", "closed"
}

// An Offer is who is asked to take a contact.
type Offer struct {
	To        []store.AgentID
	Since     time.Time // when the first of them were asked
	Step      int       // how many groups were asked so far
	Exclusive bool      `json:",omitempty"` // one at a time
}

// A Handing is a contact's way from one agent to another.
type Handing struct {
	To    Wants
	Note  string `json:",omitempty"` // for whoever takes it
	Since time.Time
}

// A Party is a side of a conversation.
type Party string

// The parties.
const (
	Visitor Party = "visitor"
	Agents  Party = "agent"
	Bot     Party = "bot"
	System  Party = "system"
)

// A Count is how many messages each side has said.
type Count struct{ Visitor, Agent int }

// A Rating is what a visitor thought of a conversation.
type Rating struct {
	Stars   int    // 1 to 5
	Comment string `json:",omitempty"`
}

// With says whether the agent takes part: as owner or as guest.
func (c *Contact) With(agent store.AgentID) bool {
	return c.State.Owned() && c.Owner == agent || slices.Contains(c.Guests, agent)
}

// OfferedTo says whether the agent is asked to take it.
func (c *Contact) OfferedTo(agent store.AgentID) bool {
	return c.Offer != nil && slices.Contains(c.Offer.To, agent)
}

// Held says whether there is an agent whose it is: who has it or, after it was closed, writes up what it was about.
func (c *Contact) Held() bool {
	return c.State.Owned() || c.State == Closed && c.Owner != 0
}

// Sees are the agents in whose lists the contact is: who have it, were invited, or are asked.
// After it was closed its agent sees it until it is finalized.
func (c *Contact) Sees() []store.AgentID {
	if c.State == Finalized {
		return nil
	}
	var list []store.AgentID
	if c.Held() {
		list = append(list, c.Owner)
	}
	list = append(list, c.Guests...)
	if c.Offer != nil {
		list = append(list, c.Offer.To...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// wants is whom to ask now.
func (c *Contact) wants() *Wants {
	if c.Handed != nil {
		return &c.Handed.To
	}
	return &c.Wants
}

// priority is when it is served, compared with others.
func (c *Contact) priority() int {
	if c.Handed != nil {
		return cmp.Or(c.Handed.To.Priority, c.Priority)
	}
	return c.Priority
}

// likes are what an agent would better know who deals with it: its language, as "it", and its tags.
// What she has to know is not among them.
func (c *Contact) likes(w *Wants) (list []string) {
	lang, _, _ := strings.Cut(c.Lang, "-")
	for _, tag := range slices.Concat(w.Liked, []string{strings.ToLower(lang)}, c.Tags) {
		if tag != "" && !slices.Contains(w.Tags, tag) && !slices.Contains(list, tag) {
			list = append(list, tag)
		}
	}
	return list
}

// next is a copy for the step that verb is, or an error if the table has none.
func (c *Contact) next(v verb, now time.Time) (*Contact, error) {
	state, ok := table[c.State][v]
	if !ok {
		return nil, wrongState(c.State)
	}
	n := *c
	n.Version++
	if n.State != state {
		n.State, n.Changed = state, now
	}
	return &n, nil
}
