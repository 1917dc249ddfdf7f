package sqlite

import (
	"context"
	"errors"
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

func resumePlace(id string, expires int64) *seal.Place {
	return &seal.Place{At: expires, Field: "resume " + id}
}

// SaveResumes keeps the sessions that a shutdown cut, each sealed with a secret of its
// agent's.
func (a *Account) SaveResumes(ctx context.Context, rs []store.Resume) error {
	sealed := make([][]byte, len(rs))
	for i, r := range rs {
		box, err := a.agentBox(ctx, r.Agent)
		if errors.Is(err, store.ErrNotFound) { // she was deleted meanwhile
			continue
		}
		if err != nil {
			return fmt.Errorf("save sessions: %w", err)
		}
		sealed[i] = box.Seal(nil, r.State, resumePlace(r.ID, r.Expires.UnixMilli()))
	}
	err := a.update(ctx, func(db *conn.Conn) error {
		for i, r := range rs {
			if sealed[i] == nil {
				continue
			}
			if err := db.Exec(`INSERT OR REPLACE INTO resume (id, agent, expires, sealed)
				SELECT ?, id, ?, ?
				FROM agent
				WHERE id = ?`, r.ID, r.Expires.UnixMilli(), sealed[i], int64(r.Agent)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save sessions: %w", err)
	}
	return nil
}

// TakeResumes gives the sessions that were saved and have not expired, and forgets
// them all.
func (a *Account) TakeResumes(ctx context.Context) ([]store.Resume, error) {
	var rs []store.Resume
	err := a.update(ctx, func(db *conn.Conn) error {
		rs = nil
		if err := db.Query("SELECT id, agent, expires, sealed FROM resume ORDER BY id", nil, func(r conn.Row) error {
			rs = append(rs, store.Resume{ID: r.Text(0), Agent: store.AgentID(r.Int(1)), Expires: fromMilli(r.Int(2)),
				State: r.Blob(3)})
			return nil
		}); err != nil || len(rs) == 0 {
			return err
		}
		return db.Exec("DELETE FROM resume")
	})
	if err != nil {
		return nil, fmt.Errorf("take sessions: %w", err)
	}
	now := a.now()
	good := rs[:0]
	for _, r := range rs {
		if !r.Expires.After(now) {
			continue
		}
		box, err := a.agentBox(ctx, r.Agent)
		if err == nil {
			r.State, err = box.Open(nil, r.State, resumePlace(r.ID, r.Expires.UnixMilli()))
		}
		if err != nil { // the client signs in anew
			a.log.Warn("a session can't be resumed", "id", r.ID, "err", err)
			continue
		}
		good = append(good, r)
	}
	return good, nil
}
