package sqlite

import (
	"context"
	"sync"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// A directory is a copy of the account's agents and their credentials (as sealed as
// they are on disk): every sign-in looks for both, and names that are not there must
// not be told apart by the time that looking takes.
type directory struct {
	mu      sync.RWMutex
	version int // counts the changes
	people  *people
}

type people struct {
	byName map[string]store.Agent
	rows   map[store.AgentID][]credentialRow
}

// forget is called after each change of agents or credentials, before its caller
// learns that it is done.
func (d *directory) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.version++
	d.people = nil
}

// people is the directory, read anew if it has changed.
func (a *Account) people(ctx context.Context) (*people, error) {
	d := &a.directory
	d.mu.RLock()
	p, version := d.people, d.version
	d.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	p = &people{byName: make(map[string]store.Agent), rows: make(map[store.AgentID][]credentialRow)}
	if err := a.read(ctx, p.load); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.version == version {
		d.people = p
	}
	return p, nil
}

func (p *people) load(db *conn.Conn) error {
	err := db.Query(agentColumns, nil, func(r conn.Row) error {
		g := scanAgent(r)
		p.byName[g.Name], p.rows[g.ID] = g, nil
		return nil
	})
	if err != nil {
		return err
	}
	return db.Query("SELECT agent, id, scope, made, sealed FROM credential ORDER BY id", nil, func(r conn.Row) error {
		id := store.AgentID(r.Int(0))
		p.rows[id] = append(p.rows[id], credentialRow{r.Int(1), r.Text(2), r.Int(3), r.Blob(4)})
		return nil
	})
}
