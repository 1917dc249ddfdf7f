package auth

import (
	"errors"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
)

// Rule 15, with the store that there is: tokens outlast restarts, and end with a
// password and with their agent.
func TestTokensOutlastRestarts(t *testing.T) {
	const m = "HT-SHA-256-EXPR"
	ctx, root := t.Context(), seal.NewKey()
	data, secrets := t.TempDir(), t.TempDir()
	clock := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	var a *Account
	var st *sqlite.Account
	var closeAll func()
	open := func() {
		t.Helper()
		k, err := keys.Open(ctx, keys.Config{Dir: secrets, Account: "desk", Root: root})
		if err != nil {
			t.Fatal(err)
		}
		if st, err = sqlite.Open(ctx, sqlite.Config{Dir: data, Account: "desk", Keys: k}); err != nil {
			t.Fatal(err)
		}
		a, err = New(ctx, st, "desk.example", Config{Iterations: MinIterations}, func() time.Time { return clock })
		if err != nil {
			t.Fatal(err)
		}
		closeAll = func() {
			if err := errors.Join(st.Close(), k.Close()); err != nil {
				t.Error(err)
			}
		}
	}
	open()
	defer func() { closeAll() }()
	add := func() (store.Agent, int64) {
		t.Helper()
		v, err := a.Verifier(ctx, "anna", password)
		if err != nil {
			t.Fatal(err)
		}
		anna, err := st.AddAgent(ctx, "anna", "agent", store.Credential{Scope: "xmpp", Label: "password", Verifier: v})
		if err != nil {
			t.Fatal(err)
		}
		list, err := st.Credentials(ctx, anna.ID)
		if err != nil {
			t.Fatal(err)
		}
		return anna, list[0].ID
	}
	anna, credential := add()
	issue := func(client string) string {
		t.Helper()
		token, err := a.IssueToken(ctx, client, m, held(t, a, anna.ID, credential))
		if err != nil {
			t.Fatal(err)
		}
		return token.Secret
	}
	redeems := func(what, client, token string, want error) {
		t.Helper()
		r := with(token, m)
		r.Client = client
		got, err := a.Redeem(ctx, r)
		if !errors.Is(err, want) || err == nil && (got.Agent.ID != anna.ID || got.Credential.ID != credential) {
			t.Errorf("%s: agent %d with %d, %v, want %v", what, got.Agent.ID, got.Credential.ID, err, want)
		}
	}

	old, unused := issue(laptop), issue(phone)
	redeems("before", laptop, old, nil)
	fresh := issue(laptop)
	closeAll()
	open()
	redeems("the old one after a restart", laptop, old, nil)
	redeems("the new one", laptop, fresh, nil)
	closeAll()
	open()
	redeems("the old one after the new one and a restart", laptop, old, ErrDenied)
	redeems("the new one after a restart", laptop, fresh, nil)
	redeems("the phone's", phone, unused, nil)

	clock = clock.Add(time.Hour)
	before := held(t, a, anna.ID, credential)
	if err := a.ChangePassword(ctx, anna.ID, "anna", credential, "velvet-anvil-52"); err != nil {
		t.Fatal(err)
	}
	redeems("after the password's change", laptop, fresh, ErrExpired)
	if _, err := a.IssueToken(ctx, laptop, m, before); !errors.Is(err, ErrDenied) {
		t.Errorf("a token for the password before: %v, want %v", err, ErrDenied)
	}
	closeAll()
	open()
	redeems("after the change and a restart", phone, unused, ErrExpired)

	fresh = issue(laptop)
	signedIn := held(t, a, anna.ID, credential)
	if err := st.DeleteAgent(ctx, anna.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := a.IssueToken(ctx, laptop, m, signedIn); !errors.Is(err, ErrDenied) {
		t.Errorf("a token for who is gone: %v, want %v", err, ErrDenied)
	}
	redeems("of who is gone", laptop, fresh, ErrDenied)
	anna, credential = add()
	redeems("of who had the name before", laptop, fresh, ErrDenied)
}
