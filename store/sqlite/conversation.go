package sqlite

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// secretFor is how long a conversation that never closes keeps one secret, so that
// old text can be shredded while the conversation goes on.
const secretFor = 30 * 24 * time.Hour

// A conversation is open: its secret is at hand. There is never more than one of
// the same id.
type conversation struct {
	account *Account
	id      store.ConversationID
	nature  store.Nature
	a, b    store.AgentID

	sealing  atomic.Pointer[sealing] // what the next record is sealed with
	renewing atomic.Bool
	shredded atomic.Bool

	// seers are agents who see a contact, or did; guarded by views.mu once it is open.
	seers []store.AgentID

	// Touched by the writer only, once the conversation is open.
	header  header
	before  header // what it was before the transaction under way
	touched bool   // in that transaction
	dirty   bool   // and not written yet
}

// A header is what a conversation's row says of its records.
type header struct {
	first, last int64 // ordinals
	n           int64 // records
	others      int64 // of these, how many are no messages
	hash        [32]byte
}

// A sealing is a secret in use; without a box nothing is sealed.
type sealing struct {
	generation int64
	box        *seal.Box
	made       int64 // milliseconds
}

// ID names the conversation.
func (c *conversation) ID() store.ConversationID { return c.id }

// Nature says what kind of conversation it is.
func (c *conversation) Nature() store.Nature { return c.nature }

// Direct is the conversation of agents x and y, made at its first use.
func (a *Account) Direct(ctx context.Context, x, y store.AgentID) (store.Conversation, error) {
	a.used.Store(true)
	p := pairOf(x, y)
	c := a.open.pair(p)
	if c == nil {
		var err error
		if c, err = a.open.once(p, func() (*conversation, error) { return a.openDirect(context.WithoutCancel(ctx), p) }); err != nil {
			return nil, err
		}
	}
	if err := a.freshen(ctx, c); err != nil {
		return nil, err
	}
	return c, nil
}

