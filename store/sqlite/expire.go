package sqlite

import (
	"context"
	"fmt"
	"math"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/sqlite/conn"
)

// How an Expire goes along: so many headers are looked at in one state of the file, so
// many conversations, or so many records, share the two syncs of tombstones and secrets,
// and a transaction deletes rows for about so long. Between two steps it rests for restFor times as long
// as the last one took, at least restLeast, so that whoever is at work has the writer
// nearly to himself.
const (
	expireLook    = 256
	expireGroup   = 32
	expireRecords = 4096
	expireSlice   = 2 * time.Millisecond
	sliceBlocks   = 64 // at most, where no time passes
	restFor       = 24
	restLeast     = 25 * time.Millisecond
)

// rest waits after something that took so long.
func rest(ctx context.Context, busy time.Duration) error {
	t := time.NewTimer(max(restFor*busy, restLeast))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Expire destroys what is older than the account keeps it, as one step after the other
// that can be done again: tombstones, durably; secrets, durably; rows, in slices. It
// ends what an earlier call has begun, and deletes what else repeats what went.
func (a *Account) Expire(ctx context.Context, e store.Expiry) (store.Forecast, error) {
	a.expiring.Lock()
	defer a.expiring.Unlock()
	x := &expiration{a: a, done: e.Done}
	err := x.run(ctx, e.Now)
	if err != nil {
		err = fmt.Errorf("destroy what has expired in account %q: %w", a.cfg.Account, err)
	}
	return x.forecast, err
}

// Unfinished says whether something was destroyed of which an Expire may find traces.
func (a *Account) Unfinished() bool { return a.untidy.Load() }

// An expiration is one Expire under way.
type expiration struct {
	a        *Account
	done     func(store.Shredding)
	forecast store.Forecast
	some     bool // something was destroyed
}

func (x *expiration) run(ctx context.Context, now time.Time) error {
	if err := conn.DropCopies(x.a.path, x.a.now().Add(-conn.CopiesFor)); err != nil {
		return err
	}
	if err := x.finish(ctx); err != nil {
		return err
	}
	if !now.IsZero() {
		if err := x.shredUnseen(ctx); err != nil {
			return err
		}
	}
	if !now.IsZero() && x.a.retention() > 0 {
		if err := x.expire(ctx, now); err != nil {
			return err
		}
	}
	if err := x.leftovers(ctx); err != nil {
		return err
	}
	return x.clean(ctx)
}

// finish ends what was begun: its tombstones are there.
func (x *expiration) finish(ctx context.Context) error {
	var begun []store.ConversationID
	if err := x.a.read(ctx, func(db *conn.Conn) error {
		return db.Query(`SELECT id
			FROM conversation c
			WHERE nature IN (1, 2) AND shredded = 0 AND (cleared < gone
				OR EXISTS (SELECT 1 FROM generation g WHERE g.conversation = c.id AND g.gone = 1))`, nil, func(r conn.Row) error {
			begun = append(begun, store.ConversationID(r.Int(0)))
			return nil
		})
	}); err != nil {
		return err
	}
	for len(begun) > 0 {
		n := min(len(begun), expireGroup)
		if err := x.destroy(ctx, begun[:n]); err != nil {
			return err
		}
		begun = begun[n:]
	}
	return nil
}

// shredUnseen shreds conversations that nobody can see any more, which a hold has kept.
func (x *expiration) shredUnseen(ctx context.Context) error {
	var unseen []store.ConversationID
	there := int64(0)
	err := x.a.read(ctx, func(db *conn.Conn) (err error) {
		there, err = db.Number(`SELECT 1
			FROM conversation c
			WHERE nature = ? AND shredded = 0 AND NOT EXISTS (SELECT 1 FROM member m WHERE m.conversation = c.id)`, int(store.Direct))
		return err
	})
	if err != nil || there == 0 {
		return err
	}
	if err := x.a.update(ctx, func(db *conn.Conn) (err error) {
		unseen, err = x.a.unseen(db, 0)
		return err
	}); err != nil {
		return err
	}
	for _, id := range unseen {
		if err := x.a.finishShred(ctx, id); err != nil {
			return err
		}
		x.some = true
	}
	return nil
}

// A prospect is a conversation as it is looked at first.
type prospect struct {
	id     store.ConversationID
	nature store.Nature
	pair   pair
	oldest int64 // when its oldest record, or the secret of that, was made
	held   time.Time
}

// expire looks at all conversations, some at a time.
func (x *expiration) expire(ctx context.Context, now time.Time) error {
	l := x.a.limitAt(now)
	next := int64(math.MaxInt64)
	last := store.ConversationID(x.a.nextConversation.Load())
	for after := store.ConversationID(0); after < last; after += expireLook {
		some, err := x.prospects(ctx, after)
		if err != nil {
			return err
		}
		var due []prospect
		for _, p := range some {
			switch {
			case p.oldest >= l.oldest:
				next = min(next, p.oldest)
			case x.a.holds(p.held):
				x.forecast.Held++
			default:
				due = append(due, p)
			}
		}
		if len(due) > 0 {
			next = min(next, l.oldest) // what is left of these is looked at next time
		}
		for len(due) > 0 {
			n := min(len(due), expireGroup)
			if err := x.group(ctx, due[:n], l); err != nil {
				return err
			}
			due = due[n:]
		}
	}
	oldest, err := x.contacts(ctx, l.oldest)
	if err != nil {
		return err
	}
	next = min(next, oldest)
	// What is made from here on lasts at least as long as what is new.
	x.forecast.Next = time.UnixMilli(min(next, now.UnixMilli()) + 1).Add(x.a.retention())
	return nil
}

// prospects reads the conversations of some ids that are no contacts. One whose first record is not where its header
// says has had something destroyed while it was opened, or was changed by others.
func (x *expiration) prospects(ctx context.Context, after store.ConversationID) (some []prospect, err error) {
	err = x.a.read(ctx, func(db *conn.Conn) error {
		account, err := heldUntil(db, 0)
		if err != nil {
			return err
		}
		return db.Query(`SELECT c.id, c.nature, c.a, c.b, c.held, CASE
				WHEN c.n = c.gone THEN coalesce((SELECT min(made) FROM generation g
					WHERE g.conversation = c.id AND g.generation > 0 AND g.gone = 0), ?)
				ELSE min(coalesce(l.at, 0), coalesce(g.made, l.at, 0)) END
			FROM conversation c
			LEFT JOIN log l ON l.ordinal = c.first
			LEFT JOIN generation g ON g.conversation = c.id AND g.generation = l.generation AND g.generation > 0
			WHERE c.id > ? AND c.id <= ? AND c.shredded = 0 AND c.nature <> +?
			ORDER BY c.id`, []any{int64(math.MaxInt64), int64(after), int64(after) + expireLook, int(store.Support)}, func(r conn.Row) error {
			p := prospect{id: store.ConversationID(r.Int(0)), nature: store.Nature(r.Int(1)),
				pair: pair{store.AgentID(r.Int(2)), store.AgentID(r.Int(3))}, held: fromMilli(r.Int(4)), oldest: r.Int(5)}
			if p.held.Before(account) {
				p.held = account
			}
			some = append(some, p)
			return nil
		})
	})
	return some, err
}

// group destroys what has expired of some conversations.
func (x *expiration) group(ctx context.Context, due []prospect, l limit) error {
	open := make([]*conversation, 0, len(due))
	for _, d := range due {
		c, err := x.a.openToExpire(ctx, d)
		if err != nil {
			return err
		}
		if c != nil {
			open = append(open, c)
		}
	}
	// Whoever appends after this has the new secrets.
	if err := x.a.update(ctx, func(*conn.Conn) error { return nil }); err != nil {
		return err
	}
	var portions []*portion
	records := int64(0)
	for len(open) > 0 {
		p, err := x.a.portion(ctx, open[0], l)
		if err != nil {
			return err
		}
		if !p.empty() {
			portions = append(portions, p)
		}
		if records += p.to - p.from; records >= expireRecords || p.more {
			if err := x.portions(ctx, portions); err != nil {
				return err
			}
			portions, records = nil, 0
		}
		if !p.more || p.dropped {
			open = open[1:]
		}
	}
	return x.portions(ctx, portions)
}

// portions destroys what was found.
func (x *expiration) portions(ctx context.Context, portions []*portion) error {
	if len(portions) == 0 {
		return nil
	}
	begun, err := x.a.bury(ctx, portions)
	if err != nil {
		return err
	}
	return x.destroy(ctx, begun)
}

// openToExpire opens a conversation, so that all who use it know of its new secret; nil
// if it is gone meanwhile. One that is in use gets a secret that is not too old.
func (a *Account) openToExpire(ctx context.Context, d prospect) (*conversation, error) {
	if d.nature == store.Journal {
		return a.journal, a.freshen(ctx, a.journal)
	}
	c := a.open.id(d.id)
	if c == nil {
		var err error
		if c, err = a.open.once(d.pair, func() (*conversation, error) { return a.load(ctx, d.nature, d.pair) }); err != nil || c == nil {
			return nil, err
		}
		if err := a.bothThere(ctx, d.pair); err != nil { // nobody is to find it by its agents
			a.open.unpair(d.pair)
		}
	}
	if c.id != d.id {
		return nil, nil
	}
	return c, a.freshen(ctx, c)
}

// destroy does what tombstones say: first the secrets, durably, then the rows.
func (x *expiration) destroy(ctx context.Context, begun []store.ConversationID) error {
	if len(begun) == 0 {
		return nil
	}
	x.some = true
	x.a.untidy.Store(true)
	var ids []keys.ID
	if err := x.a.read(ctx, func(db *conn.Conn) error {
		for _, id := range begun {
			if err := db.Query("SELECT generation FROM generation WHERE conversation = ? AND gone = 1 AND generation > 0", []any{int64(id)},
				func(r conn.Row) error {
					ids = append(ids, keys.ID{Owner: keys.OfConversation, Number: int64(id), Generation: r.Int(0)})
					return nil
				}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if len(ids) > 0 {
		if err := x.a.cfg.Keys.Sweep(ctx, ids); err != nil {
			return err
		}
	}
	for _, id := range begun {
		x.a.boxes.forget(int64(id))
		if err := x.clear(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
