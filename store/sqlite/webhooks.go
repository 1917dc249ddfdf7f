package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// attemptsMax is how many attempts an endpoint's delivery log keeps, answerMax how
// many bytes of an answer.
const (
	attemptsMax = 10_000
	answerMax   = 4096
)

func endpointPlace(id string) *seal.Place { return &seal.Place{Field: "endpoint " + id} }
func optionsPlace(id string) *seal.Place  { return &seal.Place{Field: "endpoint options " + id} }

func (a *Account) sealOptions(e *store.Endpoint) ([]byte, error) {
	text, err := json.Marshal(e.EndpointOptions)
	if err != nil {
		return nil, fmt.Errorf("options of endpoint %q: %w", e.ID, err)
	}
	return a.cfg.Keys.Field().Seal(nil, text, optionsPlace(e.ID)), nil
}

func (a *Account) openOptions(e *store.Endpoint, sealed []byte) error {
	if len(sealed) == 0 {
		return nil
	}
	text, err := a.cfg.Keys.Field().Open(nil, sealed, optionsPlace(e.ID))
	if err == nil {
		err = json.Unmarshal(text, &e.EndpointOptions)
	}
	if err != nil {
		return fmt.Errorf("options of endpoint %q: %w", e.ID, store.ErrTampered)
	}
	return nil
}

// openEndpoint fills in what is sealed of an endpoint. One that was changed outside the server
// gets nothing more, and keeps nothing from the others.
func (a *Account) openEndpoint(e *store.Endpoint, secret, options []byte) {
	plain, err := a.cfg.Keys.Field().Open(nil, secret, endpointPlace(e.ID))
	if err == nil {
		e.Secret = string(plain)
		err = a.openOptions(e, options)
	}
	if err != nil {
		a.log.Error("an endpoint was changed outside the server", "hook", e.ID)
		e.Secret, e.EndpointOptions = "", store.EndpointOptions{}
		e.Disabled, e.Why = true, "it was changed outside the server: rotate its secret, set its options, then enable it"
	}
}

const endpointColumns = "SELECT id, url, events, secret, made, disabled, why, cursor, options FROM endpoint "

func (a *Account) scanEndpoint(r conn.Row) store.Endpoint {
	e := store.Endpoint{ID: r.Text(0), URL: r.Text(1), Events: strings.Fields(r.Text(2)),
		Created: fromMilli(r.Int(4)), Disabled: r.Int(5) != 0, Why: r.Text(6), Cursor: store.Ordinal(r.Int(7))}
	a.openEndpoint(&e, r.Blob(3), r.Blob(8))
	return e
}

