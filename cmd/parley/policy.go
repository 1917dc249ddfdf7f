package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"parley.im/parley/store"
)

// policySetting is where it is kept by which rules an account's agents last signed in, so that a
// change is also told that was made while the server did not run.
const policySetting = "auth.policy"

// policy is how the account's agents sign in, by the names of the options.
func (s *server) policy(a *account) (map[string]json.RawMessage, error) {
	f := s.inst.config()
	options := map[string]any{
		"auth.iterations":                 f.Auth.Iterations,
		"auth.sha1":                       f.OffersSHA1(a.conf),
		"auth.channel_binding":            f.Auth.ChannelBinding,
		"auth.lockout":                    f.Auth.Lockout,
		"auth.lockout_failures":           f.Auth.LockoutFailures,
		"auth.lockout_for":                f.Auth.LockoutFor.String(),
		"auth.password_policy":            f.Auth.PasswordPolicy,
		"auth.password_length":            f.Auth.PasswordLength,
		"auth.password_digits_or_symbols": f.Auth.PasswordDigitsOrSymbols,
		"auth.password_change":            s.passwordChange,
	}
	all := make(map[string]json.RawMessage, len(options))
	for name, value := range options {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		all[name] = text
	}
	return all, nil
}

// A policyChange is one option as it was and as it is.
type policyChange struct {
	Option string          `json:"option"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

// tellPolicy makes an event of what has changed about how the account's agents sign in. After
// a crash just then it may be told twice; never not at all.
func (s *server) tellPolicy(ctx context.Context, a *account) error {
	now, err := s.policy(a)
	if err != nil {
		return err
	}
	text, err := a.store.Setting(ctx, policySetting)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	var before map[string]json.RawMessage
	if err == nil {
		if err := json.Unmarshal([]byte(text), &before); err != nil {
			return err
		}
	}
	var changes []policyChange
	for _, name := range slices.Sorted(maps.Keys(now)) {
		// An option that was not known then is this version's, not somebody's doing.
		if was, known := before[name]; known && string(was) != string(now[name]) {
			changes = append(changes, policyChange{name, was, now[name]})
		}
	}
	if len(changes) > 0 {
		data, err := json.Marshal(map[string][]policyChange{"changes": changes})
		if err != nil {
			return err
		}
		if _, err := store.Journalize(ctx, a.store, store.KindPolicyChanged, data, s.inst.now()); err != nil {
			return err
		}
		s.log.Info("how agents sign in has changed", "account", a.id, "changes", len(changes))
	}
	kept, err := json.Marshal(now)
	if err != nil || text == string(kept) {
		return err
	}
	return a.store.SetSetting(ctx, policySetting, string(kept))
}

// policiesChanged has accounts in operation take over how agents sign in, and tells of it.
func (s *server) policiesChanged(ctx context.Context) {
	f := s.inst.config()
	for _, a := range s.inst.list() {
		a.configure(f)
	}
	for _, a := range s.inService() {
		s.sayPolicy(ctx, a)
	}
}

// sayPolicy is tellPolicy where nothing depends on it: a full disk lets agents sign in as well.
func (s *server) sayPolicy(ctx context.Context, a *account) {
	if err := s.tellPolicy(ctx, a); err != nil {
		s.log.Error("that it has changed how agents sign in is not told", "account", a.id, "err", err)
	}
}
