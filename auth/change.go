package auth

import (
	"context"
	"fmt"
	"slices"

	"parley.im/parley/store"
)

// ChangePassword puts a password that an agent chose herself in the place of the
// credential that she signed in with. It takes as long as Verifier, and returns when
// the new one is durable.
//
// What is wrong with the password is an ErrWeak or ErrPassword, written for her. A
// store.ErrNotFound says that the credential was replaced meanwhile: who changes a
// password at the same time as the operator must not undo what the operator did.
func (a *Account) ChangePassword(ctx context.Context, agent store.AgentID, name string, credential int64, password string) error {
	if err := a.CheckPassword(name, password); err != nil {
		return err
	}
	v, err := a.Verifier(ctx, name, password)
	if err != nil {
		return err
	}
	list, err := a.store.Credentials(ctx, agent)
	if err != nil {
		return fmt.Errorf("look up credentials: %w", err)
	}
	i := slices.IndexFunc(list, func(c store.Credential) bool { return c.ID == credential && c.Device == "" })
	if i < 0 {
		return store.ErrNotFound
	}
	c := list[i]
	c.Created, c.Verifier = a.now(), v
	if err := a.store.SetCredential(ctx, c); err != nil {
		return fmt.Errorf("set credential: %w", err)
	}
	return nil
}
