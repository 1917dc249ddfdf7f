package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"mellium.im/xmpp/jid"

	"parley.im/parley/auth"
	"parley.im/parley/store"
)

// roles are those that an agent can have, the one with the least rights first.
var roles = []string{"auditor", "agent", "supervisor", "admin", "owner"}

const passwordLabel = "password"

// An agentInfo is an agent as commands show it.
type agentInfo struct {
	JID         string           `json:"jid"`
	Account     string           `json:"account"`
	Role        string           `json:"role"`
	Disabled    bool             `json:"disabled"`
	Created     time.Time        `json:"created"`
	Credentials []credentialInfo `json:"credentials,omitempty"` // of a single agent only
}

type credentialInfo struct {
	Label   string    `json:"label"`
	Scope   string    `json:"scope"`
	Device  string    `json:"device,omitempty"`
	Created time.Time `json:"created"`
}

func newAgentInfo(a *account, g store.Agent) agentInfo {
	return agentInfo{
		JID: g.Name + "@" + a.domain, Account: a.id, Role: g.Role, Disabled: g.Disabled, Created: g.Created.UTC(),
	}
}

func (o *operator) listAgents(r *http.Request) (any, error) {
	accounts := o.inst.list()
	if id := r.FormValue("account"); id != "" {
		a, err := o.inst.account(r.Context(), id)
		if err != nil {
			return nil, err
		}
		accounts = []*account{a}
	}
	list := make([]agentInfo, 0)
	for _, a := range accounts {
		if err := a.open(r.Context()); err != nil {
			return nil, err
		}
		agents, err := a.store.Agents(r.Context())
		if err != nil {
			return nil, err
		}
		for _, g := range agents {
			list = append(list, newAgentInfo(a, g))
		}
	}
	slices.SortFunc(list, func(a, b agentInfo) int { return strings.Compare(a.JID, b.JID) })
	return list, nil
}

// named finds the account and the name that a bare JID means.
func (o *operator) named(ctx context.Context, text string) (*account, string, error) {
	j, err := jid.Parse(text)
	if err != nil || j.Localpart() == "" || j.Resourcepart() != "" {
		return nil, "", withHint(refuse("not an agent's address: %q", text), "such as anna@desk.example")
	}
	name, err := auth.PrepareName(j.Localpart())
	if err != nil {
		return nil, "", err
	}
	a, err := o.inst.ofDomain(ctx, j.Domainpart())
	return a, name, err
}

// existing finds the account and the agent of a bare JID.
func (o *operator) existing(r *http.Request) (*account, store.Agent, error) {
	a, name, err := o.named(r.Context(), r.PathValue("jid"))
	if err != nil {
		return nil, store.Agent{}, err
	}
	g, err := a.store.Agent(r.Context(), name)
	if errors.Is(err, store.ErrNotFound) {
		err = missing("there is no agent %s@%s", name, a.domain)
	}
	return a, g, err
}

func (o *operator) addAgent(r *http.Request) (any, error) {
	var in struct {
		JID, Role, Password string
		NoPolicy            bool `json:"no_policy"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if !slices.Contains(roles, in.Role) {
		return nil, withHint(refuse("there is no role %q", in.Role), "roles are %s", strings.Join(roles, ", "))
	}
	ctx := r.Context()
	a, name, err := o.named(ctx, in.JID)
	if err != nil {
		return nil, err
	}
	c, err := o.credential(ctx, a, name, in.Password, in.NoPolicy)
	if err != nil {
		return nil, err
	}
	g, err := a.store.AddAgent(ctx, name, in.Role, c)
	if errors.Is(err, store.ErrConflict) {
		return nil, conflict("there is an agent %s@%s already", name, a.domain)
	}
	if err != nil {
		return nil, err
	}
	if o.inst.live != nil {
		o.inst.live.AgentAdded(a.id, g)
	}
	return newAgentInfo(a, g), nil
}

// credential makes what is kept of a password that the policy allows.
func (o *operator) credential(ctx context.Context, a *account, name, password string, noPolicy bool) (store.Credential, error) {
	if noPolicy {
		o.inst.log.Info("password without policy", "agent", name+"@"+a.domain)
	} else if err := a.auth.CheckPassword(name, password); err != nil {
		return store.Credential{}, withHint(err, "-no-policy takes it all the same")
	}
	return newCredential(ctx, a, name, password, o.inst.now())
}

func newCredential(ctx context.Context, a *account, name, password string, now time.Time) (store.Credential, error) {
	v, err := a.auth.Verifier(ctx, name, password)
	return store.Credential{Scope: "xmpp", Label: passwordLabel, Created: now, Verifier: v}, err
}

func (o *operator) showAgent(r *http.Request) (any, error) {
	a, g, err := o.existing(r)
	if err != nil {
		return nil, err
	}
	credentials, err := a.store.Credentials(r.Context(), g.ID)
	if err != nil {
		return nil, err
	}
	info := newAgentInfo(a, g)
	for _, c := range credentials {
		info.Credentials = append(info.Credentials, credentialInfo{c.Label, c.Scope, c.Device, c.Created.UTC()})
	}
	return info, nil
}

func (o *operator) setPassword(r *http.Request) (any, error) {
	var in struct {
		Password string
		NoPolicy bool `json:"no_policy"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	a, g, err := o.existing(r)
	if err != nil {
		return nil, err
	}
	c, err := o.credential(r.Context(), a, g.Name, in.Password, in.NoPolicy)
	if err != nil {
		return nil, err
	}
	c.Agent = g.ID
	if err := a.store.SetCredential(r.Context(), c); err != nil {
		return nil, err
	}
	if o.inst.live != nil {
		o.inst.live.CredentialsChanged(a.id, g)
	}
	return newAgentInfo(a, g), nil
}

func (o *operator) disableAgent(r *http.Request) (any, error) {
	var in struct{ Disabled bool }
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	a, g, err := o.existing(r)
	if err != nil {
		return nil, err
	}
	if err := a.store.DisableAgent(r.Context(), g.ID, in.Disabled); err != nil {
		return nil, err
	}
	g.Disabled = in.Disabled
	switch {
	case o.inst.live == nil:
	case g.Disabled:
		o.inst.live.AgentRemoved(a.id, g)
	default:
		o.inst.live.AgentAdded(a.id, g)
	}
	return newAgentInfo(a, g), nil
}

func (o *operator) deleteAgent(r *http.Request) (any, error) {
	a, g, err := o.existing(r)
	if err != nil {
		return nil, err
	}
	if err := a.store.DeleteAgent(r.Context(), g.ID); err != nil {
		return nil, err
	}
	if o.inst.live != nil {
		o.inst.live.AgentDeleted(a.id, g)
	}
	return done, nil
}
