package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"mellium.im/xmpp/jid"

	"parley.im/parley/auth"
	"parley.im/parley/store"
	"parley.im/parley/store/audit"
)

// PasswordLabel is how the credential that is an agent's password is called.
const PasswordLabel = "password"

// An AgentInfo is an agent as it is shown.
type AgentInfo struct {
	JID      string    `json:"jid"`
	Account  string    `json:"account"`
	Role     string    `json:"role" enum:"auditor,agent,supervisor,admin,owner"`
	Disabled bool      `json:"disabled"`
	Created  time.Time `json:"created"`
	Skills
	Credentials []CredentialInfo `json:"credentials,omitempty" doc:"Of a single agent only."`
}

// An AgentWishes is a new agent.
type AgentWishes struct {
	JID      string `json:"jid" maxLength:"500" doc:"Such as anna@desk.example, of the account's domain."`
	Role     string `json:"role,omitempty" default:"agent" enum:"auditor,agent,supervisor,admin,owner"`
	Password string `json:"password" maxLength:"1024" minLength:"1"`
	NoPolicy bool   `json:"no_policy,omitempty" doc:"Takes passwords that the policy refuses; for operators."`
}

// An AgentChange is what of an agent is to be otherwise.
type AgentChange struct {
	Role     *string `json:"role,omitempty" enum:"auditor,agent,supervisor,admin,owner"`
	Disabled *bool   `json:"disabled,omitempty" doc:"Whether she may sign in no more; her sessions end."`
	SkillsChange
}

// An AgentPath names an agent in a path.
type AgentPath struct {
	JID string `path:"jid" maxLength:"500" doc:"The agent's address."`
}

func (a *API) agentInfo(ctx context.Context, c *caller, g store.Agent) (AgentInfo, error) {
	skills, err := a.inst.Skills(ctx, c.ID, g.Name)
	return AgentInfo{JID: g.Name + "@" + c.Domain, Account: c.ID, Role: g.Role, Disabled: g.Disabled, Created: g.Created.UTC(), Skills: skills}, err
}

func (a *API) agentRoutes() {
	handle(a, route{id: "list-agents", method: http.MethodGet, path: "/v1/agents", does: "List agents"}, a.listAgents)
	handle(a, route{id: "create-agent", method: http.MethodPost, path: "/v1/agents", does: "Add an agent", created: true}, a.createAgent)
	handle(a, route{id: "get-agent", method: http.MethodGet, path: "/v1/agents/{jid}", does: "Show an agent"}, a.getAgent)
	handle(a, route{id: "change-agent", method: http.MethodPatch, path: "/v1/agents/{jid}", does: "Change an agent's role, or let her in no more"}, a.changeAgent)
	handle(a, route{id: "delete-agent", method: http.MethodDelete, path: "/v1/agents/{jid}", does: "Delete an agent"}, a.deleteAgent)
	handle(a, route{id: "set-password", method: http.MethodPut, path: "/v1/agents/{jid}/password", does: "Set an agent's password"}, a.setPassword)
}

func (a *API) listAgents(ctx context.Context, c *caller, in *Page) (*body[List[AgentInfo]], error) {
	agents, err := c.Store.Agents(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]AgentInfo, 0, len(agents))
	for _, g := range agents {
		info, err := a.agentInfo(ctx, c, g)
		if err != nil {
			return nil, err
		}
		all = append(all, info)
	}
	slices.SortFunc(all, func(x, y AgentInfo) int { return strings.Compare(x.JID, y.JID) })
	return paged(all, *in, func(i AgentInfo) string { return i.JID }), nil
}

// nameOf is the name in an address of the account's.
func (c *caller) nameOf(address string) (string, error) {
	j, err := jid.Parse(address)
	if err != nil || j.Localpart() == "" || j.Resourcepart() != "" {
		return "", refuse("not an agent's address: %q", address).hint("such as anna@%s", c.Domain)
	}
	name, err := auth.PrepareName(j.Localpart())
	if err != nil {
		return "", err
	}
	if j.Domainpart() != c.Domain {
		return "", missing("there is no agent %s@%s", name, j.Domainpart())
	}
	return name, nil
}

func (a *API) createAgent(ctx context.Context, c *caller, in *struct{ Body AgentWishes }) (*made[AgentInfo], error) {
	if err := c.mayGive(in.Body.Role); err != nil {
		return nil, err
	}
	name, err := c.nameOf(in.Body.JID)
	if err == nil {
		err = Reserved(name)
	}
	if err != nil {
		return nil, err
	}
	k, err := a.password(ctx, c, name, in.Body.Password, in.Body.NoPolicy)
	if err != nil {
		return nil, err
	}
	g, err := c.Store.AddAgent(ctx, name, in.Body.Role, k)
	if errors.Is(err, store.ErrConflict) {
		return nil, conflict("there is an agent %s@%s already", name, c.Domain)
	}
	if err != nil {
		return nil, err
	}
	audit.About(ctx, fmt.Sprintf("agent/%d", g.ID))
	audit.Tell(ctx, "role", g.Role)
	if live := a.inst.Live(); live != nil {
		live.AgentAdded(c.ID, g)
	}
	info, err := a.agentInfo(ctx, c, g)
	return &made[AgentInfo]{Prefix + "agents/" + url.PathEscape(info.JID), info}, err
}

