package web

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"parley.im/parley/store"
)

// An AccountInfo is an account as it is shown.
type AccountInfo struct {
	ID        string `json:"id"`
	Domain    string `json:"domain"`
	Profile   string `json:"profile"`
	Sealed    bool   `json:"sealed" doc:"Whether what is stored is encrypted."`
	Disabled  bool   `json:"disabled"`
	Retention string `json:"retention,omitempty" doc:"How long what was said is kept; missing is for ever."`
	Declared  string `json:"declared,omitempty" doc:"Where in the configuration; for operators."`

	ExportKey string `json:"export_key,omitempty" doc:"The public half (Ed25519, base64) of the key that transcripts are signed with."`

	Agents     *int `json:"agents,omitempty"`
	Webhooks   *int `json:"webhooks,omitempty"`
	Iterations int  `json:"iterations,omitempty" doc:"Rounds of hashing for a password."`
	Configured int  `json:"iterations_configured,omitempty" doc:"If another number is."`
	Stale      int  `json:"stale,omitempty" doc:"Passwords to be set anew."`

	HeldUntil time.Time `json:"held_until,omitzero" doc:"Nothing is destroyed until then. A hold for ever ends with the year 9999."`
}

// An AccountSecret is the account's secret token, with which webhooks are signed.
type AccountSecret struct {
	Secret        string     `json:"secret"`
	Previous      string     `json:"previous,omitempty"`
	PreviousUntil *time.Time `json:"previous_until,omitempty"`
}

func (a *API) accountRoutes() {
	handle(a, route{id: "get-account", method: http.MethodGet, path: "/v1/account", does: "Show the account"},
		func(ctx context.Context, c *caller, _ *struct{}) (*body[AccountInfo], error) {
			info, err := a.inst.ShowAccount(ctx, c.ID)
			if err != nil {
				return nil, err
			}
			key, err := c.exportKey(ctx)
			if err != nil {
				return nil, err
			}
			info.ExportKey = base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
			if !c.operator {
				info.Declared, info.Iterations, info.Configured, info.Stale = "", 0, 0, 0
			}
			return &body[AccountInfo]{info}, nil
		})
	handle(a, route{id: "get-secret", method: http.MethodGet, path: "/v1/account/secret", does: "Show the account's secret token"},
		func(ctx context.Context, c *caller, _ *struct{}) (*body[AccountSecret], error) {
			t, err := c.Store.Token(ctx)
			return &body[AccountSecret]{newAccountSecret(t)}, err
		})
	handle(a, route{id: "rotate-secret", method: http.MethodPost, path: "/v1/account/secret/rotate", does: "Give the account another secret token"}, a.rotateSecret)
}

func newAccountSecret(t store.Token) AccountSecret {
	s := AccountSecret{Secret: t.Value, Previous: t.Previous}
	if t.Previous != "" {
		s.PreviousUntil = &t.Until
	}
	return s
}

// rotateSecret gives the account another secret token. Webhooks are signed with the old one,
// too, until receivers have had the time to learn the new one. VIV-7
func (a *API) rotateSecret(ctx context.Context, c *caller, in *struct{ Body *OverlapWish }) (*body[AccountSecret], error) {
	overlap, err := in.Body.parse()
	if err != nil {
		return nil, err
	}
	until := a.now().Add(overlap).UTC().Truncate(time.Second)
	event, err := json.Marshal(map[string]time.Time{"previous_until": until})
	if err != nil {
		return nil, err
	}
	t, err := c.Store.RotateToken(ctx, until, event)
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil, conflict("somebody else has just rotated the token of account %s", c.ID)
	case err != nil:
		return nil, err
	}
	a.webhooksChanged(c)
	return &body[AccountSecret]{newAccountSecret(t)}, nil
}
