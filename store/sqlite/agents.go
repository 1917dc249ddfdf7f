package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// AddAgent adds an agent with her first credential.
func (a *Account) AddAgent(ctx context.Context, name, role string, c store.Credential) (store.Agent, error) {
	added, errs, err := a.addAgents(ctx, []string{name}, role, []store.Credential{c})
	if err = errors.Join(err, errors.Join(errs...)); err != nil {
		return store.Agent{}, fmt.Errorf("add agent %q: %w", name, err)
	}
	return added[0], nil
}

// ImportAgents adds many agents, each with a credential, in one transaction.
func (a *Account) ImportAgents(ctx context.Context, names []string, role string, c []store.Credential) ([]error, error) {
	if len(names) != len(c) {
		return nil, fmt.Errorf("import %d agents with %d credentials", len(names), len(c))
	}
	_, errs, err := a.addAgents(ctx, names, role, c)
	if err != nil {
		return nil, fmt.Errorf("import agents: %w", err)
	}
	return errs, nil
}

// addAgents makes the agents' secrets, durably, then their rows. A name that is taken
// is that agent's error alone.
func (a *Account) addAgents(ctx context.Context, names []string, role string, creds []store.Credential) ([]store.Agent, []error, error) {
	if role == "" {
		role = "agent"
	}
	ids := make([]keys.ID, len(names))
	last := a.nextAgent.Add(int64(len(names)))
	for i := range ids {
		ids[i] = agentSecret(store.AgentID(last - int64(len(names)) + int64(i) + 1))
	}
	secrets, err := a.cfg.Keys.Create(ctx, ids...)
	if err != nil {
		return nil, nil, err
	}
	defer clear(secrets)
	added := make([]store.Agent, len(names))
	errs := make([]error, len(names))
	err = a.update(ctx, func(db *conn.Conn) error {
		clear(errs)
		for i, name := range names {
			id := store.AgentID(ids[i].Number)
			added[i] = store.Agent{ID: id, Name: name, Role: role, Created: a.now().Truncate(time.Millisecond)}
			box := newAgentBox(&secrets[i], a.cfg.Account, id)
			if errs[i] = a.insertAgent(db, &added[i], box, creds[i]); errs[i] != nil && !errors.Is(errs[i], store.ErrConflict) {
				return errs[i]
			}
		}
		return nil
	})
	a.directory.forget()
	unused := ids
	if err == nil {
		unused = nil
		for i := range errs {
			if errs[i] != nil {
				unused = append(unused, ids[i])
			}
		}
	}
	if err := a.cfg.Keys.Sweep(ctx, unused); err != nil {
		a.log.Warn("unused secrets stay until the next start", "err", err)
	}
	return added, errs, err
}

func (a *Account) insertAgent(db *conn.Conn, agent *store.Agent, box *seal.Box, c store.Credential) error {
	err := db.Exec("INSERT INTO agent (id, name, role, disabled, made) VALUES (?, ?, ?, 0, ?)",
		int64(agent.ID), agent.Name, agent.Role, agent.Created.UnixMilli())
	switch {
	case conn.Exists(err):
		return store.ErrConflict
	case err != nil || c.Verifier == nil:
		return err
	}
	c.Agent = agent.ID
	return a.insertCredential(db, box, c)
}

const agentColumns = "SELECT id, name, role, disabled, made FROM agent "

func scanAgent(r conn.Row) store.Agent {
	return store.Agent{ID: store.AgentID(r.Int(0)), Name: r.Text(1), Role: r.Text(2),
		Disabled: r.Int(3) != 0, Created: time.UnixMilli(r.Int(4)).UTC()}
}

// Agent finds an agent by name.
func (a *Account) Agent(ctx context.Context, name string) (store.Agent, error) {
	p, err := a.people(ctx)
	if err != nil {
		return store.Agent{}, fmt.Errorf("agent %q: %w", name, err)
	}
	agent, ok := p.byName[name]
	if !ok {
		return store.Agent{}, fmt.Errorf("agent %q: %w", name, store.ErrNotFound)
	}
	return agent, nil
}