// Endpoints lists the account's endpoints by id.
func (a *Account) Endpoints(ctx context.Context) ([]store.Endpoint, error) {
	var all []store.Endpoint
	err := a.read(ctx, func(db *conn.Conn) error {
		return db.Query(endpointColumns+"ORDER BY made, id", nil, func(r conn.Row) error {
			all = append(all, a.scanEndpoint(r))
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list endpoints: %w", err)
	}
	return all, nil
}

// AddEndpoint adds an endpoint; one of the same id answers ErrConflict, one too many ErrTooMany.
func (a *Account) AddEndpoint(ctx context.Context, e store.Endpoint) error {
	if e.Created.IsZero() {
		e.Created = a.now()
	}
	secret := a.cfg.Keys.Field().Seal(nil, []byte(e.Secret), endpointPlace(e.ID))
	options, err := a.sealOptions(&e)
	if err != nil {
		return err
	}
	err = a.update(ctx, func(db *conn.Conn) error {
		if err := roomIn(db, "endpoint", store.MaxEndpoints); err != nil {
			return err
		}
		err := db.Exec(`INSERT INTO endpoint (id, url, events, secret, made, disabled, why, cursor, options)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			e.ID, e.URL, strings.Join(e.Events, " "), secret, e.Created.UnixMilli(), e.Disabled, e.Why, int64(e.Cursor), options)
		if conn.Exists(err) {
			return store.ErrConflict
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("add endpoint %q: %w", e.ID, err)
	}
	return nil
}

// UpdateEndpoint changes whether an endpoint is disabled, and why.
func (a *Account) UpdateEndpoint(ctx context.Context, e store.Endpoint) error {
	err := a.update(ctx, func(db *conn.Conn) error {
		return changed(db, "UPDATE endpoint SET disabled = ?, why = ? WHERE id = ?", e.Disabled, e.Why, e.ID)
	})
	if err != nil {
		return fmt.Errorf("update endpoint %q: %w", e.ID, err)
	}
	return nil
}

// ChangeEndpoint changes all of an endpoint but when it was made and how far it has got, as
// change does, which the writer calls: nobody else changes it meanwhile.
func (a *Account) ChangeEndpoint(ctx context.Context, id string, change func(*store.Endpoint) error) (e store.Endpoint, err error) {
	err = a.update(ctx, func(db *conn.Conn) error {
		found := false
		if err := db.Query(endpointColumns+"WHERE id = ?", []any{id}, func(r conn.Row) error {
			found, e = true, a.scanEndpoint(r)
			return nil
		}); err != nil {
			return err
		}
		if !found {
			return store.ErrNotFound
		}
		if err := change(&e); err != nil {
			return err
		}
		options, err := a.sealOptions(&e)
		if err != nil {
			return err
		}
		secret := a.cfg.Keys.Field().Seal(nil, []byte(e.Secret), endpointPlace(id))
		return db.Exec("UPDATE endpoint SET url = ?, events = ?, secret = ?, disabled = ?, why = ?, options = ? WHERE id = ?",
			e.URL, strings.Join(e.Events, " "), secret, e.Disabled, e.Why, options, id)
	})
	if err != nil {
		return store.Endpoint{}, fmt.Errorf("change endpoint %q: %w", id, err)
	}
	return e, nil
}

// DeleteEndpoint deletes an endpoint with its retries and delivery log.
func (a *Account) DeleteEndpoint(ctx context.Context, id string) error {
	err := a.update(ctx, func(db *conn.Conn) error {
		return changed(db, "DELETE FROM endpoint WHERE id = ?", id)
	})
	if err != nil {
		return fmt.Errorf("delete endpoint %q: %w", id, err)
	}
	return nil
}

// Advance keeps what one round of an endpoint's deliveries came to.
func (a *Account) Advance(ctx context.Context, p store.Progress) error {
	err := a.advance(ctx, p)
	if err != nil {
		return fmt.Errorf("advance endpoint %q: %w", p.Endpoint, err)
	}
	return nil
}

func (a *Account) advance(ctx context.Context, p store.Progress) error {
	answers := make([]answer, len(p.Attempts))
	for i := range p.Attempts {
		var err error
		if answers[i], err = a.sealAnswer(ctx, &p.Attempts[i]); err != nil {
			return err
		}
	}
	return a.update(ctx, func(db *conn.Conn) error {
		// The endpoint may have been deleted; so it is looked for even when the cursor
		// stays.
		if err := changed(db, "UPDATE endpoint SET cursor = max(cursor, ?) WHERE id = ?", int64(p.Cursor), p.Endpoint); err != nil {
			return err
		}
		if err := insertAttempts(db, p.Endpoint, p.Attempts, answers); err != nil {
			return err
		}
		for _, r := range p.Retries {
			if err := db.Exec(`INSERT OR REPLACE INTO retry (endpoint, ordinal, attempt, next, first)
				VALUES (?, ?, ?, ?, ?)`, p.Endpoint, int64(r.Ordinal), r.Attempt, toMilli(r.Next), toMilli(r.First)); err != nil {
				return err
			}
		}
		for _, o := range p.Settled {
			if err := db.Exec("DELETE FROM retry WHERE endpoint = ? AND ordinal = ?", p.Endpoint, int64(o)); err != nil {
				return err
			}
		}
		return nil
	})
}

// An answer is what a receiver said, as it is kept.
type answer struct {
	generation int64
	sealed     []byte
}

func answerPlace(id string, o store.Ordinal) *seal.Place {
	return &seal.Place{N: int64(o), Field: "answer " + id}
}

// sealAnswer seals an answer with the secret of the event's record, since it may repeat
// what was said there and is to go with it. If that secret is gone so is the answer.
func (a *Account) sealAnswer(ctx context.Context, at *store.Attempt) (answer, error) {
	plain := at.Answer[:min(len(at.Answer), answerMax)]
	if !a.cfg.Sealed || len(plain) == 0 {
		return answer{sealed: plain}, nil
	}
	var generation int64
	if err := a.read(ctx, func(db *conn.Conn) (err error) {
		generation, err = db.Number(`SELECT CASE generation
				WHEN 0 THEN (SELECT max(generation) FROM generation g WHERE g.conversation = l.conversation AND g.gone = 0)
				ELSE generation END
			FROM log l
			WHERE ordinal = ?`, int64(at.Ordinal))
		return err
	}); err != nil {
		return answer{}, err
	}
	box, err := a.box(ctx, at.Conversation, generation)
	switch {
	case locked(err):
		return answer{}, nil
	case err != nil:
		return answer{}, err
	}
	return answer{generation, box.Seal(nil, plain, answerPlace(at.ID, at.Ordinal))}, nil
}

func insertAttempts(db *conn.Conn, endpoint string, attempts []store.Attempt, answers []answer) error {
	if len(attempts) == 0 {
		return nil
	}
	seq, err := db.Number("SELECT max(seq) FROM attempt WHERE endpoint = ?", endpoint)
	if err != nil {
		return err
	}
	for i, at := range attempts {
		seq++
		if err := db.Exec(`INSERT INTO attempt (endpoint, seq, id, ordinal, conversation, event, number, at,
				status, took, err, generation, answer)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, iif(EXISTS (SELECT 1 FROM log WHERE ordinal = ?), ?, x''))`,
			endpoint, seq, at.ID, int64(at.Ordinal), int64(at.Conversation), at.Event, at.Number, at.At.UnixMilli(),
			at.Status, int64(at.Took), at.Err, answers[i].generation, int64(at.Ordinal), answers[i].sealed); err != nil {
			return err
		}
	}
	return db.Exec("DELETE FROM attempt WHERE endpoint = ? AND seq <= ?", endpoint, seq-attemptsMax)
}

// Retries are an endpoint's that are not given up, by when they are due.
func (a *Account) Retries(ctx context.Context, endpoint string) ([]store.Retry, error) {
	var all []store.Retry
	err := a.read(ctx, func(db *conn.Conn) error {
		return db.Query(`SELECT ordinal, attempt, next, first
			FROM retry
			WHERE endpoint = ? AND next > 0
			ORDER BY next, ordinal`, []any{endpoint}, func(r conn.Row) error {
			all = append(all, store.Retry{Endpoint: endpoint, Ordinal: store.Ordinal(r.Int(0)), Attempt: int(r.Int(1)),
				Next: fromMilli(r.Int(2)), First: fromMilli(r.Int(3))})
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("retries of endpoint %q: %w", endpoint, err)
	}
	return all, nil
}

// DeadLetters are what an endpoint was given up for, of what was tried first since then.
func (a *Account) DeadLetters(ctx context.Context, endpoint string, since time.Time) ([]store.Ordinal, error) {
	var all []store.Ordinal
	err := a.read(ctx, func(db *conn.Conn) error {
		return db.Query(`SELECT ordinal
			FROM retry
			WHERE endpoint = ? AND next = 0 AND first >= ?
			ORDER BY ordinal`, []any{endpoint, toMilli(since)}, func(r conn.Row) error {
			all = append(all, store.Ordinal(r.Int(0)))
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("dead letters of endpoint %q: %w", endpoint, err)
	}
	return all, nil
}

// SendAgain has events sent to an endpoint as if they had just happened.
func (a *Account) SendAgain(ctx context.Context, endpoint string, ordinals []store.Ordinal, now time.Time) error {
	err := a.update(ctx, func(db *conn.Conn) error {
		for _, o := range ordinals {
			if err := db.Exec(`INSERT OR REPLACE INTO retry (endpoint, ordinal, attempt, next, first)
				VALUES (?, ?, 0, ?, 0)`, endpoint, int64(o), toMilli(now)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("send again to endpoint %q: %w", endpoint, err)
	}
	return nil
}

// Within says after which ordinal and up to which all records of a time are.
func (a *Account) Within(ctx context.Context, start, end time.Time) (after, last store.Ordinal, err error) {
	low, high, err := a.within(ctx, start.UnixMilli(), end.UnixMilli())
	if err != nil {
		return 0, 0, fmt.Errorf("records of a time: %w", err)
	}
	return store.Ordinal(low - 1), store.Ordinal(min(high-1, a.newest.Load())), nil
}

// Attempts are the newest of an endpoint's delivery log, newest first. An answer whose
// conversation is gone is gone, too.
func (a *Account) Attempts(ctx context.Context, endpoint string, max int) ([]store.Attempt, error) {
	var all []store.Attempt
	var generations []int64
	err := a.read(ctx, func(db *conn.Conn) error {
		return db.Query(`SELECT id, ordinal, conversation, event, number, at, status, took, err, generation, answer
			FROM attempt
			WHERE endpoint = ?
			ORDER BY seq DESC
			LIMIT +?`, []any{endpoint, max}, func(r conn.Row) error {
			all = append(all, store.Attempt{ID: r.Text(0), Endpoint: endpoint, Ordinal: store.Ordinal(r.Int(1)),
				Conversation: store.ConversationID(r.Int(2)), Event: r.Text(3), Number: int(r.Int(4)),
				At: fromMilli(r.Int(5)), Status: int(r.Int(6)), Took: time.Duration(r.Int(7)), Err: r.Text(8),
				Answer: r.Blob(10)})
			generations = append(generations, r.Int(9))
			return nil
		})
	})
	for i := 0; i < len(all) && err == nil; i++ {
		err = a.openAnswer(ctx, &all[i], generations[i])
	}
	if err != nil {
		return nil, fmt.Errorf("attempts of endpoint %q: %w", endpoint, err)
	}
	return all, nil
}

func (a *Account) openAnswer(ctx context.Context, at *store.Attempt, generation int64) error {
	if generation == 0 {
		return nil
	}
	sealed := at.Answer
	at.Answer = nil
	box, err := a.box(ctx, at.Conversation, generation)
	if err == nil {
		if at.Answer, err = box.Open(nil, sealed, answerPlace(at.ID, at.Ordinal)); err != nil {
			err = store.ErrTampered
		}
	}
	if locked(err) {
		return nil
	}
	return err
}

// toMilli is a time in milliseconds; the zero time is 0.
func toMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
