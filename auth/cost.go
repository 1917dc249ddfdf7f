package auth

import (
	"context"
	"errors"
	"fmt"

	"parley.im/parley/store"
)

// costSetting is the name of the setting that keeps generation and iterations, in
// one value so that they change together.
const costSetting = "auth.cost"

// A cost is what goes into salts and challenges.
type cost struct {
	generation uint64 // of the account's credentials, from 1
	iterations int
	kept       bool // it is in the settings, and verifiers may depend on it
}

func (c cost) String() string { return fmt.Sprintf("%d %d", c.generation, c.iterations) }

func parseCost(s string) (c cost, err error) {
	if n, err := fmt.Sscanf(s, "%d %d", &c.generation, &c.iterations); n != 2 || err != nil ||
		c.generation < 1 || c.iterations < 1 || c.String() != s {
		return cost{}, fmt.Errorf("setting %s: cannot read %q", costSetting, s)
	}
	c.kept = true
	return c, nil
}

// loadCost takes the cost from the settings, or from the options where no
// credential depends on the settings.
func (a *Account) loadCost(ctx context.Context) error {
	wanted := cost{generation: 1, iterations: a.options.Load().Iterations}
	s, err := a.store.Setting(ctx, costSetting)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("read setting %s: %w", costSetting, err)
	}
	if err != nil || s == "" {
		a.current.Store(&wanted)
		return nil
	}
	kept, err := parseCost(s)
	if err != nil {
		return err
	}
	if kept.iterations != wanted.iterations {
		free := true
		err := a.eachCredential(ctx, func(store.Credential) bool { free = false; return false })
		if err != nil {
			return err
		}
		if free {
			wanted.generation = kept.generation + 1
			kept = wanted
		}
	}
	a.current.Store(&kept)
	return nil
}

// keepCost is the current cost, written down before anything depends on it.
func (a *Account) keepCost(ctx context.Context) (cost, error) {
	if c := *a.current.Load(); c.kept {
		return c, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c := *a.current.Load()
	if c.kept {
		return c, nil
	}
	return a.setCost(ctx, c)
}

// setCost is called with mu held.
func (a *Account) setCost(ctx context.Context, c cost) (cost, error) {
	c.kept = true
	if err := a.store.SetSetting(ctx, costSetting, c.String()); err != nil {
		return c, fmt.Errorf("keep setting %s: %w", costSetting, err)
	}
	a.current.Store(&c)
	return c, nil
}

// Cost tells the iteration count that holds and the one that is configured. They
// differ when the option was changed after the first credential was made: only
// Reissue makes it count.
func (a *Account) Cost() (holds, configured int) {
	return a.current.Load().iterations, a.options.Load().Iterations
}

// Reissue begins a new generation of credentials at the configured iteration count.
// From then on no credential made before signs in; all are to be made anew.
func (a *Account) Reissue(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err := a.setCost(ctx, cost{
		generation: a.current.Load().generation + 1,
		iterations: a.options.Load().Iterations,
	})
	return err
}

// Stale counts the credentials of earlier generations, which have to be made anew.
func (a *Account) Stale(ctx context.Context) (int, error) {
	n, current := 0, *a.current.Load()
	var bad error
	err := a.eachCredential(ctx, func(c store.Credential) bool {
		v, err := parseVerifier(c.Verifier)
		if err != nil {
			bad = fmt.Errorf("credential %d: %w", c.ID, err)
			return false
		}
		if v.generation != current.generation {
			n++
		}
		return true
	})
	return n, errors.Join(err, bad)
}

// eachCredential calls f with each XMPP credential of the account until f says stop.
func (a *Account) eachCredential(ctx context.Context, f func(store.Credential) (more bool)) error {
	agents, err := a.store.Agents(ctx)
	if err != nil {
		return fmt.Errorf("list agents: %w", err)
	}
	for _, agent := range agents {
		list, err := a.store.Credentials(ctx, agent.ID)
		if err != nil {
			return fmt.Errorf("list credentials: %w", err)
		}
		for _, c := range list {
			if c.Scope == scopeXMPP && !f(c) {
				return nil
			}
		}
	}
	return nil
}
