package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// A sumOf names a sum of the ledger.
type sumOf struct {
	table string
	agent int64 // modulo ledgerSums
}

// tell notes that something was said of rows, so that it is not said twice.
func (v *verification) tell(table string, agent store.AgentID) {
	v.told[sumOf{table, int64(agent) % ledgerSums}] = true
}

// ledger compares the rows that somebody has set with what was known of them last. It
// reads for long, so on a connection of its own.
func (v *verification) ledger(ctx context.Context) (err error) {
	agents, err := v.a.Agents(ctx)
	if err != nil {
		return err
	}
	version := v.a.ledger.version.Load()
	db, err := conn.Open(conn.Config{Path: v.a.path, ReadOnly: true, Cache: readerCache})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var known ledgerState
	var there *ledger
	err = db.InView(func() (err error) {
		if there, err = v.a.readLedger(db); err != nil {
			return err
		}
		known = there.state
		if err := there.attach(db); err != nil {
			return err
		}
		return there.count(db)
	})
	switch {
	case errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrTampered):
		v.say("what is known of agents, webhooks, keys and settings was changed")
		return nil
	case err != nil:
		return err
	case known.version < version:
		v.say("agents, webhooks, keys and settings were put back to an older state, with what is known of them")
	}
	for i, c := range covered {
		for n := range int64(ledgerSums) {
			if there.state.sums[i][n] == known.sums[i][n] || v.told[sumOf{c.table, n}] {
				continue
			}
			of := ""
			if c.agent != "" {
				of = " of " + whose(agents, n)
			}
			v.say("%s%s: a row was changed, put back to an older state, added or taken away", c.what, of)
		}
	}
	return nil
}

// whose names the agents whose rows are in a sum.
func whose(agents []store.Agent, n int64) string {
	var names []string
	for _, g := range agents {
		if int64(g.ID)%ledgerSums == n {
			names = append(names, g.Name)
		}
	}
	switch len(names) {
	case 0:
		return "an agent who is not there"
	case 1:
		return "agent " + names[0]
	}
	return fmt.Sprintf("one of the agents %s", strings.Join(names, ", "))
}
