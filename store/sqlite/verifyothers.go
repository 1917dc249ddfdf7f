package sqlite

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// secrets compares the secrets of conversations with what is kept beside the data, of
// all generations that were not destroyed.
func (v *verification) secrets(ctx context.Context) error {
	missing := tally{what: "secrets are missing, so that what they sealed cannot be read"}
	other := tally{what: "secrets are others than those that sealed the records"}
	for after := (boxOf{}); ; {
		type lot struct {
			boxOf
			commitment []byte
		}
		var some []lot
		if err := v.a.read(ctx, func(db *conn.Conn) error {
			return db.Query(`SELECT conversation, generation, commitment
				FROM generation
				WHERE (conversation, generation) > (?, ?) AND gone = 0 AND generation > 0
				ORDER BY conversation, generation
				LIMIT +?`, []any{after.number, after.generation, sliceRows}, func(r conn.Row) error {
				some = append(some, lot{boxOf{r.Int(0), r.Int(1)}, r.Blob(2)})
				return nil
			})
		}); err != nil {
			return err
		}
		if len(some) == 0 {
			break
		}
		for _, l := range some {
			after = l.boxOf
			_, err := v.a.loadBox(ctx, store.ConversationID(l.number), l.generation, l.commitment)
			name := fmt.Sprintf("generation %d of conversation %d", l.generation, l.number)
			switch {
			case err == nil:
			case errors.Is(err, store.ErrNotFound):
				there, err := v.stillThere(ctx, l.boxOf)
				if err != nil {
					return err
				}
				if there { // else it was destroyed meanwhile
					missing.add(name)
				}
			case errors.Is(err, store.ErrTampered):
				other.add(name)
			default:
				return err
			}
		}
	}
	missing.tell(v)
	other.tell(v)
	return nil
}

func (v *verification) stillThere(ctx context.Context, of boxOf) (there bool, err error) {
	err = v.a.read(ctx, func(db *conn.Conn) (err error) {
		n, err := db.Number("SELECT 1 FROM generation WHERE conversation = ? AND generation = ? AND gone = 0", of.number, of.generation)
		there = n != 0
		return err
	})
	return there, err
}

// people opens what agents have: credentials, what is their own, sessions that wait.
func (v *verification) people(ctx context.Context) error {
	agents, err := v.a.Agents(ctx)
	if err != nil {
		return err
	}
	names := make(map[store.AgentID]bool)
	for _, g := range agents {
		names[g.ID] = true
		if err := v.agent(ctx, g); err != nil {
			return err
		}
	}
	// Rows of nobody's show nothing to anybody, but were not left by the server.
	lost := tally{what: "agents who are not there have something"}
	for _, table := range []string{"credential", "own", "resume", "delivery", "member"} {
		if err := v.a.read(ctx, func(db *conn.Conn) error {
			return db.Query("SELECT DISTINCT agent FROM "+table+" WHERE agent NOT IN (SELECT id FROM agent)", nil, func(r conn.Row) error {
				lost.add(fmt.Sprintf("%s of agent %d", table, r.Int(0)))
				v.tell(table, store.AgentID(r.Int(0)))
				return nil
			})
		}); err != nil {
			return err
		}
	}
	lost.tell(v)
	return nil
}

func (v *verification) agent(ctx context.Context, g store.Agent) error {
	box, err := v.a.agentBox(ctx, g.ID)
	if locked(err) {
		v.say("the secret of agent %s is missing or another one: she cannot sign in", g.Name)
		return nil
	}
	if err != nil {
		return err
	}
	var creds []credentialRow
	var own []sealedOwn
	var resumes []store.Resume
	var cursor int64
	if err := v.a.read(ctx, func(db *conn.Conn) (err error) {
		if creds, err = credentialRows(db, g.ID); err != nil {
			return err
		}
		if err := db.Query("SELECT part, slot, sealed FROM own WHERE agent = ?", []any{int64(g.ID)}, func(r conn.Row) error {
			own = append(own, sealedOwn{part: store.Part(r.Int(0)), slot: r.Blob(1), sealed: r.Blob(2)})
			return nil
		}); err != nil {
			return err
		}
		if cursor, err = db.Number("SELECT cursor FROM delivery WHERE agent = ?", int64(g.ID)); err != nil {
			return err
		}
		return db.Query("SELECT id, expires, sealed FROM resume WHERE agent = ?", []any{int64(g.ID)}, func(r conn.Row) error {
			resumes = append(resumes, store.Resume{ID: r.Text(0), Expires: fromMilli(r.Int(1)), State: r.Blob(2)})
			return nil
		})
	}); err != nil {
		return err
	}
	for _, c := range creds {
		if _, err := openCredentials(box, g.ID, []credentialRow{c}); err != nil {
			v.found(fmt.Errorf("agent %s: %w", g.Name, err))
			v.tell("credential", g.ID)
		}
	}
	parts := make(map[store.Part]int)
	for _, o := range own {
		if _, err := box.Open(nil, o.sealed, ownPlace(o.part, o.slot)); err != nil {
			parts[o.part]++
			v.tell("own", g.ID)
		}
	}
	for part, n := range parts {
		v.say("agent %s: %d of her %s", g.Name, n, partNames[part])
	}
	for _, r := range resumes {
		if _, err := box.Open(nil, r.State, resumePlace(r.ID, toMilli(r.Expires))); err != nil {
			v.say("agent %s: a session that could be resumed", g.Name)
		}
	}
	if cursor > v.a.newest.Load() {
		v.say("agent %s: she has received up to record %d, which there never was", g.Name, cursor)
	}
	return nil
}

