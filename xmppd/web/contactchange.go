package web

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
)

// What programs may add to a contact: as much as agents may.
const (
	contactTags   = 50
	contactFields = 50
)

// A ContactChange is what of a contact is to be otherwise.
type ContactChange struct {
	Tags     *[]string         `json:"tags,omitempty" maxItems:"50" doc:"All tags that it is to have."`
	Fields   map[string]string `json:"fields,omitempty" doc:"Fields that are to have another value; an empty one takes a field away."`
	Priority *int              `json:"priority,omitempty" minimum:"1" maximum:"30" doc:"1 is served first, 15 is usual."`
}

// A MessageWish is something to be said.
type MessageWish struct {
	Text string `json:"text" minLength:"1" maxLength:"4000"`
	As   string `json:"as,omitempty" enum:"bot,system" default:"bot" doc:"Who says it."`
	ID   string `json:"id,omitempty" pattern:"^[A-Za-z0-9._:-]{1,64}$" doc:"Chosen by the program: the same text with the same id is not said again within ten minutes."`
}

// A MessageInfo is what was said.
type MessageInfo struct {
	ID       string    `json:"id"`
	N        int64     `json:"n" doc:"The number of its record in the conversation; webhooks call it seq."`
	At       time.Time `json:"at,omitzero" doc:"Missing where it was said before."`
	Repeated bool      `json:"repeated,omitempty" doc:"Whether it was said before, and is not said again."`
}

// A NoteWish is a note.
type NoteWish struct {
	Text string `json:"text" minLength:"1" maxLength:"4000"`
	As   string `json:"as,omitempty" enum:"bot,system" default:"bot" doc:"Whose it is."`
}

// A SubmitWish is what a bot knows when it hands a contact over.
type SubmitWish struct {
	Group string `json:"group,omitempty" maxLength:"100" doc:"Whom it is for; missing is whom it was for before."`
}

// A TransferWish says who is to be asked.
type TransferWish struct {
	Agent string `json:"agent,omitempty" maxLength:"500" doc:"An agent's name."`
	Group string `json:"group,omitempty" maxLength:"100" doc:"Or a group's."`
	Note  string `json:"note,omitempty" maxLength:"1000" doc:"For whoever takes it."`
}

// A CloseWish says why.
type CloseWish struct {
	Reason string `json:"reason,omitempty" maxLength:"200"`
}

// onDesk finds a contact, and the desk that it is changed at.
func (a *API) onDesk(ctx context.Context, c *caller, address string) (*contact.Contacts, store.ConversationID, error) {
	row, err := c.kept(ctx, address)
	if err != nil {
		return nil, 0, err
	}
	k, err := a.atDesk(c)
	return k, row.ID, err
}

// decided waits until the desk has decided, and answers with what the contact is then.
func (a *API) decided(ctx context.Context, c *caller, address string, begin func(desk.Done)) (*tagged[ContactInfo], error) {
	if _, err := contact.Wait(begin); err != nil {
		return nil, deskRefusal(err)
	}
	return c.outline(ctx, address)
}

// outline is a contact without what its visitor has said: what is answered to a POST may be kept for a day.
func (c *caller) outline(ctx context.Context, address string) (*tagged[ContactInfo], error) {
	row, err := c.kept(ctx, address)
	if err != nil {
		return nil, err
	}
	names, err := c.agentNames(ctx)
	return &tagged[ContactInfo]{contactTag(row.Version), newContactInfo(&row, names)}, err
}

func (a *API) createMessage(ctx context.Context, c *caller, in *struct {
	ContactPath
	Body MessageWish
}) (*made[MessageInfo], error) {
	if err := readable("text", in.Body.Text, true); err != nil {
		return nil, err
	}
	k, id, err := a.onDesk(ctx, c, in.Contact)
	if err != nil {
		return nil, err
	}
	is, err := k.Contact(id)
	if err != nil {
		return nil, deskRefusal(err)
	}
	info := MessageInfo{ID: in.Body.ID}
	if info.ID == "" {
		info.ID = randomID()
	}
	by, says := desk.Bot, k.BotSays
	if in.Body.As == string(desk.System) {
		by, says = desk.System, k.SystemSays
	}
	m := k.Text(is, by, info.ID, in.Body.Text, a.now())
	ch, err := contact.Wait(func(done desk.Done) { says(is.ID, desk.Said{Body: m}, done) })
	if err != nil {
		return nil, deskRefusal(err)
	}
	records := ch.Kept.(contact.Records)
	info.N, info.Repeated = records[len(records)-1].N, ch.Repeated
	if !ch.Repeated {
		info.At = m.At.UTC().Truncate(time.Millisecond)
	}
	return &made[MessageInfo]{fmt.Sprintf("%sconversations/%d/records/%d", Prefix, is.ID, info.N), info}, nil
}

func (a *API) createNote(ctx context.Context, c *caller, in *struct {
	ContactPath
	Body NoteWish
}) (*tagged[ContactInfo], error) {
	if err := readable("text", in.Body.Text, true); err != nil {
		return nil, err
	}
	by := desk.Bot
	if in.Body.As == string(desk.System) {
		by = desk.System
	}
	k, _, err := a.onDesk(ctx, c, in.Contact)
	if err != nil {
		return nil, err
	}
	if _, err := k.NoteLate(ctx, in.Contact, by, in.Body.Text); err != nil {
		return nil, deskRefusal(err)
	}
	return c.outline(ctx, in.Contact)
}

