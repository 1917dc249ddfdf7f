package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/store"
	"parley.im/parley/xmppd/web"
)

// retentionSetting is what an account's own people have said how long things are kept.
const retentionSetting = "retention"

// keeps is how long what was said is kept; 0 is for ever.
func (a *account) keeps() time.Duration {
	if d := time.Duration(a.kept.Load()); d > 0 {
		return d
	}
	return a.keep
}

// retain tells the store how long things are kept: as the configuration has it, or less, if
// the account's own setting says so. VIV-8
func (a *account) retain(ctx context.Context) error {
	text, err := a.store.Setting(ctx, retentionSetting)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	d := a.keep
	if own, err := conf.ParseDuration(text); err == nil && own > 0 && (d == 0 || own < d) {
		d = own
	}
	a.kept.Store(int64(d))
	a.store.Retain(d)
	return nil
}

// Settings are what an account's own people can set.
func (i webInstallation) Settings(ctx context.Context, id string) (web.Settings, error) {
	a, err := i.account(ctx, id)
	if err != nil {
		return web.Settings{}, err
	}
	text, err := a.store.Setting(ctx, retentionSetting)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return web.Settings{}, err
	}
	s := web.Settings{Retention: text}
	if a.keep > 0 {
		s.Limit = days(a.keep)
	}
	if kept := a.keeps(); kept > 0 {
		s.Kept = days(kept)
	}
	return s, nil
}

// SetRetention keeps how long the account's own people want things kept. What is longer
// than the configuration allows is cut to that.
func (i webInstallation) SetRetention(ctx context.Context, id, text string) error {
	a, err := i.account(ctx, id)
	if err != nil {
		return err
	}
	if text != "" {
		if d, err := conf.ParseDuration(text); err != nil || d < 24*time.Hour {
			return &web.Refusal{Kind: web.Invalid, Status: 422, Text: "retention is a time of a day or more, or nothing", Hint: `such as "30d"`}
		}
	}
	before, err := i.Settings(ctx, id)
	if err != nil {
		return err
	}
	if err := a.store.SetSetting(ctx, retentionSetting, text); err != nil {
		return err
	}
	if err := a.retain(ctx); err != nil {
		return err
	}
	if i.retention != nil {
		i.retention.changed(a)
	}
	after, err := i.Settings(ctx, id)
	if err != nil || before.Kept == after.Kept {
		return err
	}
	type change struct {
		Option string `json:"option"`
		Before string `json:"before"` // "" is for ever
		After  string `json:"after"`
	}
	data, err := json.Marshal(map[string][]change{"changes": {{"retention", before.Kept, after.Kept}}})
	if err != nil {
		return err
	}
	_, err = store.Journalize(ctx, a.store, store.KindPolicyChanged, data, i.now())
	return err
}
