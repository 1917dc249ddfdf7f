package people

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// A Field is what people can be found by. The numbers are part of the format on disk.
type Field int

// The fields.
const (
	BySubject Field = 1
	ByEmail   Field = 2
	ByPhone   Field = 3
)

// markSize is how much of a keyed hash is kept, in bytes: enough that two people never meet in
// one by chance.
const markSize = 15

// seenEvery is how exactly it is kept when somebody came last.
const seenEvery = time.Hour

// normal is a value as it is compared: what is meant to be the same is the same. Nobody's
// subject is another's whose letters are larger.
func (f Field) normal(value string) string {
	value = norm.NFC.String(strings.TrimSpace(value))
	switch f {
	case ByEmail:
		return cases.Fold().String(value)
	case ByPhone:
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' || r == '+' {
				return r
			}
			return -1
		}, value)
	}
	return value
}

// of is what a shop has said in a field.
func (f Field) of(s *Said) string {
	switch f {
	case BySubject:
		return s.Subject
	case ByEmail:
		return s.Email
	case ByPhone:
		return s.Phone
	}
	return ""
}

// mark is a blind index of a value (KIS-4); nil if there is nothing in it.
func (p *People) mark(f Field, value string) []byte {
	if value = f.normal(value); value == "" {
		return nil
	}
	h := hmac.New(sha256.New, p.index[:])
	h.Write([]byte{byte(f), 0})
	h.Write([]byte(value))
	return h.Sum(nil)[:markSize]
}

// Know is the internal id of somebody, the same each time for one subject. What the shop says now
// is kept in place of what it has said before. It returns when that is durable.
func (p *People) Know(ctx context.Context, said Said) (id string, err error) {
	ctx = context.WithoutCancel(ctx)
	err = p.use(func(db *conn.Conn) error {
		id, err = p.know(ctx, db, said)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("keep who a visitor is: %w", err)
	}
	return id, nil
}

func (p *People) know(ctx context.Context, db *conn.Conn, said Said) (string, error) {
	var r row
	found, err := db.One("SELECT "+columns+" FROM mark m JOIN person p ON p.number = m.person WHERE m.field = ? AND m.value = ?",
		[]any{int(BySubject), p.mark(BySubject, said.Subject)}, func(row conn.Row) { r = scan(row) })
	if err != nil {
		return "", err
	}
	now := p.cfg.Now().UnixMilli()
	if !found {
		return p.add(ctx, db, said, now)
	}
	who, err := p.unseal(ctx, &r)
	switch {
	case errors.Is(err, store.ErrNotFound): // an older file, or older keys, were put back: nobody can read it
		p.cfg.Log.Error("the secret of a visitor is gone; they are kept as somebody new", "id", r.id)
		if err := db.Exec("DELETE FROM person WHERE number = ?", r.number); err != nil {
			return "", err
		}
		return p.add(ctx, db, said, now)
	case err != nil:
		return "", err
	case BySubject.normal(who.Subject) != BySubject.normal(said.Subject):
		return "", fmt.Errorf("visitor %s stands in another's place: %w", r.id, store.ErrTampered)
	case who.Said == said && now-r.seen < seenEvery.Milliseconds():
		return r.id, nil
	}
	secret, err := p.cfg.Keys.Get(ctx, secretOf(r.number))
	if err != nil {
		return "", err
	}
	defer secret.Wipe()
	r.version++
	r.seen = max(r.seen, now)
	if r.data, err = p.sealed(p.box(&secret, r.number), &r, said); err != nil {
		return "", err
	}
	return r.id, db.InTx(func() error {
		if err := db.Exec("UPDATE person SET seen = ?, version = ?, data = ? WHERE number = ?", r.seen, r.version, r.data, r.number); err != nil {
			return err
		}
		return p.setMarks(db, r.number, &said)
	})
}

// add keeps somebody who is new: the secret first.
func (p *People) add(ctx context.Context, db *conn.Conn, said Said, now int64) (string, error) {
	r := row{made: now, seen: now, version: 1}
	r.id, r.number = newID()
	made, err := p.cfg.Keys.Create(ctx, secretOf(r.number))
	if err != nil {
		return "", err
	}
	defer made[0].Wipe()
	if r.data, err = p.sealed(p.box(&made[0], r.number), &r, said); err == nil {
		err = db.InTx(func() error {
			if err := db.Exec("INSERT INTO person (number, id, made, seen, version, data) VALUES (?, ?, ?, ?, ?, ?)",
				r.number, r.id, r.made, r.seen, r.version, r.data); err != nil {
				return err
			}
			return p.setMarks(db, r.number, &said)
		})
	}
	if err != nil { // the secret is nobody's, and else goes at the next start
		return "", errors.Join(err, p.cfg.Keys.Destroy(ctx, keys.OfPerson, r.number))
	}
	return r.id, nil
}

// sealed is what is kept of somebody.
func (p *People) sealed(box *seal.Box, r *row, said Said) ([]byte, error) {
	plain, err := json.Marshal(said)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return box.Seal(nil, plain, r.place()), nil
}

// setMarks has somebody found by what is said now, and by nothing else.
func (p *People) setMarks(db *conn.Conn, number int64, said *Said) error {
	if err := db.Exec("DELETE FROM mark WHERE person = ?", number); err != nil {
		return err
	}
	for _, f := range [...]Field{BySubject, ByEmail, ByPhone} {
		if mark := p.mark(f, f.of(said)); mark != nil {
			if err := db.Exec("INSERT INTO mark (field, value, person) VALUES (?, ?, ?)", int(f), mark, number); err != nil {
				return err
			}
		}
	}
	return nil
}
