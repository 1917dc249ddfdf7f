package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"parley.im/parley/auth"
	"parley.im/parley/store"
	"parley.im/parley/store/audit"
)

// A CredentialInfo is one way to sign in, as it is shown.
type CredentialInfo struct {
	ID      string    `json:"id"`
	Label   string    `json:"label"`
	Scope   string    `json:"scope"`
	Device  string    `json:"device,omitempty" doc:"If it is a device's secret."`
	Created time.Time `json:"created"`
	Secret  string    `json:"secret,omitempty" doc:"Of a device, when it was just made."`
}

type CredentialPath struct {
	AgentPath
	Credential int64 `path:"credential" doc:"The credential's id."`
}

func (a *API) credentialRoutes() {
	const list = "/v1/agents/{jid}/credentials"
	handle(a, route{id: "list-credentials", method: http.MethodGet, path: list, does: "List what an agent signs in with"}, a.listCredentials)
	handle(a, route{id: "create-credential", method: http.MethodPost, path: list, does: "Make a secret for one of an agent's devices", created: true}, a.createCredential)
	handle(a, route{id: "delete-credential", method: http.MethodDelete, path: list + "/{credential}", does: "Revoke a credential, and end its sessions"}, a.deleteCredential)
}

func (c *caller) credentials(ctx context.Context, g store.Agent) ([]CredentialInfo, error) {
	all, err := c.Store.Credentials(ctx, g.ID)
	infos := make([]CredentialInfo, 0, len(all))
	for _, k := range all {
		infos = append(infos, newCredentialInfo(k))
	}
	return infos, err
}

func newCredentialInfo(k store.Credential) CredentialInfo {
	return CredentialInfo{ID: strconv.FormatInt(k.ID, 10), Label: k.Label, Scope: k.Scope, Device: k.Device, Created: k.Created.UTC()}
}

func (a *API) listCredentials(ctx context.Context, c *caller, in *AgentPath) (*body[List[CredentialInfo]], error) {
	g, err := c.agentOf(ctx, in.JID)
	if err != nil {
		return nil, err
	}
	all, err := c.credentials(ctx, g)
	return whole(all), err
}

// createCredential makes a secret of 128 random bits, which a device keeps instead of
// the agent's password.
func (a *API) createCredential(ctx context.Context, c *caller, in *struct {
	AgentPath
	Body struct {
		Label string `json:"label" minLength:"1" maxLength:"100" doc:"The device, for people. A new secret under the same label takes the old one's place."`
	}
}) (*made[CredentialInfo], error) {
	g, err := a.changeable(ctx, c, in.JID, IfMatch{})
	if err != nil {
		return nil, err
	}
	if in.Body.Label == PasswordLabel {
		return nil, refuse("%q is what the agent's password is called", PasswordLabel)
	}
	old, err := c.Store.Credentials(ctx, g.ID)
	if err != nil {
		return nil, err
	}
	var replaced int64
	for _, k := range old {
		if k.Label == in.Body.Label {
			replaced = k.ID
		}
	}
	if replaced == 0 && len(old) >= auth.MaxCredentials {
		return nil, Refuse(LimitReached, "%s@%s has %d credentials, which is the most", g.Name, c.Domain, len(old))
	}
	secret := randomID()
	k, err := a.credential(ctx, c, g.Name, in.Body.Label, randomID(), secret)
	if err != nil {
		return nil, err
	}
	k.Agent = g.ID
	if err := c.Store.SetCredential(ctx, k); err != nil {
		return nil, err
	}
	if live := a.inst.Live(); live != nil && replaced != 0 {
		live.CredentialRevoked(c.ID, g, replaced)
	}
	now, err := c.Store.Credentials(ctx, g.ID)
	if err != nil {
		return nil, err
	}
	for _, made := range now {
		if made.Device == k.Device {
			k = made
		}
	}
	audit.Tell(ctx, "credential", strconv.FormatInt(k.ID, 10))
	info := newCredentialInfo(k)
	info.Secret = secret
	return &made[CredentialInfo]{Prefix + "agents/" + url.PathEscape(g.Name+"@"+c.Domain) + "/credentials/" + info.ID, info}, nil
}

func (a *API) deleteCredential(ctx context.Context, c *caller, in *CredentialPath) (*struct{}, error) {
	g, err := a.changeable(ctx, c, in.JID, IfMatch{})
	if err != nil {
		return nil, err
	}
	all, err := c.Store.Credentials(ctx, g.ID)
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		if k.ID != in.Credential {
			continue
		}
		audit.Tell(ctx, "credential", strconv.FormatInt(k.ID, 10))
		if err := c.Store.DeleteCredential(ctx, k.ID); err != nil {
			return nil, err
		}
		if live := a.inst.Live(); live != nil {
			live.CredentialRevoked(c.ID, g, k.ID)
		}
		return nil, nil
	}
	return nil, missing("%s@%s has no credential %d", g.Name, c.Domain, in.Credential)
}
