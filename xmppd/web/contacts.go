package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
)

// A ContactInfo is a visitor's contact in a list.
type ContactInfo struct {
	contact.About
	Conversation string `json:"conversation" doc:"The id of the conversation that holds what was said."`
	Locked       bool   `json:"locked,omitempty" doc:"Whether most of it cannot be read, now or for ever."`
}

// A ContactDetail is all that is known of a contact but what was said.
type ContactDetail struct {
	ContactInfo
	Person    contact.Person  `json:"person" doc:"What the visitor has said of themself, and what was added."`
	Question  string          `json:"question,omitempty" doc:"What the visitor has said first."`
	Here      bool            `json:"visitor_here" doc:"Whether the visitor's page is connected."`
	Legs      []ContactLeg    `json:"legs,omitempty" doc:"Who had it, in order."`
	Offered   []string        `json:"offered,omitempty" doc:"Who is asked to take it."`
	Handing   *ContactHanding `json:"handing,omitempty" doc:"While others are asked to take it over."`
	Changed   time.Time       `json:"changed" doc:"When this state was entered."`
	Queued    time.Time       `json:"queued,omitzero" doc:"When it began to wait, or began to again."`
	Finalized time.Time       `json:"finalized,omitzero"`
	By        string          `json:"by,omitempty" doc:"Who has closed it: visitor, agent or system."`
	Reason    string          `json:"reason,omitempty" doc:"Why it was closed."`
	Comment   string          `json:"comment,omitempty" doc:"What the visitor has said beside the rating."`
}

// A ContactLeg is the time that one agent had it.
type ContactLeg struct {
	Agent  string    `json:"agent"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to,omitzero"`
	Reason string    `json:"reason,omitempty" doc:"Why it ended: transferred, gone, left or closed, say."`
}

// A ContactHanding is a contact's way from one agent to another.
type ContactHanding struct {
	Agent string    `json:"agent,omitempty"`
	Group string    `json:"group,omitempty"`
	Note  string    `json:"note,omitempty"`
	Since time.Time `json:"since"`
}

// A ContactPath names a contact in a path.
type ContactPath struct {
	Contact string `path:"contact" maxLength:"64" doc:"The contact's id: the first part of its address."`
}

func (a *API) contactRoutes() {
	handle(a, route{id: "list-contacts", method: http.MethodGet, path: "/v1/contacts", does: "List visitors' contacts, the newest first"}, a.listContacts)
	const one = "/v1/contacts/{contact}"
	handle(a, route{id: "get-contact", method: http.MethodGet, path: one, does: "Show a contact, without what was said in it"}, a.getContact)
	handle(a, route{id: "change-contact", method: http.MethodPatch, path: one, does: "Change what is known of a contact"}, a.changeContact)
	handle(a, route{id: "get-contact-transcript", method: http.MethodGet, path: one + "/transcript", does: "Read all of a contact", streams: transcripts}, a.getContactTranscript)
	handle(a, route{id: "export-contact", method: http.MethodGet, path: one + "/export", does: "All that is kept of a contact, in one document",
		streams: map[string]string{asDocument: "an object with contact, files, notes, events and messages"}}, a.exportContact)
	handle(a, route{id: "get-contact-file", method: http.MethodGet, path: one + "/files/{file}", does: "Read a file that was sent in a contact",
		streams: map[string]string{asBytes: "the file"}}, a.getContactFile)
	handle(a, route{id: "create-message", method: http.MethodPost, path: one + "/messages", does: "Say something to the visitor, as a bot or as the account", created: true}, a.createMessage)
	handle(a, route{id: "create-note", method: http.MethodPost, path: one + "/notes", does: "Add a note, which the visitor never sees"}, a.createNote)
	handle(a, route{id: "submit-contact", method: http.MethodPost, path: one + "/submit", does: "Have a contact wait for an agent: the end of a form, or of a bot's part"}, a.submitContact)
	handle(a, route{id: "transfer-contact", method: http.MethodPost, path: one + "/transfer", does: "Have others asked to take a contact"}, a.transferContact)
	handle(a, route{id: "close-contact", method: http.MethodPost, path: one + "/close", does: "End a contact"}, a.closeContact)
}