// FindDirect is the id of the conversation of agents x and y, if there is one.
func (a *Account) FindDirect(ctx context.Context, x, y store.AgentID) (id store.ConversationID, err error) {
	p := pairOf(x, y)
	if c := a.open.pair(p); c != nil {
		return c.id, nil
	}
	found := false
	err = a.read(ctx, func(db *conn.Conn) (err error) {
		found, err = db.One(`SELECT id
			FROM conversation
			WHERE nature = ? AND a = ? AND b = ? AND shredded = 0`,
			[]any{int(store.Direct), int64(p.a), int64(p.b)},
			func(r conn.Row) { id = store.ConversationID(r.Int(0)) })
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("conversation of agents %d and %d: %w", x, y, store.ErrNotFound)
	}
	return id, err
}

// Directs yields an agent's conversations, each with whom it is.
func (a *Account) Directs(ctx context.Context, agent store.AgentID, yield func(peer string, id store.ConversationID) error) error {
	type direct struct {
		peer string
		id   store.ConversationID
	}
	var list []direct
	err := a.read(ctx, func(db *conn.Conn) error {
		return db.Query(`SELECT c.id, coalesce(g.name, '')
			FROM member m
			JOIN conversation c ON c.id = m.conversation
			LEFT JOIN agent g ON g.id = c.a + c.b - m.agent
			WHERE m.agent = ? AND NOT m.hidden AND c.shredded = 0 AND c.nature = ?`, []any{int64(agent), int(store.Direct)},
			func(r conn.Row) error {
				list = append(list, direct{r.Text(1), store.ConversationID(r.Int(0))})
				return nil
			})
	})
	if err != nil {
		return fmt.Errorf("list conversations of agent %d: %w", agent, err)
	}
	for _, d := range list {
		if err := yield(d.peer, d.id); err != nil {
			return err
		}
	}
	return nil
}

// openDirect finds the conversation or makes it.
func (a *Account) openDirect(ctx context.Context, p pair) (*conversation, error) {
	if err := a.bothThere(ctx, p); err != nil {
		return nil, err
	}
	c, err := a.load(ctx, store.Direct, p)
	if err != nil || c != nil {
		return c, err
	}
	return a.make(ctx, store.Direct, p)
}

func (a *Account) bothThere(ctx context.Context, p pair) error {
	var n int64
	err := a.read(ctx, func(db *conn.Conn) (err error) {
		n, err = db.Number("SELECT count(*) FROM agent WHERE id IN (?, ?)", int64(p.a), int64(p.b))
		return err
	})
	if err == nil && n != p.agents() {
		err = fmt.Errorf("conversation of agents %d and %d: %w", p.a, p.b, store.ErrNotFound)
	}
	return err
}

// load opens a conversation that is kept; nil if there is none.
func (a *Account) load(ctx context.Context, nature store.Nature, p pair) (*conversation, error) {
	c := &conversation{account: a, nature: nature, a: p.a, b: p.b}
	s := &sealing{}
	var commitment []byte
	found := false
	err := a.read(ctx, func(db *conn.Conn) (err error) {
		found, err = db.One(`SELECT id, first, last, c.n, others, hash, c.generation, coalesce(g.made, 0), g.commitment
			FROM conversation c
			LEFT JOIN generation g ON g.conversation = c.id AND g.generation = c.generation
			WHERE nature = ? AND a = ? AND b = ? AND shredded = 0`,
			[]any{int(nature), int64(p.a), int64(p.b)}, func(r conn.Row) {
				c.id = store.ConversationID(r.Int(0))
				c.header = header{first: r.Int(1), last: r.Int(2), n: r.Int(3), others: r.Int(4)}
				copy(c.header.hash[:], r.Blob(5))
				s.generation, s.made, commitment = r.Int(6), r.Int(7), r.Blob(8)
			})
		if err == nil && found && nature == store.Support {
			c.seers, err = membersOf(db, c.id)
		}
		return err
	})
	if err != nil || !found {
		return nil, err
	}
	if open := a.open.id(c.id); open != nil {
		return open, nil
	}
	if s.generation > 0 && a.cfg.Sealed {
		switch s.box, err = a.loadBox(ctx, c.id, s.generation, commitment); {
		case locked(err): // what follows gets a new secret
			a.log.Error("a conversation's secret is gone", "conversation", c.id, "err", err)
			a.tellUnavailable(c, s.generation)
		case err != nil:
			return nil, fmt.Errorf("open conversation %d: %w", c.id, err)
		}
	}
	c.sealing.Store(s)
	return a.open.add(c), nil
}

func membersOf(db *conn.Conn, id store.ConversationID) (agents []store.AgentID, err error) {
	err = db.Query("SELECT agent FROM member WHERE conversation = ?", []any{int64(id)}, func(r conn.Row) error {
		agents = append(agents, store.AgentID(r.Int(0)))
		return nil
	})
	return agents, err
}

// make makes a conversation: its secret first, durably, then its rows. A contact's pair is
// of its own, and its row counts when there is one of table contact, too.
func (a *Account) make(ctx context.Context, nature store.Nature, p pair) (*conversation, error) {
	id := store.ConversationID(a.nextConversation.Add(1))
	state := whole
	if nature == store.Support {
		p, state = pairOfContact(id), unborn
	}
	c := &conversation{account: a, id: id, nature: nature, a: p.a, b: p.b}
	s, commitment, err := a.newSecret(ctx, c.id, 1)
	if err != nil {
		return nil, err
	}
	err = a.update(ctx, func(db *conn.Conn) error {
		if nature == store.Direct { // one may have been deleted meanwhile
			n, err := db.Number("SELECT count(*) FROM agent WHERE id IN (?, ?)", int64(p.a), int64(p.b))
			if err != nil || n != p.agents() {
				return fmt.Errorf("conversation of agents %d and %d: %w", p.a, p.b, orNotFound(err))
			}
		}
		if err := db.Exec(`INSERT INTO conversation (id, nature, a, b, first, last, n, others, hash, generation, shredded)
			VALUES (?, ?, ?, ?, 0, 0, 0, 0, zeroblob(32), ?, ?)`,
			int64(c.id), int(nature), int64(p.a), int64(p.b), s.generation, state); err != nil {
			return err
		}
		if err := insertGeneration(db, c.id, s, commitment); err != nil {
			return err
		}
		return p.each(func(agent store.AgentID) error {
			return db.Exec(`INSERT INTO member (agent, conversation, first_n, last_n, hidden)
				VALUES (?, ?, 1, 0, 0)`, int64(agent), int64(c.id))
		})
	})
	if err != nil {
		a.forgetSecret(ctx, keys.ID{Owner: keys.OfConversation, Number: int64(c.id), Generation: s.generation})
		return nil, err
	}
	c.sealing.Store(s)
	return a.open.add(c), nil
}

func orNotFound(err error) error {
	if err == nil {
		return store.ErrNotFound
	}
	return err
}

// newSecret makes a generation's secret, durable in the key database. Accounts that
// are not sealed need none.
func (a *Account) newSecret(ctx context.Context, id store.ConversationID, generation int64) (*sealing, [32]byte, error) {
	s := &sealing{made: a.now().UnixMilli()}
	if !a.cfg.Sealed {
		return s, [32]byte{}, nil
	}
	made, err := a.cfg.Keys.Create(ctx, keys.ID{Owner: keys.OfConversation, Number: int64(id), Generation: generation})
	if err != nil {
		return nil, [32]byte{}, err
	}
	defer made[0].Wipe()
	s.generation = generation
	s.box = seal.NewBox(&made[0], a.cfg.Account, int64(id), generation)
	a.boxes.put(boxOf{int64(id), generation}, s.box)
	return s, made[0].Commitment(), nil
}

func insertGeneration(db *conn.Conn, id store.ConversationID, s *sealing, commitment [32]byte) error {
	if s.box == nil {
		return nil
	}
	return db.Exec(`INSERT INTO generation (conversation, generation, made, commitment)
		VALUES (?, ?, ?, ?)`, int64(id), s.generation, s.made, commitment[:])
}

// forgetSecret destroys a secret that came to no use. What fails here is swept at the
// next start.
func (a *Account) forgetSecret(ctx context.Context, id keys.ID) {
	if id.Generation == 0 {
		return
	}
	if err := a.cfg.Keys.Sweep(ctx, []keys.ID{id}); err != nil {
		a.log.Warn("an unused secret stays until the next start", "err", err)
	}
}
