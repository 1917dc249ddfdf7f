package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
	"parley.im/parley/store/people"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/upload"
)

// A VisitorInfo is a visitor: who a shop says that it is, if one does, and what there is of theirs.
type VisitorInfo struct {
	ID       string        `json:"id"`
	Known    bool          `json:"known" doc:"Whether a shop has said who it is."`
	Subject  string        `json:"subject,omitempty" doc:"The shop's own name for them."`
	Name     string        `json:"name,omitempty"`
	Email    string        `json:"email,omitempty"`
	Phone    string        `json:"phone,omitempty"`
	First    time.Time     `json:"first,omitzero" doc:"When a shop has said so first."`
	Last     time.Time     `json:"last,omitzero" doc:"When it has said so last, to the hour."`
	Contacts []ContactInfo `json:"contacts,omitempty" doc:"The newest hundred; list-contacts has all."`
}

// An ErasureInfo is what is gone of a visitor, and what is not.
type ErasureInfo struct {
	Visitor  string      `json:"visitor"`
	Contacts int         `json:"contacts" doc:"How many were destroyed, with all that was said in them."`
	Remains  []Remaining `json:"remains" doc:"What is not erased, or not yet."`
}

// A Remaining is something that an erasure does not reach, or not at once.
type Remaining struct {
	What  string    `json:"what" enum:"bans,audit,caches,copies,webhooks,clients,mail"`
	Text  string    `json:"text"`
	Until time.Time `json:"until,omitzero" doc:"Until when, if that is known."`
}

type VisitorPath struct {
	Visitor string `path:"visitor" maxLength:"64" doc:"The visitor's internal id, as contacts and events have it."`
}

func (a *API) visitorRoutes() {
	const one = "/v1/visitors/{visitor}"
	handle(a, route{id: "find-visitors", method: http.MethodGet, path: "/v1/visitors", does: "Find visitors by what a shop has said of them"}, a.findVisitors)
	handle(a, route{id: "get-visitor", method: http.MethodGet, path: one, does: "Show a visitor, and their contacts"}, a.getVisitor)
	handle(a, route{id: "erase-visitor", method: http.MethodDelete, path: one, does: "Erase a visitor: who they are, and all that was said in their contacts"}, a.eraseVisitor)
}

func newVisitorInfo(who *people.Person) VisitorInfo {
	return VisitorInfo{ID: who.ID, Known: true, Subject: who.Subject, Name: who.Name, Email: who.Email, Phone: who.Phone, First: who.Made, Last: who.Seen}
}

func (a *API) findVisitors(ctx context.Context, c *caller, in *struct {
	Email   string `query:"email" maxLength:"1000" doc:"An e-mail address, in large or small letters."`
	Phone   string `query:"phone" maxLength:"1000" doc:"A phone number; only its digits, and +, count."`
	Subject string `query:"subject" maxLength:"1000" doc:"The shop's own name for them."`
}) (*body[List[VisitorInfo]], error) {
	asked, field, value := 0, people.Field(0), ""
	for f, v := range map[people.Field]string{people.ByEmail: in.Email, people.ByPhone: in.Phone, people.BySubject: in.Subject} {
		if v != "" {
			asked, field, value = asked+1, f, v
		}
	}
	if asked != 1 {
		return nil, refuse("visitors are found by one of email, phone and subject")
	}
	out := whole[VisitorInfo](nil)
	if c.People == nil {
		return out, nil
	}
	list, err := c.People.Find(ctx, field, value)
	for i := range list {
		out.Body.Items = append(out.Body.Items, newVisitorInfo(&list[i]))
	}
	return out, err
}

// visitorContacts is how many of a visitor's contacts are shown with them.
const visitorContacts = 100

func (c *caller) noVisitor(id string) error {
	return missing("there is no visitor %s in account %s", id, c.ID)
}

// visitor says whether a visitor of that id can be here, and has the audit log say whom it is about.
func (c *caller) visitor(ctx context.Context, id string) error {
	if c.People == nil || !contact.IsVisitor(id) {
		return c.noVisitor(id)
	}
	audit.About(ctx, "visitor/"+id)
	return nil
}

func (a *API) getVisitor(ctx context.Context, c *caller, in *VisitorPath) (*body[VisitorInfo], error) {
	if err := c.visitor(ctx, in.Visitor); err != nil {
		return nil, err
	}
	out := VisitorInfo{ID: in.Visitor}
	switch who, err := c.People.Show(ctx, in.Visitor); {
	case err == nil:
		out = newVisitorInfo(&who)
	case !isMissing(err):
		return nil, err
	}
	names, err := c.agentNames(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.Store.Contacts(ctx, store.ContactQuery{Visitor: in.Visitor, Max: visitorContacts})
	for i := range rows {
		out.Contacts = append(out.Contacts, newContactInfo(&rows[i], names))
	}
	if err == nil && !out.Known && len(rows) == 0 {
		err = c.noVisitor(in.Visitor)
	}
	return &body[VisitorInfo]{out}, err
}

func (a *API) eraseVisitor(ctx context.Context, c *caller, in *VisitorPath) (*body[ErasureInfo], error) {
	if err := c.visitor(ctx, in.Visitor); err != nil {
		return nil, err
	}
	e := contact.Eraser{Store: c.Store, People: c.People, Now: a.now}
	if live := a.inst.Live(); live != nil {
		e.Live = live.Contacts(c.ID)
	}
	n, err := e.Erase(ctx, in.Visitor)
	switch {
	case isMissing(err):
		return nil, c.noVisitor(in.Visitor)
	case err != nil:
		return nil, err
	}
	audit.Tell(ctx, "contacts", fmt.Sprint(n))
	return &body[ErasureInfo]{ErasureInfo{in.Visitor, n, a.remains(c)}}, nil
}

// remains says what is left of a visitor who was erased. Nobody has to find that out.
func (a *API) remains(c *caller) []Remaining {
	list := []Remaining{
		{What: "audit", Text: "records of who has looked at their contacts, and of this erasure: with the internal id alone, for 183 days"},
		{What: "webhooks", Text: "what webhooks have told of them is their receivers' to erase, who are told by visitor.erased"},
		{What: "clients", Text: "what agents' Jabber clients have logged of it is on their devices"},
		{What: "mail", Text: "transcripts that were mailed are with whoever got them"},
		{What: "caches", Text: "files that were sent may be in browsers and in caches between for an hour", Until: a.now().Add(upload.CachedFor).UTC()},
		{What: "bans", Text: "bans hold until they end, as keyed hashes from which nobody can be read"},
	}
	if until := a.inst.CopiesUntil(); !until.IsZero() {
		list = append(list, Remaining{"copies", "copies from before, sealed, in which they can be read by nobody once the copies of the keys have expired; a restore erases them again", until.UTC()})
	}
	return list
}
