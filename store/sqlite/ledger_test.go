package sqlite_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// table reads rows behind the server's back, each as SQL that puts it back.
func (f *files) table(query string) (rows []string) {
	f.t.Helper()
	c, err := conn.Open(conn.Config{Path: f.data() + "/data.db", ReadOnly: true})
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close()
	if err := c.Query(query, nil, func(r conn.Row) error {
		rows = append(rows, r.Text(0))
		return nil
	}); err != nil || len(rows) == 0 {
		f.t.Fatal(query, rows, err)
	}
	return rows
}

// faults are what Verify finds.
func (f *files) faults() (all []string) {
	f.t.Helper()
	err := f.store.Verify(f.t.Context(), true)
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, fault := range several.Unwrap() {
			if !errors.Is(fault, store.ErrTampered) {
				f.t.Errorf("%v counts as something else", fault)
			}
			all = append(all, fault.Error())
		}
	} else if err != nil {
		f.t.Fatal(err)
	}
	return all
}

// A row that was sealed earlier, and is put back in the place of a newer one, opens like
// any other; it is missed by what the ledger knows, and only it.
func TestOlderRowsAreNoticed(t *testing.T) {
	const hexed = "quote(sealed)"
	for _, test := range []struct {
		name, old string // a query for SQL that puts back what is there now
		newer     func(ctx context.Context, a store.Account) error
		want      string
	}{
		{"a password", "SELECT 'UPDATE credential SET made = ' || made || ', sealed = ' || " + hexed + " || ' WHERE id = 1' FROM credential WHERE id = 1",
			func(ctx context.Context, a store.Account) error {
				return a.SetCredential(ctx, store.Credential{ID: 1, Agent: 1, Scope: "xmpp", Label: "password", Verifier: []byte("another")})
			}, "credentials of agent anna: "},
		{"a password that was revoked", "SELECT 'INSERT INTO credential VALUES (2, 2, ''xmpp'', ' || made || ', ' || " + hexed + " || ')' FROM credential WHERE id = 2",
			func(ctx context.Context, a store.Account) error { return a.DeleteCredential(ctx, 2) }, "credentials of agent ben: "},
		{"a contact", "SELECT 'UPDATE own SET sealed = ' || " + hexed + " || ' WHERE agent = 2' FROM own WHERE agent = 2",
			func(ctx context.Context, a store.Account) error {
				return a.KeepOwn(ctx, store.Own{Agent: 2, Part: store.OwnContacts, Name: "anna", Value: []byte("another")})
			}, "contacts, tokens or preferences of agent ben: "},
		{"a webhook", "SELECT 'UPDATE endpoint SET url = ' || quote(url) || ', options = ' || quote(options) FROM endpoint",
			func(ctx context.Context, a store.Account) error {
				_, err := a.ChangeEndpoint(ctx, "wh_1", func(e *store.Endpoint) error { e.URL = "https://elsewhere.example/"; return nil })
				return err
			}, "webhooks: "},
		{"a key of the API", "SELECT 'INSERT INTO api_key VALUES (' || quote(id) || ', ' || made || ', ' || " + hexed + " || ')' FROM api_key",
			func(ctx context.Context, a store.Account) error { return a.DeleteAPIKey(ctx, "ak_desk_x") }, "API keys: "},
		{"the account's token", "SELECT 'UPDATE secret SET sealed = ' || " + hexed + " || ' WHERE name = ''token''' FROM secret WHERE name = 'token'",
			func(ctx context.Context, a store.Account) error {
				_, err := a.RotateToken(ctx, time.Now(), []byte(`{}`))
				return err
			}, "the account's secrets: "},
		{"a setting", "SELECT 'UPDATE setting SET value = ' || quote(value) FROM setting",
			func(ctx context.Context, a store.Account) error { return a.SetSetting(ctx, "policy", "strict") }, "settings: "},
		{"a role", "SELECT 'UPDATE agent SET disabled = ' || disabled || ' WHERE id = 2' FROM agent WHERE id = 2",
			func(ctx context.Context, a store.Account) error { return a.DisableAgent(ctx, 2, true) },
			"name or role of agent ben: "},
		{"who sees a conversation", "SELECT 'INSERT INTO member VALUES (2, 3, 1, 0, 0)'",
			func(context.Context, store.Account) error { return nil }, "conversations of agent ben: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			everything(f)
			f.open()
			_, err := f.store.Token(t.Context())
			if err := errors.Join(err, f.store.SetSetting(t.Context(), "policy", "lax")); err != nil {
				t.Fatal(err)
			}
			old := f.table(test.old)
			if err := test.newer(t.Context(), f.store); err != nil {
				t.Fatal(err)
			}
			if got := f.faults(); len(got) > 0 {
				t.Fatalf("before, Verify = %q", got)
			}
			// While the server runs, or while it does not.
			for _, sql := range old {
				f.sql(sql)
			}
			check := func(when string) {
				t.Helper()
				if got := f.faults(); len(got) != 1 || !strings.HasPrefix(got[0], test.want) {
					t.Errorf("%s, Verify = %q, want one fault %q", when, got, test.want)
				}
			}
			check("at once")
			f.close()
			f.open()
			check("after another start")
			if err := f.store.Accept(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := f.faults(); len(got) > 0 {
				t.Errorf("accepted, Verify = %q", got)
			}
		})
	}
}

// The ledger itself is of no more use when it is old: put back with the rows, taken away, or
// changed, it is noticed, at every start, until that is accepted. A crash is nothing of
// the kind.
func TestOlderLedgerIsNoticed(t *testing.T) {
	const older = "were put back to an older state, with what is known of them"
	for _, how := range []string{"put back with all rows", "put back while the server runs", "taken away", "changed"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			everything(f)
			before, err := os.ReadFile(f.data() + "/data.db")
			if err != nil {
				t.Fatal(err)
			}
			f.open()
			ledger := f.table("SELECT 'UPDATE ledger SET sealed = ' || quote(sealed) FROM ledger")
			if err := f.store.SetSetting(t.Context(), "policy", "strict"); err != nil {
				t.Fatal(err)
			}
			want := older
			switch how {
			case "put back with all rows":
				f.close()
				if err := os.WriteFile(f.data()+"/data.db", before, 0o600); err != nil {
					t.Fatal(err)
				}
				f.open()
			case "put back while the server runs":
				f.sql("DELETE FROM setting")
				f.sql(ledger[0])
			case "taken away":
				f.close()
				f.sql("DELETE FROM ledger")
				f.open()
			default:
				f.sql("UPDATE ledger SET sealed = zeroblob(length(sealed))")
				want = "what is known of agents, webhooks, keys and settings was changed"
			}
			for range 2 {
				if got := f.faults(); len(got) != 1 || !strings.Contains(got[0], want) {
					t.Errorf("Verify = %q, want one fault %q", got, want)
				}
				f.close()
				f.open()
				want = older
			}
			if err := f.store.SetSetting(t.Context(), "policy", "lax"); err != nil {
				t.Fatal(err)
			}
			f.close()
			f.open()
			if got := f.faults(); len(got) != 1 || !strings.Contains(got[0], older) {
				t.Errorf("gone on from there, Verify = %q", got)
			}
			if err := f.store.Accept(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.close()
			f.open()
			if got := f.faults(); len(got) > 0 {
				t.Errorf("accepted, Verify = %q", got)
			}
		})
	}
}