var partNames = map[store.Part]string{
	store.OwnContacts: "contacts", store.OwnRequests: "requests from others", store.OwnBlocked: "blocked addresses",
	store.OwnCard: "cards", store.OwnPrivate: "clients' notes", store.OwnPreferences: "archive preferences",
	store.OwnActivity: "last activities", store.OwnTokens: "tokens to sign in with", store.OwnWatching: "whether she reads along",
}

// webhooks opens what endpoints have.
func (v *verification) webhooks(ctx context.Context) error {
	type endpoint struct {
		id              string
		secret, options []byte
		cursor          int64
	}
	var all []endpoint
	if err := v.a.read(ctx, func(db *conn.Conn) error {
		return db.Query("SELECT id, secret, options, cursor FROM endpoint", nil, func(r conn.Row) error {
			all = append(all, endpoint{r.Text(0), r.Blob(1), r.Blob(2), r.Int(3)})
			return nil
		})
	}); err != nil {
		return err
	}
	for _, e := range all {
		if _, err := v.a.cfg.Keys.Field().Open(nil, e.secret, endpointPlace(e.id)); err != nil {
			v.say("the secret of webhook %s", e.id)
			v.tell("endpoint", 0)
		}
		if err := v.a.openOptions(&store.Endpoint{ID: e.id}, e.options); err != nil {
			v.found(err)
			v.tell("endpoint", 0)
		}
		if e.cursor > v.a.newest.Load() {
			v.say("webhook %s: it was told of all up to record %d, which there never was", e.id, e.cursor)
		}
		answers, err := v.answers(ctx, e.id)
		if err != nil {
			return err
		}
		answers.tell(v)
	}
	return nil
}

// answers opens what an endpoint's receiver has answered.
func (v *verification) answers(ctx context.Context, endpoint string) (*tally, error) {
	changed := &tally{what: "answers in the delivery log of webhook " + endpoint}
	for seq := int64(0); ; {
		type row struct {
			store.Attempt
			generation int64
		}
		var some []row
		if err := v.a.read(ctx, func(db *conn.Conn) error {
			return db.Query(`SELECT seq, id, ordinal, conversation, generation, answer
				FROM attempt
				WHERE endpoint = ? AND seq > ?
				ORDER BY seq
				LIMIT +?`, []any{endpoint, seq, sliceRows}, func(r conn.Row) error {
				seq = r.Int(0)
				some = append(some, row{store.Attempt{ID: r.Text(1), Ordinal: store.Ordinal(r.Int(2)),
					Conversation: store.ConversationID(r.Int(3)), Answer: r.Blob(5)}, r.Int(4)})
				return nil
			})
		}); err != nil || len(some) == 0 {
			return changed, err
		}
		for _, r := range some {
			if r.generation == 0 || len(r.Answer) == 0 {
				continue
			}
			box, err := v.a.box(ctx, r.Conversation, r.generation)
			if locked(err) { // that was told of, or it went with its conversation
				continue
			}
			if err != nil {
				return changed, err
			}
			if _, err := box.Open(nil, r.Answer, answerPlace(r.ID, r.Ordinal)); err != nil {
				changed.add(r.ID)
			}
		}
	}
}

// others opens the account's own secrets, and the keys of programs.
func (v *verification) others(ctx context.Context) error {
	sealed, programs := make(map[string][]byte), make(map[string][]byte)
	if err := v.a.read(ctx, func(db *conn.Conn) error {
		if err := db.Query("SELECT id, sealed FROM api_key", nil, func(r conn.Row) error {
			programs[r.Text(0)] = r.Blob(1)
			return nil
		}); err != nil {
			return err
		}
		return db.Query("SELECT name, sealed FROM secret", nil, func(r conn.Row) error {
			sealed[r.Text(0)] = r.Blob(1)
			return nil
		})
	}); err != nil {
		return err
	}
	for name, s := range sealed {
		if _, err := v.a.cfg.Keys.Field().Open(nil, s, secretPlace(name)); err != nil {
			v.say("secret %q of the account", name)
			v.tell("secret", 0)
		}
	}
	for id, s := range programs {
		if _, err := v.a.cfg.Keys.Field().Open(nil, s, apiKeyPlace(id)); err != nil {
			v.say("API key %s", id)
			v.tell("api_key", 0)
		}
	}
	return nil
}

// answered opens what requests with an Idempotency-Key were answered.
func (v *verification) answered(ctx context.Context) error {
	changed := tally{what: "answers that are kept for requests which come again were changed"}
	for after := []byte{}; ; {
		type row struct{ key, sealed []byte }
		var some []row
		if err := v.a.read(ctx, func(db *conn.Conn) error {
			return db.Query("SELECT key, sealed FROM answer WHERE key > ? ORDER BY key LIMIT +?", []any{after, sliceRows}, func(r conn.Row) error {
				some = append(some, row{r.Blob(0), r.Blob(1)})
				return nil
			})
		}); err != nil {
			return err
		}
		if len(some) == 0 {
			break
		}
		for _, r := range some {
			after = r.key
			if _, err := v.a.cfg.Keys.Field().Open(nil, r.sealed, replyPlace(r.key)); err != nil {
				changed.add(hex.EncodeToString(r.key)[:8])
			}
		}
	}
	changed.tell(v)
	return nil
}
