package web

import (
	"context"
	"net/http"
)

// Settings are what an account's own people can set.
type Settings struct {
	Retention string `json:"retention" doc:"How long what was said is kept, such as 30d; empty is as long as the operator allows."`
	Limit     string `json:"retention_limit,omitempty" doc:"How long the operator allows; missing is for ever."`
	Kept      string `json:"retention_in_force,omitempty" doc:"The shorter of the two; missing is for ever."`
}

// A SettingsChange is what of the settings is to be otherwise.
type SettingsChange struct {
	Retention *string `json:"retention,omitempty" maxLength:"20" doc:"What is older is destroyed, within the hour. A longer time than the operator allows counts as that."`
}

func (a *API) settingsRoutes() {
	handle(a, route{id: "get-settings", method: http.MethodGet, path: "/v1/settings", does: "Show the account's settings"}, a.getSettings)
	handle(a, route{id: "change-settings", method: http.MethodPatch, path: "/v1/settings", does: "Change the account's settings"}, a.changeSettings)
}

func (a *API) getSettings(ctx context.Context, c *caller, _ *struct{}) (*tagged[Settings], error) {
	s, err := a.inst.Settings(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	tag, err := c.tagOf(ctx, s)
	return &tagged[Settings]{tag, s}, err
}

func (a *API) changeSettings(ctx context.Context, c *caller, in *struct {
	IfMatch
	Body SettingsChange
}) (*tagged[Settings], error) {
	a.settings.Lock() // so that what one has seen is what another changes
	defer a.settings.Unlock()
	s, err := a.getSettings(ctx, c, nil)
	if err != nil {
		return nil, err
	}
	if err := in.matches(s.ETag); err != nil {
		return nil, err
	}
	if in.Body.Retention != nil {
		if err := a.inst.SetRetention(ctx, c.ID, *in.Body.Retention); err != nil {
			return nil, err
		}
	}
	return a.getSettings(ctx, c, nil)
}
