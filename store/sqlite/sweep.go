package sqlite

import (
	"context"
	"errors"
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/sqlite/conn"
)

// sweep ends what the last run of the program began: conversations that were to be
// shredded, contacts that never came to be, and secrets that were made for nothing.
func (a *Account) sweep(ctx context.Context) error {
	orphans, back, err := a.orphans(ctx)
	if err != nil {
		return err
	}
	if back > 0 {
		err := fmt.Errorf("%d secrets that had been destroyed were back (and are destroyed again): the key database was put back to an older state: %w",
			back, store.ErrTampered)
		a.noticed.Store(&err)
		a.log.Error("the key database was changed outside the server: see 'parley verify'", "err", err)
	}
	if err := a.cfg.Keys.Sweep(ctx, orphans); err != nil {
		return err
	}
	// Only now the journal can have a new secret, to tell of the others in.
	if err := a.freshen(ctx, a.journal); err != nil {
		return err
	}
	var unfinished []store.ConversationID
	if err := a.read(ctx, func(db *conn.Conn) error {
		return db.Query(selectUnfinished, nil, func(r conn.Row) error {
			unfinished = append(unfinished, store.ConversationID(r.Int(0)))
			return nil
		})
	}); err != nil {
		return err
	}
	if len(unfinished) > 0 {
		if err := a.finishShred(ctx, unfinished...); err != nil {
			return err
		}
	}
	return a.sweepFiles(ctx)
}

const selectUnfinished = "SELECT id FROM conversation WHERE shredded IN (1, 3)" // tombstone, unborn

// orphans are the secrets that nothing in the account knows, and how many of them it knows
// to have been destroyed.
func (a *Account) orphans(ctx context.Context) (orphans []keys.ID, back int, err error) {
	known := generations{a: a}
	var fault error
	if err := a.cfg.Keys.All(ctx, keys.OfConversation, func(id keys.ID) {
		state, err := known.state(ctx, boxOf{id.Number, id.Generation})
		if err != nil {
			fault = err
		}
		// Those that were to be destroyed are no more known than others.
		if state != 0 {
			orphans = append(orphans, id)
		}
		if state == 2 {
			back++
		}
	}); err != nil || fault != nil {
		return nil, 0, errors.Join(err, fault)
	}
	agents := make(map[keys.ID]bool)
	if err := a.read(ctx, func(db *conn.Conn) error {
		return db.Query("SELECT id FROM agent", nil, func(r conn.Row) error {
			agents[agentSecret(store.AgentID(r.Int(0)))] = true
			return nil
		})
	}); err != nil {
		return nil, 0, err
	}
	err = a.cfg.Keys.All(ctx, keys.OfAgent, func(id keys.ID) {
		if !agents[id] {
			orphans = append(orphans, id)
		}
	})
	return orphans, back, err
}

// generations goes through the table of that name beside the secrets, which are in the same
// order: there may be very many.
type generations struct {
	a    *Account
	at   boxOf // the last that was read
	rows []generationRow
	end  bool
}

type generationRow struct {
	boxOf
	gone int64
}

// noGeneration is the state of one that is not there.
const noGeneration = -1

// state is what the column gone says of a generation; each that is asked for follows the one
// before.
func (g *generations) state(ctx context.Context, of boxOf) (int64, error) {
	for {
		for len(g.rows) > 0 && g.rows[0].before(of) {
			g.rows = g.rows[1:]
		}
		switch {
		case len(g.rows) > 0 && g.rows[0].boxOf == of:
			return g.rows[0].gone, nil
		case len(g.rows) > 0 || g.end:
			return noGeneration, nil
		}
		if err := g.read(ctx); err != nil {
			return 0, err
		}
	}
}

func (b boxOf) before(o boxOf) bool {
	return b.number < o.number || b.number == o.number && b.generation < o.generation
}

func (g *generations) read(ctx context.Context) error {
	const some = 4096
	g.rows = make([]generationRow, 0, some)
	err := g.a.read(ctx, func(db *conn.Conn) error {
		return db.Query(`SELECT conversation, generation, gone
			FROM generation
			WHERE (conversation, generation) > (?, ?)
			ORDER BY conversation, generation
			LIMIT +?`, []any{g.at.number, g.at.generation, some}, func(r conn.Row) error {
			g.rows = append(g.rows, generationRow{boxOf{r.Int(0), r.Int(1)}, r.Int(2)})
			return nil
		})
	})
	if g.end = len(g.rows) < some; len(g.rows) > 0 {
		g.at = g.rows[len(g.rows)-1].boxOf
	}
	return err
}
