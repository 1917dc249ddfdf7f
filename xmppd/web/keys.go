package web

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
)

const (
	keyIDMax = 128 // bytes
	keyLife  = 10 * 366 * 24 * time.Hour
)

// A KeyInfo is a key of the API as it is shown.
type KeyInfo struct {
	ID      string     `json:"id"`
	Kind    string     `json:"kind" enum:"basic,signing" doc:"basic is sent as a password; signing signs tokens and requests and is never sent."`
	Role    string     `json:"role" enum:"auditor,agent,supervisor,admin,owner"`
	Scopes  []string   `json:"scopes" doc:"What it is narrowed to, such as webhooks:write; empty is all that the role may."`
	Label   string     `json:"label,omitempty"`
	Created time.Time  `json:"created"`
	By      string     `json:"created_by,omitempty" doc:"The key that made it; missing if an operator did."`
	Expires *time.Time `json:"expires,omitempty"`
	Secret  string     `json:"secret,omitempty" doc:"When it was just made."`
}

// KeyWishes are what a new key is to be.
type KeyWishes struct {
	Kind    string     `json:"kind,omitempty" enum:"basic,signing" default:"basic"`
	Role    string     `json:"role,omitempty" enum:"auditor,agent,supervisor,admin,owner" default:"auditor"`
	Scopes  []string   `json:"scopes,omitempty" maxItems:"50"`
	Label   string     `json:"label,omitempty" maxLength:"200" doc:"For people."`
	Expires *time.Time `json:"expires,omitempty" doc:"When it is good no more; missing is never."`
}

func (a *API) keyRoutes() {
	handle(a, route{id: "list-keys", method: http.MethodGet, path: "/v1/keys", does: "List keys of the API"}, a.listKeys)
	handle(a, route{id: "get-key", method: http.MethodGet, path: "/v1/key", does: "Show the key that asks"}, a.getKey)
	handle(a, route{id: "create-key", method: http.MethodPost, path: "/v1/keys", does: "Make a key", created: true}, a.createKey)
	handle(a, route{id: "delete-key", method: http.MethodDelete, path: "/v1/keys/{key}", does: "Revoke a key"}, a.deleteKey)
}

func newKeyInfo(k store.APIKey) KeyInfo {
	info := KeyInfo{ID: k.ID, Kind: "basic", Role: k.Role, Scopes: k.Scopes, Label: k.Label, Created: k.Created.UTC(), By: k.By}
	if k.Signing {
		info.Kind = "signing"
	}
	if info.Scopes == nil {
		info.Scopes = []string{}
	}
	if !k.Expires.IsZero() {
		info.Expires = &k.Expires
	}
	return info
}

// getKey tells a program what it may.
func (a *API) getKey(ctx context.Context, c *caller, _ *struct{}) (*body[KeyInfo], error) {
	if c.operator {
		return nil, missing("an operator has no key")
	}
	k, err := c.Store.APIKey(ctx, c.key)
	if isMissing(err) {
		err = missing("the key was revoked")
	}
	info := newKeyInfo(k)
	info.Scopes = c.scopes // a token may have narrowed them
	if info.Scopes == nil {
		info.Scopes = []string{}
	}
	return &body[KeyInfo]{info}, err
}

func (a *API) listKeys(ctx context.Context, c *caller, _ *struct{}) (*body[List[KeyInfo]], error) {
	all, err := c.Store.APIKeys(ctx)
	infos := make([]KeyInfo, 0, len(all))
	for _, k := range all {
		infos = append(infos, newKeyInfo(k))
	}
	return whole(infos), err
}

func (a *API) createKey(ctx context.Context, c *caller, in *struct{ Body KeyWishes }) (*made[KeyInfo], error) {
	w := in.Body
	if err := c.mayGive(w.Role); err != nil {
		return nil, err
	}
	if err := c.mayNarrow(w.Scopes); err != nil {
		return nil, err
	}
	if err := c.mayOutlive(w.Expires, a.now()); err != nil {
		return nil, err
	}
	secret := "as_" + randomID() + randomID()
	k := store.APIKey{
		ID: "ak_" + c.ID + "_" + randomID(), Signing: w.Kind == "signing", Role: w.Role, Scopes: w.Scopes, Label: w.Label,
		Created: a.now(), By: c.key, Secret: []byte(secret),
	}
	if !k.Signing {
		hash := sha256.Sum256(k.Secret)
		k.Secret = hash[:]
	}
	if w.Expires != nil {
		k.Expires = w.Expires.UTC()
	}
	switch err := c.Store.AddAPIKey(ctx, k); {
	case errors.Is(err, store.ErrTooMany):
		return nil, Refuse(LimitReached, "account %s has %d keys, which is the most", c.ID, store.MaxAPIKeys)
	case err != nil:
		return nil, err
	}
	audit.About(ctx, "key/"+k.ID)
	audit.Tell(ctx, "role", k.Role)
	info := newKeyInfo(k)
	info.Secret = secret
	return &made[KeyInfo]{Prefix + "keys/" + k.ID, info}, nil
}

// mayOutlive refuses a key that is good for longer than what it is made with.
func (c *caller) mayOutlive(expires *time.Time, now time.Time) error {
	switch {
	case c.token:
		return Refuse(BeyondKey, "a token makes no keys: sign the request, or use a basic key")
	case expires != nil && !expires.After(now):
		return refuse("the key would have expired already")
	case expires != nil && expires.Sub(now) > keyLife:
		return refuse("a key that expires does so within ten years")
	case !c.expires.IsZero() && (expires == nil || expires.After(c.expires)):
		return Refuse(BeyondKey, "a key makes none that is good for longer than itself: until %s", c.expires.Format(time.RFC3339))
	}
	return nil
}

// mayNarrow refuses scopes that there are not, or that the caller has not.
func (c *caller) mayNarrow(to []string) error {
	known := scopes()
	for _, s := range to {
		if !known[s] {
			var names []string
			for name := range known {
				names = append(names, name)
			}
			slices.Sort(names)
			return refuse("there is no scope %q", s).hint("scopes are %s", strings.Join(names, ", "))
		}
	}
	if len(c.scopes) > 0 && (len(to) == 0 || slices.ContainsFunc(to, func(s string) bool { return !slices.Contains(c.scopes, s) })) {
		return Refuse(BeyondScope, "a key makes none that has more scopes than itself")
	}
	return nil
}

func (a *API) deleteKey(ctx context.Context, c *caller, in *struct {
	Key string `path:"key" maxLength:"128" doc:"The key's id."`
}) (*struct{}, error) {
	k, err := c.Store.APIKey(ctx, in.Key)
	if isMissing(err) {
		return nil, missing("there is no key %q", in.Key)
	}
	if err != nil {
		return nil, err
	}
	if err := c.mayGive(k.Role); err != nil {
		return nil, err
	}
	return nil, c.Store.DeleteAPIKey(ctx, k.ID)
}
