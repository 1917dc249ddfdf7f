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
	agent, err := a.agent(ctx, name)
	if err != nil {
		return candidates{}, err
	}
	c := candidates{agent: agent, keys: make([]scram.Keys, 0, MaxCredentials)}
	err = a.usable(ctx, agent.ID, now, func(credential store.Credential, v verifier) {
		c.keys = append(c.keys, v.keys[h])
		c.credentials = append(c.credentials, credential)
	})
	if err != nil {
		return candidates{}, err
	}
	for len(c.keys) < MaxCredentials {
		c.keys = append(c.keys, scram.Keys{})
	}
	return c, nil
}

// agent is the agent of that name; zero if there is none, since 0 is nobody's id.
func (a *Account) agent(ctx context.Context, name string) (store.Agent, error) {
	agent, err := a.store.Agent(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Agent{}, nil
	case err != nil:
		return store.Agent{}, fmt.Errorf("look up agent: %w", err)
	}
	return agent, nil
}

// usable yields the credentials that an agent may sign in with now. For nobody's id it
// asks the store as well, and yields none.
func (a *Account) usable(ctx context.Context, id store.AgentID, now cost, yield func(store.Credential, verifier)) error {
	list, err := a.store.Credentials(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("look up credentials: %w", err)
	}
	if id == 0 {
		list = nil
	}
	for _, credential := range list {
		if credential.Scope != scopeXMPP || a.options.Load().DevicesOnly && credential.Device == "" {
			continue
		}
		v, err := parseVerifier(credential.Verifier)
		if err != nil {
			return fmt.Errorf("credential %d: %w", credential.ID, err)
		}
		if v.generation == now.generation {
			yield(credential, v)
		}
	}
	return nil
}
