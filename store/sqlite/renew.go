package sqlite

import (
	"context"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/sqlite/conn"
)

// Retain says how long records are kept from now on; 0 is for ever.
func (a *Account) Retain(d time.Duration) { a.keeps.Store(int64(d)) }

func (a *Account) retention() time.Duration { return time.Duration(a.keeps.Load()) }

// secretAge is how old a secret may get.
func (a *Account) secretAge() time.Duration {
	if r := a.retention() / 4; r > 0 && r < secretFor {
		return r
	}
	return secretFor
}

// stale says whether a conversation needs a new secret: its own is too old, or the
// account has become a sealed one. A contact, which goes as a whole, has one for ever.
func (a *Account) stale(c *conversation) bool {
	if !a.cfg.Sealed {
		return false
	}
	s := c.sealing.Load()
	if c.nature == store.Support {
		return s.box == nil
	}
	age := a.now().UnixMilli() - s.made
	return s.box == nil || age >= a.secretAge().Milliseconds() || age < -clockSlack.Milliseconds()
}

// clockSlack is how far a clock may go back without being taken for one that was ahead:
// what is said after it was set right must not wait for a secret's end that is too late.
const clockSlack = time.Minute

// freshen gives a conversation a new secret, if it needs one.
func (a *Account) freshen(ctx context.Context, c *conversation) error {
	if !a.stale(c) {
		return nil
	}
	_, err := a.open.once(pairID(c.id), func() (*conversation, error) {
		if !a.stale(c) { // somebody else was first
			return c, nil
		}
		return c, a.renew(ctx, c)
	})
	return err
}

// freshenSoon is freshen for those who don't wait.
func (a *Account) freshenSoon(c *conversation) {
	if !a.stale(c) || !c.renewing.CompareAndSwap(false, true) {
		return
	}
	started := a.start(func() {
		defer c.renewing.Store(false)
		if err := a.freshen(context.Background(), c); err != nil {
			a.log.Warn("a conversation keeps its old secret for now", "conversation", c.id, "err", err)
		}
	})
	if !started {
		c.renewing.Store(false)
	}
}

// renew makes the next generation. Records that were appended meanwhile have the old
// one; each says its own.
func (a *Account) renew(ctx context.Context, c *conversation) error {
	var last int64
	if err := a.read(ctx, func(db *conn.Conn) (err error) {
		last, err = db.Number("SELECT max(generation) FROM generation WHERE conversation = ?", int64(c.id))
		return err
	}); err != nil {
		return err
	}
	s, commitment, err := a.newSecret(ctx, c.id, last+1)
	if err != nil {
		return err
	}
	err = a.update(ctx, func(db *conn.Conn) error {
		if err := insertGeneration(db, c.id, s, commitment); err != nil {
			return err
		}
		return db.Exec("UPDATE conversation SET generation = ? WHERE id = ?", s.generation, int64(c.id))
	})
	if err != nil {
		a.forgetSecret(ctx, keys.ID{Owner: keys.OfConversation, Number: int64(c.id), Generation: s.generation})
		return err
	}
	c.sealing.Store(s)
	return nil
}
