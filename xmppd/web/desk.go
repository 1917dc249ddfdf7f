package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
)

// A DeskAgent is what the desk knows of an agent's work.
type DeskAgent struct {
	Name     string   `json:"name"`
	Here     bool     `json:"here" doc:"Whether a client of hers is connected, or may come back in a moment."`
	Takes    bool     `json:"takes" doc:"Whether it says that she is available."`
	Paused   string   `json:"paused,omitempty" doc:"Why she takes nothing, if she said so or was made to."`
	Load     float64  `json:"load" doc:"1 is as many contacts as she may have."`
	Tags     []string `json:"tags,omitempty" doc:"What she knows."`
	Contacts []string `json:"contacts,omitempty" doc:"Those that she has."`
}

// A PauseWish says why.
type PauseWish struct {
	Reason string `json:"reason,omitempty" maxLength:"100"`
}

// An AgentName names an agent in a path.
type AgentName struct {
	Name string `path:"name" maxLength:"500" doc:"The agent's name."`
}

func (a *API) deskRoutes() {
	handle(a, route{id: "list-desk-agents", method: http.MethodGet, path: "/v1/desk/agents", does: "List the agents who are here, or have contacts"}, a.listDeskAgents)
	const one = "/v1/desk/agents/{name}"
	handle(a, route{id: "pause-agent", method: http.MethodPost, path: one + "/pause", does: "Give an agent no more contacts for now"}, a.pauseAgent)
	handle(a, route{id: "ready-agent", method: http.MethodPost, path: one + "/ready", does: "Give an agent contacts again"}, a.readyAgent)
}

func (a *API) listDeskAgents(ctx context.Context, c *caller, in *Page) (*body[List[DeskAgent]], error) {
	k, err := a.atDesk(c)
	if err != nil {
		return nil, err
	}
	var all []DeskAgent
	for _, s := range k.Standings() {
		all = append(all, newDeskAgent(k, s, k.NameOf(s.ID)))
	}
	slices.SortFunc(all, func(x, y DeskAgent) int { return strings.Compare(x.Name, y.Name) })
	return paged(all, *in, func(d DeskAgent) string { return d.Name }), nil
}

func newDeskAgent(k *contact.Contacts, s desk.Standing, name string) DeskAgent {
	d := DeskAgent{Name: name, Here: s.Here, Takes: s.Takes, Paused: s.Paused, Load: s.Load, Tags: s.Tags}
	for _, id := range s.Has {
		if is, err := k.Contact(id); err == nil { // else it has just ended
			d.Contacts = append(d.Contacts, is.Address)
		}
	}
	return d
}

func (a *API) pauseAgent(ctx context.Context, c *caller, in *struct {
	AgentName
	Body *PauseWish
}) (*body[DeskAgent], error) {
	var reason string
	if in.Body != nil {
		reason = in.Body.Reason
	}
	if err := readable("reason", reason, false); err != nil {
		return nil, err
	}
	return a.atWork(ctx, c, in.Name, func(k *contact.Contacts, id store.AgentID) { k.Suspend(id, reason) })
}

func (a *API) readyAgent(ctx context.Context, c *caller, in *AgentName) (*body[DeskAgent], error) {
	return a.atWork(ctx, c, in.Name, func(k *contact.Contacts, id store.AgentID) { k.Ready(id) })
}

// atWork changes what an agent gets, until she goes, and answers with what she has.
func (a *API) atWork(ctx context.Context, c *caller, name string, do func(*contact.Contacts, store.AgentID)) (*body[DeskAgent], error) {
	g, err := c.agentNamed(ctx, name)
	if err != nil {
		return nil, err
	}
	k, err := a.atDesk(c)
	if err != nil {
		return nil, err
	}
	do(k, g.ID)
	return &body[DeskAgent]{newDeskAgent(k, k.Standing(g.ID), g.Name)}, nil
}
