package people

import (
	"context"
	"errors"
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/sqlite/conn"
)

// Show is the person of an internal id; ErrNotFound if there is none, or none any more.
func (p *People) Show(ctx context.Context, id string) (who Person, err error) {
	err = p.use(func(db *conn.Conn) error {
		var r row
		found, err := db.One("SELECT "+columns+" FROM person p WHERE p.id = ?", []any{id}, func(row conn.Row) { r = scan(row) })
		if err == nil && !found {
			err = store.ErrNotFound
		}
		if err == nil {
			who, err = p.unseal(ctx, &r)
		}
		return err
	})
	if err != nil {
		return Person{}, fmt.Errorf("visitor %s: %w", id, err)
	}
	return who, nil
}

// findMax is how many people are found at most.
const findMax = 100

// Find are the people of whom a shop has said that, up to a hundred.
func (p *People) Find(ctx context.Context, f Field, value string) (list []Person, err error) {
	err = p.use(func(db *conn.Conn) error {
		var rows []row
		mark := p.mark(f, value)
		if mark == nil {
			return nil
		}
		if err := db.Query("SELECT "+columns+" FROM mark m JOIN person p ON p.number = m.person WHERE m.field = ? AND m.value = ? ORDER BY p.id LIMIT +?",
			[]any{int(f), mark, findMax}, func(r conn.Row) error {
				rows = append(rows, scan(r))
				return nil
			}); err != nil {
			return err
		}
		for i := range rows {
			who, err := p.unseal(ctx, &rows[i])
			switch {
			case errors.Is(err, store.ErrNotFound): // just being erased
			case err != nil:
				return err
			case f.normal(f.of(&who.Said)) != f.normal(value):
				return fmt.Errorf("visitor %s stands in another's place: %w", who.ID, store.ErrTampered)
			default:
				list = append(list, who)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find a visitor: %w", err)
	}
	return list, nil
}

// Verify walks all people and answers an error for each of whom something is not as it was
// written, joined, each an ErrTampered. With whole it looks at the file's structure, too.
func (p *People) Verify(ctx context.Context, whole bool) error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(format+": %w", append(args, store.ErrTampered)...))
	}
	last := int64(-1)
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.use(func(db *conn.Conn) error { return p.verifySome(ctx, db, &last, &more, fault) }); err != nil {
			return err
		}
	}
	if err := p.use(func(db *conn.Conn) error { return p.verifySecrets(ctx, db, fault) }); err != nil {
		return err
	}
	if whole {
		if err := p.use(func(db *conn.Conn) error {
			broken, err := db.Check()
			for _, b := range broken {
				fault("the file of people: %s", b)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return errors.Join(faults...)
}

// verifySecrets looks for rows that were taken away: their secrets are left.
func (p *People) verifySecrets(ctx context.Context, db *conn.Conn, fault func(string, ...any)) error {
	have, err := Have(db)
	if err != nil {
		return err
	}
	n := 0
	if err := p.cfg.Keys.All(ctx, keys.OfPerson, func(id keys.ID) {
		if !have[id.Number] {
			n++
		}
	}); err != nil {
		return err
	}
	if n > 0 {
		fault("%d visitors of whom there are secrets are missing", n)
	}
	return nil
}

// verifyAtOnce is how many people are looked at while others wait.
const verifyAtOnce = 64

func (p *People) verifySome(ctx context.Context, db *conn.Conn, last *int64, more *bool, fault func(string, ...any)) error {
	var rows []row
	if err := db.Query("SELECT "+columns+" FROM person p WHERE p.number > ? ORDER BY p.number LIMIT +?", []any{*last, verifyAtOnce},
		func(r conn.Row) error {
			rows = append(rows, scan(r))
			return nil
		}); err != nil {
		return err
	}
	*more = len(rows) == verifyAtOnce
	for i := range rows {
		r := &rows[i]
		*last = r.number
		who, err := p.unseal(ctx, r)
		switch {
		case errors.Is(err, store.ErrNotFound):
			fault("visitor %s: the secret is gone, and the row is not", r.id)
			continue
		case errors.Is(err, store.ErrTampered):
			fault("visitor %s", r.id)
			continue
		case err != nil:
			return err
		}
		// By what they are found is exactly what was said of them.
		want := make(map[string]bool)
		for _, f := range [...]Field{BySubject, ByEmail, ByPhone} {
			if mark := p.mark(f, f.of(&who.Said)); mark != nil {
				want[string(byte(f))+string(mark)] = true
			}
		}
		if err := db.Query("SELECT field, value FROM mark WHERE person = ?", []any{r.number}, func(m conn.Row) error {
			key := string(byte(m.Int(0))) + string(m.Blob(1))
			if !want[key] {
				fault("visitor %s is found by what was not said of them", r.id)
			}
			delete(want, key)
			return nil
		}); err != nil {
			return err
		}
		if len(want) > 0 {
			fault("visitor %s is not found by all that was said of them", r.id)
		}
	}
	return nil
}