func (a *API) changeContact(ctx context.Context, c *caller, in *struct {
	ContactPath
	IfMatch
	Body ContactChange
}) (*tagged[ContactDetail], error) {
	list, err := in.Body.revisions()
	if err != nil {
		return nil, err
	}
	check := func(is *desk.Contact) error {
		if len(is.Filled(in.Body.Fields)) > contactFields {
			return Refuse(LimitReached, "a contact has at most %d fields", contactFields)
		}
		return in.matches(contactTag(is.Version))
	}
	k, _, err := a.onDesk(ctx, c, in.Contact)
	if err != nil {
		return nil, err
	}
	if _, err := k.ReviseLate(ctx, in.Contact, desk.System, check, list); err != nil {
		return nil, deskRefusal(err)
	}
	return a.getContact(ctx, c, &in.ContactPath)
}

// revisions are what the desk does of it.
func (w *ContactChange) revisions() (list []desk.Revision, err error) {
	if w.Tags != nil {
		for i, t := range *w.Tags {
			switch err := readable("a tag", t, false); {
			case err != nil:
				return nil, err
			case t == "" || len(t) > 100 || strings.TrimSpace(t) != t:
				return nil, refuse("a tag has one to 100 bytes, and no space around it")
			case slices.Contains((*w.Tags)[:i], t):
				return nil, refuse("the tag %q stands twice", t)
			}
		}
		list = append(list, desk.Tagged(*w.Tags))
	}
	for name, value := range w.Fields {
		if name == "" || len(name) > 100 {
			return nil, refuse("a field's name has one to 100 bytes")
		}
		if len([]rune(value)) > 1000 {
			return nil, refuse("a field has at most 1000 characters")
		}
		if err := readable("a field's name", name, false); err != nil {
			return nil, err
		}
		if err := readable("a field", value, true); err != nil {
			return nil, err
		}
	}
	if len(w.Fields) > 0 {
		list = append(list, desk.Filled(w.Fields))
	}
	if w.Priority != nil {
		list = append(list, desk.Prioritized(*w.Priority))
	}
	return list, nil
}

// readable refuses what is no text: controls, but line ends and tabs in what may have lines, and what XML can't
// hold (XML 1.0 §2.2). Nothing that is said is left out or changed behind a program's back.
func readable(what, text string, lines bool) error {
	for _, r := range text {
		switch {
		case lines && (r == '\n' || r == '\t'):
		case unicode.IsControl(r), r&0xfffe == 0xfffe, !lines && unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp):
			return refuse("%s holds U+%04X, which is no text there", what, r)
		}
	}
	if strings.TrimSpace(text) == "" && text != "" {
		return refuse("%s holds nothing but spaces", what)
	}
	return nil
}

func (a *API) submitContact(ctx context.Context, c *caller, in *struct {
	ContactPath
	Body *SubmitWish
}) (*tagged[ContactInfo], error) {
	k, id, err := a.onDesk(ctx, c, in.Contact)
	if err != nil {
		return nil, err
	}
	var fill func(*desk.Contact)
	if in.Body != nil && in.Body.Group != "" {
		g, ok := k.Group(in.Body.Group)
		if !ok {
			return nil, noGroup(in.Body.Group)
		}
		fill = func(is *desk.Contact) {
			is.Wants = desk.Wants{Group: in.Body.Group, Tags: g.Tags}
			is.Priority = cmp.Or(g.Priority, is.Priority)
		}
	}
	return a.decided(ctx, c, in.Contact, func(done desk.Done) { k.Submit(id, desk.Bot, fill, done) })
}

func noGroup(name string) error { return refuse("there is no group %q", name) }

func (a *API) transferContact(ctx context.Context, c *caller, in *struct {
	ContactPath
	Body TransferWish
}) (*tagged[ContactInfo], error) {
	if (in.Body.Agent == "") == (in.Body.Group == "") {
		return nil, refuse("it is for an agent, or for a group")
	}
	if err := readable("note", in.Body.Note, true); err != nil {
		return nil, err
	}
	k, id, err := a.onDesk(ctx, c, in.Contact)
	if err != nil {
		return nil, err
	}
	to := desk.Wants{Group: in.Body.Group}
	if to.Group != "" {
		if _, ok := k.Group(to.Group); !ok {
			return nil, noGroup(to.Group)
		}
	} else {
		g, err := c.agentNamed(ctx, in.Body.Agent)
		if err != nil {
			return nil, err
		}
		to.Agent = g.ID
		audit.About(ctx, "contact/"+in.Contact) // rather than her
	}
	return a.decided(ctx, c, in.Contact, func(done desk.Done) { k.Hand(id, to, in.Body.Note, done) })
}

func (a *API) closeContact(ctx context.Context, c *caller, in *struct {
	ContactPath
	Body *CloseWish
}) (*tagged[ContactInfo], error) {
	var reason string
	if in.Body != nil {
		reason = in.Body.Reason
	}
	if err := readable("reason", reason, false); err != nil {
		return nil, err
	}
	k, id, err := a.onDesk(ctx, c, in.Contact)
	if err != nil {
		return nil, err
	}
	return a.decided(ctx, c, in.Contact, func(done desk.Done) { k.Shut(id, reason, done) })
}
