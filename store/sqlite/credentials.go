package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// A credentialRow is a credential as it is kept: what matters is sealed.
type credentialRow struct {
	id     int64
	scope  string
	made   int64
	sealed []byte
}

func credentialPlace(id, made int64) *seal.Place {
	return &seal.Place{N: id, At: made, Field: "credential"}
}

// Credentials lists an agent's credentials, oldest first.
func (a *Account) Credentials(ctx context.Context, id store.AgentID) ([]store.Credential, error) {
	all, err := a.credentials(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("credentials of agent %d: %w", id, err)
	}
	return all, nil
}

func (a *Account) credentials(ctx context.Context, id store.AgentID) ([]store.Credential, error) {
	p, err := a.people(ctx)
	if err != nil {
		return nil, err
	}
	rows, there := p.rows[id]
	switch {
	case !there:
		return nil, store.ErrNotFound
	case len(rows) == 0:
		return nil, nil
	}
	box, err := a.agentBox(ctx, id)
	if err != nil {
		return nil, err
	}
	return openCredentials(box, id, rows)
}

func credentialRows(db *conn.Conn, id store.AgentID) (rows []credentialRow, err error) {
	err = db.Query("SELECT id, scope, made, sealed FROM credential WHERE agent = ? ORDER BY id", []any{int64(id)},
		func(r conn.Row) error {
			rows = append(rows, credentialRow{r.Int(0), r.Text(1), r.Int(2), r.Blob(3)})
			return nil
		})
	return rows, err
}

func openCredentials(box *seal.Box, agent store.AgentID, rows []credentialRow) ([]store.Credential, error) {
	all := make([]store.Credential, len(rows))
	for i, r := range rows {
		plain, err := box.Open(nil, r.sealed, credentialPlace(r.id, r.made))
		if err != nil {
			return nil, fmt.Errorf("credential %d: %w", r.id, store.ErrTampered)
		}
		parts, err := unpack(plain, 3)
		if err != nil {
			return nil, fmt.Errorf("credential %d: %w", r.id, err)
		}
		all[i] = store.Credential{ID: r.id, Agent: agent, Scope: r.scope, Label: string(parts[0]), Device: string(parts[1]),
			Created: time.UnixMilli(r.made).UTC(), Verifier: parts[2]}
	}
	return all, nil
}

// SetCredential adds a credential, or replaces the agent's of the same label by one with
// an id of its own; or, where an ID is given, what is in its place.
func (a *Account) SetCredential(ctx context.Context, c store.Credential) error {
	err := a.setCredential(ctx, c)
	a.directory.forget()
	if err != nil {
		return fmt.Errorf("set a credential of agent %d: %w", c.Agent, err)
	}
	return nil
}

func (a *Account) setCredential(ctx context.Context, c store.Credential) error {
	box, err := a.agentBox(ctx, c.Agent)
	if err != nil {
		return err
	}
	return a.update(ctx, func(db *conn.Conn) error {
		if c.ID != 0 {
			return a.putCredential(db, box, c)
		}
		rows, err := credentialRows(db, c.Agent)
		if err != nil {
			return err
		}
		old, err := openCredentials(box, c.Agent, rows)
		if err != nil {
			return err
		}
		for i := range old {
			if old[i].Label != c.Label {
				continue
			}
			if err := db.Exec("DELETE FROM credential WHERE id = ?", old[i].ID); err != nil {
				return err
			}
		}
		return a.insertCredential(db, box, c)
	})
}

// insertCredential makes a place for a credential and seals it there.
func (a *Account) insertCredential(db *conn.Conn, box *seal.Box, c store.Credential) error {
	_, err := db.One("INSERT INTO credential (agent, scope, made, sealed) VALUES (?, ?, 0, x'') RETURNING id",
		[]any{int64(c.Agent), c.Scope}, func(r conn.Row) { c.ID = r.Int(0) })
	switch {
	case conn.Exists(err): // the agent is not there
		return store.ErrNotFound
	case err != nil:
		return err
	}
	return a.putCredential(db, box, c)
}

// putCredential seals a credential in its place, which is there and the agent's.
func (a *Account) putCredential(db *conn.Conn, box *seal.Box, c store.Credential) error {
	if c.Created.IsZero() {
		c.Created = a.now()
	}
	made := c.Created.UnixMilli()
	sealed := box.Seal(nil, pack([]byte(c.Label), []byte(c.Device), c.Verifier), credentialPlace(c.ID, made))
	return changed(db, "UPDATE credential SET scope = ?, made = ?, sealed = ? WHERE id = ? AND agent = ?",
		c.Scope, made, sealed, c.ID, int64(c.Agent))
}

// DeleteCredential deletes a credential.
func (a *Account) DeleteCredential(ctx context.Context, id int64) error {
	err := a.update(ctx, func(db *conn.Conn) error {
		return changed(db, "DELETE FROM credential WHERE id = ?", id)
	})
	a.directory.forget()
	if err != nil {
		return fmt.Errorf("delete credential %d: %w", id, err)
	}
	return nil
}

var errPacked = errors.New("not what was packed")

// pack puts parts together, each with its length before it.
func pack(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(binary.AppendUvarint(b, uint64(len(p))), p...)
	}
	return b
}

// unpack undoes pack.
func unpack(b []byte, n int) ([][]byte, error) {
	parts := make([][]byte, n)
	for i := range parts {
		size, w := binary.Uvarint(b)
		if w <= 0 || size > uint64(len(b)-w) {
			return nil, errPacked
		}
		parts[i], b = b[w:w+int(size)], b[w+int(size):]
	}
	if len(b) > 0 {
		return nil, errPacked
	}
	return parts, nil
}
