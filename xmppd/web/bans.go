package web

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
	"parley.im/parley/xmppd/contact"
)

// A BanInfo is a ban. It does not say of whom: who is banned is kept as a keyed hash.
type BanInfo struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind" enum:"visitor,address" doc:"What somebody is known by."`
	Contact string    `json:"contact,omitempty" doc:"The contact that it is for, if it is for one."`
	Agent   string    `json:"agent,omitempty" doc:"The agent who banned, if one did."`
	Created time.Time `json:"created"`
	Until   time.Time `json:"until"`
}

// A BanWish says who is to be banned: a contact's visitor, a visitor, or whoever writes from an address.
type BanWish struct {
	Contact string   `json:"contact,omitempty" maxLength:"64" doc:"A contact: its visitor is banned, and where it was opened and is open now, if that is known still."`
	Visitor string   `json:"visitor,omitempty" maxLength:"64" doc:"A visitor's internal id, as contacts and events have it."`
	Address string   `json:"address,omitempty" maxLength:"64" doc:"An IPv4 address; or one of IPv6, of which the first 64 bits count."`
	For     string   `json:"for" maxLength:"16" doc:"For how long: 1h, 1d, 1w, 1mo (30 days); at most a year."`
	By      []string `json:"by,omitempty" enum:"visitor,address" doc:"What of a contact is banned; both, if nothing is said."`
}

type BanPath struct {
	Ban string `path:"ban" maxLength:"64" doc:"The ban's id."`
}

func (a *API) banRoutes() {
	const list = "/v1/bans"
	handle(a, route{id: "list-bans", method: http.MethodGet, path: list, does: "List who is banned, as far as that is known"}, a.listBans)
	handle(a, route{id: "create-ban", method: http.MethodPost, path: list, does: "Keep a visitor from writing for a while", created: true}, a.createBan)
	handle(a, route{id: "delete-ban", method: http.MethodDelete, path: list + "/{ban}", does: "Let somebody write again"}, a.deleteBan)
}

func (a *API) listBans(ctx context.Context, c *caller, _ *struct{}) (*body[List[BanInfo]], error) {
	if c.Bans == nil {
		return whole[BanInfo](nil), nil
	}
	return c.banInfos(ctx, c.Bans.List())
}

func (c *caller) banInfos(ctx context.Context, list []contact.Ban) (*body[List[BanInfo]], error) {
	names, err := c.names(ctx)
	if err != nil {
		return nil, err
	}
	out := whole[BanInfo](nil)
	for _, b := range list {
		out.Body.Items = append(out.Body.Items, BanInfo{
			ID: b.ID, Kind: string(b.Kind), Contact: b.Contact, Agent: names[b.Agent], Created: b.Created.UTC(), Until: b.Until.UTC(),
		})
	}
	return out, nil
}

func (a *API) createBan(ctx context.Context, c *caller, in *struct{ Body BanWish }) (*body[List[BanInfo]], error) {
	w := in.Body
	if c.Bans == nil {
		return nil, refuse("account %s has no visitors", c.ID)
	}
	term, ok := contact.ParseTerm(w.For)
	switch {
	case !ok:
		return nil, refuse("for is not such as 1h, 1d, 1w or 1mo, nor at most a year")
	case !w.one():
		return nil, refuse("a ban is for one of contact, visitor and address")
	case w.By != nil && w.Contact == "":
		return nil, refuse("by is for the visitor of a contact")
	}
	wish := contact.BanWish{For: term}
	audit.Tell(ctx, "for", w.For)
	var added []contact.Ban
	var err error
	switch {
	case w.Contact != "":
		added, err = a.banContact(ctx, c, &w, wish)
	case w.Visitor != "":
		if !contact.IsVisitor(w.Visitor) {
			return nil, missing("there is no visitor of that id in account %s", c.ID)
		}
		wish.Visitor = w.Visitor
		audit.About(ctx, "visitor/"+w.Visitor)
		added, err = c.Bans.Add(ctx, wish)
	default:
		addr, bad := netip.ParseAddr(w.Address)
		if bad != nil {
			return nil, refuse("not an address such as 192.0.2.7 or 2001:db8::7")
		}
		wish.From = []netip.Prefix{contact.Network(addr)}
		added, err = c.Bans.Add(ctx, wish)
	}
	if err != nil {
		return nil, err
	}
	return c.banInfos(ctx, added)
}

// one says whether exactly one is named who is to be banned.
func (w *BanWish) one() bool {
	named := 0
	for _, who := range [...]string{w.Contact, w.Visitor, w.Address} {
		if who != "" {
			named++
		}
	}
	return named == 1
}

// banContact bans a contact's visitor.
func (a *API) banContact(ctx context.Context, c *caller, w *BanWish, wish contact.BanWish) ([]contact.Ban, error) {
	by := []contact.BanKind{contact.BanVisitor, contact.BanAddress}
	if w.By != nil {
		by = nil
		for _, b := range w.By {
			by = append(by, contact.BanKind(b))
		}
	}
	whence := func(id store.ConversationID) []netip.Prefix {
		if live := a.inst.Live(); live != nil {
			return live.VisitorsWhence(c.ID, id)
		}
		return nil
	}
	if !contact.IsAddress(w.Contact) {
		return nil, missing("there is no contact %s in account %s", w.Contact, c.ID)
	}
	audit.About(ctx, "contact/"+w.Contact)
	added, err := c.Bans.AddContact(ctx, w.Contact, by, whence, wish)
	if isMissing(err) {
		return nil, missing("there is no contact %s in account %s", w.Contact, c.ID)
	}
	if err == nil && len(added) == 0 {
		return nil, conflict("where the contact was opened is not known any more").hint("ban its visitor")
	}
	return added, err
}

func (a *API) deleteBan(ctx context.Context, c *caller, in *BanPath) (*struct{}, error) {
	err := store.ErrNotFound
	if c.Bans != nil {
		err = c.Bans.Remove(ctx, in.Ban)
	}
	if isMissing(err) {
		return nil, missing("there is no ban %q in account %s", in.Ban, c.ID)
	}
	return nil, err
}