// contactChunk is how many contacts are read at a time: what is known of one may be large.
const contactChunk = 100

func (a *API) listContacts(ctx context.Context, c *caller, in *struct {
	Page
	State   []string  `query:"state" maxItems:"10" doc:"Only those in one of these states, with commas between."`
	Live    bool      `query:"live" doc:"Only those that go on, or are still written up."`
	Agent   string    `query:"agent" maxLength:"500" doc:"Only those that this agent has, or had last: her name."`
	Visitor string    `query:"visitor" maxLength:"100" doc:"Only this visitor's: an id as contacts have it."`
	Outcome string    `query:"outcome" enum:"successful,no_interaction,cancelled,abandoned,dissuaded,missed" doc:"Only those that came to that."`
	Since   time.Time `query:"since" doc:"Only those that were opened from then on."`
	Until   time.Time `query:"until" doc:"Only those that were opened until then."`
}) (*body[List[ContactInfo]], error) {
	q := store.ContactQuery{Live: in.Live, Visitor: in.Visitor, Outcome: in.Outcome, Since: in.Since, Until: in.Until}
	if in.After != "" {
		before, err := strconv.ParseInt(in.After, 10, 64)
		if err != nil || before <= 0 {
			return nil, refuse("after is not the next of a list before")
		}
		q.Before = store.ConversationID(before)
	}
	for _, name := range in.State {
		s, ok := desk.ParseState(name)
		if !ok {
			return nil, refuse("there is no state %q", name)
		}
		q.States = append(q.States, uint8(s))
	}
	if in.Agent != "" {
		g, err := c.agentNamed(ctx, in.Agent)
		if err != nil {
			return nil, err
		}
		q.Owner = g.ID
	}
	names, err := c.agentNames(ctx)
	if err != nil {
		return nil, err
	}
	out := whole[ContactInfo](nil)
	for more := true; more; {
		q.Max = min(contactChunk, in.Limit+1-len(out.Body.Items))
		some, err := c.Store.Contacts(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range some {
			if len(out.Body.Items) == in.Limit {
				out.Body.Next = out.Body.Items[in.Limit-1].Conversation
				return out, nil
			}
			out.Body.Items = append(out.Body.Items, newContactInfo(&some[i], names))
			q.Before = some[i].ID
		}
		more = len(some) == q.Max
	}
	return out, nil
}

// agentNamed finds the agent of that name.
func (c *caller) agentNamed(ctx context.Context, name string) (store.Agent, error) {
	return c.agentOf(ctx, name+"@"+c.Domain)
}

// agentNames are what contacts call the account's agents.
func (c *caller) agentNames(ctx context.Context) (func(store.AgentID) string, error) {
	agents, err := c.Store.Agents(ctx)
	names := make(map[store.AgentID]string, len(agents))
	for _, g := range agents {
		names[g.ID] = g.Name
	}
	return func(id store.AgentID) string {
		if name, ok := names[id]; ok {
			return name
		}
		return fmt.Sprintf("deleted agent %d", id)
	}, err
}

func newContactInfo(row *store.Contact, names func(store.AgentID) string) ContactInfo {
	info := ContactInfo{Conversation: strconv.FormatInt(int64(row.ID), 10)}
	is, err := contact.Parse(row)
	if info.Locked = err != nil; info.Locked { // what lists show in clear
		is = &desk.Contact{Address: row.Address, State: desk.State(row.State), Owner: row.Owner, Visitor: row.Visitor, Created: row.Created,
			Ended: row.Ended, Outcome: desk.Outcome(row.Outcome)}
	}
	info.About = contact.AboutOf(is, names)
	return info
}

// kept is a contact as it is kept. I8: another account's is not there.
func (c *caller) kept(ctx context.Context, address string) (store.Contact, error) {
	row, err := c.Store.ContactAt(ctx, address)
	if isMissing(err) {
		err = missing("there is no contact %s in account %s", address, c.ID)
	}
	return row, err
}

func (a *API) getContact(ctx context.Context, c *caller, in *ContactPath) (*tagged[ContactDetail], error) {
	row, err := c.kept(ctx, in.Contact)
	if err != nil {
		return nil, err
	}
	return a.detail(ctx, c, &row)
}

// detail is a contact with its tag, which is another one after each step.
func (a *API) detail(ctx context.Context, c *caller, row *store.Contact) (*tagged[ContactDetail], error) {
	names, err := c.agentNames(ctx)
	if err != nil {
		return nil, err
	}
	info := ContactDetail{ContactInfo: newContactInfo(row, names)}
	if is, err := contact.Parse(row); err == nil {
		info.fill(is, names)
	}
	if live := a.inst.Live(); live != nil {
		if k := live.Contacts(c.ID); k != nil {
			info.Here = k.VisitorIsHere(row.ID)
		}
	}
	return &tagged[ContactDetail]{contactTag(row.Version), info}, nil
}

func contactTag(version int64) string { return strconv.Quote(strconv.FormatInt(version, 10)) }

func (d *ContactDetail) fill(c *desk.Contact, names func(store.AgentID) string) {
	d.Person, d.Question, d.By, d.Reason = contact.PersonOf(c), c.Question, string(c.By), c.Why
	d.Changed, d.Queued, d.Finalized = c.Changed.UTC(), c.Queued.UTC(), c.Final.UTC()
	for _, l := range c.Legs {
		d.Legs = append(d.Legs, ContactLeg{names(l.Agent), l.From.UTC(), l.To.UTC(), l.Why})
	}
	if c.Offer != nil {
		for _, id := range c.Offer.To {
			d.Offered = append(d.Offered, names(id))
		}
	}
	if h := c.Handed; h != nil {
		d.Handing = &ContactHanding{Group: h.To.Group, Note: h.Note, Since: h.Since.UTC()}
		if h.To.Agent != 0 {
			d.Handing.Agent = names(h.To.Agent)
		}
	}
	if c.Rating != nil {
		d.Comment = c.Rating.Comment
	}
}

func (a *API) getContactTranscript(ctx context.Context, c *caller, in *struct {
	ContactPath
	TranscriptWish
}) (*huma.StreamResponse, error) {
	s, err := c.conversationOf(ctx, in.Contact)
	if err != nil {
		return nil, err
	}
	return a.transcribe(ctx, c, s, in.TranscriptWish)
}

// conversationOf is the conversation of a contact.
func (c *caller) conversationOf(ctx context.Context, address string) (store.Summary, error) {
	row, err := c.kept(ctx, address)
	if err != nil {
		return store.Summary{}, err
	}
	return c.conversation(ctx, int64(row.ID))
}

// atDesk are the account's contacts that go on, where a server runs that has them.
func (a *API) atDesk(c *caller) (*contact.Contacts, error) {
	live := a.inst.Live()
	if live == nil {
		return nil, Refuse(Unavailable, "the server does not run, and nothing becomes of contacts meanwhile").hint("start it")
	}
	if k := live.Contacts(c.ID); k != nil {
		return k, nil
	}
	return nil, Refuse(Disabled, "account %s has no visitors", c.ID).hint("visitors = true in its configuration lets them in")
}

// deskRefusal is what the desk refuses, for programs.
func deskRefusal(err error) error {
	switch {
	case errors.Is(err, desk.ErrClosed), errors.Is(err, desk.ErrUnknown):
		return Refuse(Closed, "%v", desk.ErrClosed)
	case errors.Is(err, desk.ErrNotNow), errors.Is(err, desk.ErrNobody), errors.Is(err, desk.ErrTaken), errors.Is(err, desk.ErrNotYours), errors.Is(err, desk.ErrFull):
		return Refuse(NotNow, "%v", err)
	}
	return err
}