// password makes what is kept of a password that the policy allows.
func (a *API) password(ctx context.Context, c *caller, name, password string, noPolicy bool) (store.Credential, error) {
	switch {
	case noPolicy && !c.operator:
		return store.Credential{}, Refuse(BeyondKey, "only an operator passes by the password policy")
	case noPolicy:
		a.log.Info("password without policy", "agent", name+"@"+c.Domain)
		audit.Tell(ctx, "no_policy", "true")
	default:
		if err := c.Auth.CheckPassword(name, password); err != nil {
			r := Refuse(WeakPassword, "%v", err)
			if c.operator {
				r = r.hint("-no-policy takes it all the same")
			}
			return store.Credential{}, r
		}
	}
	return a.credential(ctx, c, name, PasswordLabel, "", password)
}

func (a *API) credential(ctx context.Context, c *caller, name, label, device, secret string) (store.Credential, error) {
	v, err := c.Auth.Verifier(ctx, name, secret)
	return store.Credential{Scope: "xmpp", Label: label, Device: device, Created: a.now(), Verifier: v}, err
}

func (a *API) getAgent(ctx context.Context, c *caller, in *AgentPath) (*tagged[AgentInfo], error) {
	g, err := c.agentOf(ctx, in.JID)
	if err != nil {
		return nil, err
	}
	info, err := a.agentInfo(ctx, c, g)
	if err != nil {
		return nil, err
	}
	if c.may(permissions["list-credentials"]) == nil {
		if info.Credentials, err = c.credentials(ctx, g); err != nil {
			return nil, err
		}
	}
	tag, err := a.agentTag(ctx, c, g)
	return &tagged[AgentInfo]{tag, info}, err
}

// agentTag tells an agent, and what is set for her, from what she was.
func (a *API) agentTag(ctx context.Context, c *caller, g store.Agent) (string, error) {
	skills, err := a.inst.Skills(ctx, c.ID, g.Name)
	if err != nil {
		return "", err
	}
	return c.tagOf(ctx, []any{g, skills})
}

// changeable is the agent of an address, if the caller may change her and she is what the
// caller saw.
func (a *API) changeable(ctx context.Context, c *caller, address string, seen IfMatch) (store.Agent, error) {
	g, err := c.agentOf(ctx, address)
	if err != nil {
		return g, err
	}
	if err := c.mayGive(g.Role); err != nil {
		return g, err
	}
	tag, err := a.agentTag(ctx, c, g)
	if err == nil {
		err = seen.matches(tag)
	}
	return g, err
}

func (a *API) changeAgent(ctx context.Context, c *caller, in *struct {
	AgentPath
	IfMatch
	Body AgentChange
}) (*body[AgentInfo], error) {
	g, err := a.changeable(ctx, c, in.JID, in.IfMatch)
	if err != nil {
		return nil, err
	}
	if in.Body.Role != nil {
		if err := c.mayGive(*in.Body.Role); err != nil {
			return nil, err
		}
		if err := c.Store.SetRole(ctx, g.ID, *in.Body.Role); err != nil {
			return nil, err
		}
		g.Role = *in.Body.Role
		audit.Tell(ctx, "role", g.Role)
		if live := a.inst.Live(); live != nil {
			live.RoleChanged(c.ID, g)
		}
	}
	if in.Body.Disabled != nil {
		if err := a.disableAgent(ctx, c, &g, *in.Body.Disabled); err != nil {
			return nil, err
		}
	}
	if !in.Body.none() {
		in.Body.tell(ctx)
		if err := a.inst.SetSkills(ctx, c.ID, g.ID, in.Body.SkillsChange); err != nil {
			return nil, err
		}
	}
	info, err := a.agentInfo(ctx, c, g)
	return &body[AgentInfo]{info}, err
}

func (a *API) disableAgent(ctx context.Context, c *caller, g *store.Agent, disabled bool) error {
	if err := c.Store.DisableAgent(ctx, g.ID, disabled); err != nil {
		return err
	}
	g.Disabled = disabled
	audit.Tell(ctx, "disabled", strconv.FormatBool(disabled))
	switch live := a.inst.Live(); {
	case live == nil:
	case disabled:
		live.AgentRemoved(c.ID, *g)
	default:
		live.AgentAdded(c.ID, *g)
	}
	return nil
}

func (a *API) deleteAgent(ctx context.Context, c *caller, in *struct {
	AgentPath
	IfMatch
}) (*struct{}, error) {
	g, err := a.changeable(ctx, c, in.JID, in.IfMatch)
	if err != nil {
		return nil, err
	}
	if err := c.Store.DeleteAgent(ctx, g.ID); err != nil {
		return nil, err
	}
	if live := a.inst.Live(); live != nil {
		live.AgentDeleted(c.ID, g)
	}
	return nil, nil
}

func (a *API) setPassword(ctx context.Context, c *caller, in *struct {
	AgentPath
	IfMatch
	Body struct {
		Password string `json:"password" maxLength:"1024"`
		NoPolicy bool   `json:"no_policy,omitempty" doc:"Takes passwords that the policy refuses; for operators."`
	}
}) (*struct{}, error) {
	g, err := a.changeable(ctx, c, in.JID, in.IfMatch)
	if err != nil {
		return nil, err
	}
	k, err := a.password(ctx, c, g.Name, in.Body.Password, in.Body.NoPolicy)
	if err != nil {
		return nil, err
	}
	k.Agent = g.ID
	if err := c.Store.SetCredential(ctx, k); err != nil {
		return nil, err
	}
	if live := a.inst.Live(); live != nil {
		live.CredentialsChanged(c.ID, g)
	}
	return nil, nil
}