// Agents lists all agents by name.
func (a *Account) Agents(ctx context.Context) ([]store.Agent, error) {
	var all []store.Agent
	err := a.read(ctx, func(db *conn.Conn) error {
		return db.Query(agentColumns+"ORDER BY name", nil, func(r conn.Row) error {
			all = append(all, scanAgent(r))
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list agents: %w", err)
	}
	return all, nil
}

// DisableAgent lets an agent sign in no more, or again.
func (a *Account) DisableAgent(ctx context.Context, id store.AgentID, disabled bool) error {
	err := a.update(ctx, func(db *conn.Conn) error {
		return changed(db, "UPDATE agent SET disabled = ? WHERE id = ?", disabled, int64(id))
	})
	a.directory.forget()
	if err != nil {
		return fmt.Errorf("disable agent %d: %w", id, err)
	}
	return nil
}

// SetRole changes what an agent may.
func (a *Account) SetRole(ctx context.Context, id store.AgentID, role string) error {
	err := a.update(ctx, func(db *conn.Conn) error {
		return changed(db, "UPDATE agent SET role = ? WHERE id = ?", role, int64(id))
	})
	a.directory.forget()
	if err != nil {
		return fmt.Errorf("set the role of agent %d: %w", id, err)
	}
	return nil
}

// DeleteAgent removes the agent, her credentials and memberships, destroys her secret,
// and shreds the conversations that nobody can see any more.
func (a *Account) DeleteAgent(ctx context.Context, id store.AgentID) error {
	var unseen []store.ConversationID
	var files []string
	err := a.update(ctx, func(db *conn.Conn) (err error) {
		if files, err = fileIDs(db, "conversation = 0 AND agent = ?", int64(id)); err == nil {
			unseen, err = a.deleteAgent(db, id)
		}
		return err
	})
	a.directory.forget()
	if err != nil {
		return fmt.Errorf("delete agent %d: %w", id, err)
	}
	ctx = context.WithoutCancel(ctx)
	a.views.leave(id)
	a.open.leave(id)
	a.deliveries.forget(id)
	a.agents.forget(int64(id))
	err = errors.Join(a.cfg.Keys.Destroy(ctx, keys.OfAgent, int64(id)), a.removeFiles(files))
	for _, c := range unseen {
		err = errors.Join(err, a.finishShred(ctx, c))
	}
	if err != nil {
		return fmt.Errorf("delete agent %d: the rest is done at the next start: %w", id, err)
	}
	return nil
}

func (a *Account) deleteAgent(db *conn.Conn, id store.AgentID) (unseen []store.ConversationID, err error) {
	if err := changed(db, "DELETE FROM agent WHERE id = ?", int64(id)); err != nil {
		return nil, err
	}
	for _, statement := range []string{"DELETE FROM member WHERE agent = ?", "DELETE FROM file WHERE conversation = 0 AND agent = ?"} {
		if err := db.Exec(statement, int64(id)); err != nil {
			return nil, err
		}
	}
	return a.unseen(db, id)
}

// unseen marks the conversations of an agent (0 is all) that nobody can see any more as
// such to be shredded, unless they are held: then that waits for the end of the hold.
func (a *Account) unseen(db *conn.Conn, agent store.AgentID) (unseen []store.ConversationID, err error) {
	whole, err := heldUntil(db, 0)
	if err != nil || a.holds(whole) {
		return nil, err
	}
	if err := db.Query(`SELECT id, held
		FROM conversation c
		WHERE nature = ? AND shredded = 0 AND (? = 0 OR a = ? OR b = ?)
			AND NOT EXISTS (SELECT 1 FROM member m WHERE m.conversation = c.id)`,
		[]any{int(store.Direct), int64(agent), int64(agent), int64(agent)}, func(r conn.Row) error {
			if !a.holds(fromMilli(r.Int(1))) {
				unseen = append(unseen, store.ConversationID(r.Int(0)))
			}
			return nil
		}); err != nil {
		return nil, err
	}
	for _, c := range unseen {
		if err := db.Exec("UPDATE conversation SET shredded = ? WHERE id = ?", tombstone, int64(c)); err != nil {
			return nil, err
		}
	}
	return unseen, nil
}

// roomIn answers ErrTooMany where a table has as many rows as it may have. The writer asks, so
// that nobody else adds one meanwhile.
func roomIn(db *conn.Conn, table string, most int64) error {
	n, err := db.Number("SELECT count(*) FROM " + table)
	if err == nil && n >= most {
		err = store.ErrTooMany
	}
	return err
}

// changed runs a statement that must change something, and says ErrNotFound if it
// didn't.
func changed(db *conn.Conn, statement string, args ...any) error {
	if err := db.Exec(statement, args...); err != nil {
		return err
	}
	n, err := db.Number("SELECT changes()")
	if err == nil && n == 0 {
		err = store.ErrNotFound
	}
	return err
}
