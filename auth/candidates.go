package auth

import (
	"context"
	"errors"
	"fmt"

	"parley.im/parley/auth/scram"
	"parley.im/parley/store"
)

// What there is to try against a proof.
type candidates struct {
	agent       store.Agent // zero if there is none of that name
	keys        []scram.Keys
	credentials []store.Credential // of the same index; shorter, since stand-ins have none
}

// candidates collects the keys of all credentials of a name, filled up with
// stand-ins to the same number for everybody. A name that doesn't exist asks the
// same of the store as one that does.
func (a *Account) candidates(ctx context.Context, name string, h scram.Hash, now cost) (candidates, error) {
	agent, err := a.store.Agent(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return candidates{}, fmt.Errorf("look up agent: %w", err)
	}
	if err != nil {
		agent = store.Agent{} // 0 is nobody's id, and has no credentials
	}
	list, err := a.store.Credentials(ctx, agent.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return candidates{}, fmt.Errorf("look up credentials: %w", err)
	}
	c := candidates{agent: agent, keys: make([]scram.Keys, 0, MaxCredentials)}
	if agent.ID == 0 {
		list = nil
	}
	for _, credential := range list {
		if credential.Scope != scopeXMPP || a.config.DevicesOnly && credential.Device == "" {
			continue
		}
		v, err := parseVerifier(credential.Verifier)
		if err != nil {
			return candidates{}, fmt.Errorf("credential %d: %w", credential.ID, err)
		}
		if v.generation != now.generation {
			continue
		}
		c.keys = append(c.keys, v.keys[h])
		c.credentials = append(c.credentials, credential)
	}
	for len(c.keys) < MaxCredentials {
		c.keys = append(c.keys, scram.Keys{})
	}
	return c, nil
}
