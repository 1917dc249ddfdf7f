package web

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
)

// A caller is who asks for something, and for which account. An operator is known by the
// socket that the request came through; all others by a key.
type caller struct {
	Account
	operator bool
	uid      uint32
	key      string
	role     Role
	scopes   []string  // empty is all that the role may
	expires  time.Time // when the key does; zero is never
	token    bool      // it showed a token, which is good for minutes
	from     netip.Addr
	path     string
}

type callerKey struct{}

func callerOf(ctx context.Context) *caller { return ctx.Value(callerKey{}).(*caller) }

// may says whether the caller may do what asks for p.
func (c *caller) may(p permission) *Refusal {
	switch {
	case c.operator:
		return nil
	case c.role < p.role:
		return Refuse(BeyondRole, "this wants the role %s or a higher one; the key's is %s", p.role, c.role)
	case len(c.scopes) > 0 && !slices.Contains(c.scopes, p.scope):
		return Refuse(BeyondScope, "this wants the scope %s, which is none of the key's", p.scope)
	}
	return nil
}

// mayGive says whether the caller may make somebody something, or change somebody who is
// it: nobody reaches beyond the own role (KIS-9).
func (c *caller) mayGive(role string) error {
	r, ok := ParseRole(role)
	switch {
	case !ok:
		return refuse("there is no role %q", role).hint("roles are auditor, agent, supervisor, admin, owner")
	case !c.operator && r > c.role:
		return Refuse(BeyondRole, "this concerns a %s; the key's role is %s", r, c.role)
	}
	return nil
}

func (c *caller) deed(operation string) Deed {
	return Deed{Account: c.ID, Operator: c.operator, UID: c.uid, Key: c.key, Operation: operation, Object: c.path, From: c.from}
}

// agentOf finds the agent of an address of the account's.
func (c *caller) agentOf(ctx context.Context, address string) (store.Agent, error) {
	name, err := c.nameOf(address)
	if err != nil {
		return store.Agent{}, err
	}
	g, err := c.Store.Agent(ctx, name)
	if isMissing(err) {
		err = missing("there is no agent %s@%s", name, c.Domain)
	}
	if err == nil {
		audit.About(ctx, fmt.Sprintf("agent/%d", g.ID))
	}
	return g, err
}
