package storetest

import (
	"errors"
	"testing"
	"time"

	"parley.im/parley/store"
)

// Keys of the API outlive a start, with all that they may.
func apiKeysAreKept(t *testing.T, open Open) {
	a, reopen := open(t)
	ctx := t.Context()
	k := store.APIKey{ID: "ak_desk_x", Signing: true, Role: "admin", Scopes: []string{"webhooks:read"}, Label: "the shop",
		Created: time.UnixMilli(1_700_000_000_000).UTC(), Expires: time.Unix(1_900_000_000, 0).UTC(), Secret: []byte("as_secret")}
	must(t, a.AddAPIKey(ctx, k))
	if err := a.AddAPIKey(ctx, k); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the same key again: %v", err)
	}
	a = reopen()
	got, err := a.APIKey(ctx, k.ID)
	must(t, err)
	want(t, "the key", got, k)
	all, err := a.APIKeys(ctx)
	must(t, err)
	want(t, "all keys", all, []store.APIKey{k})
	must(t, a.DeleteAPIKey(ctx, k.ID))
	if _, err := a.APIKey(ctx, k.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a deleted key: %v", err)
	}
}

// What was answered to a request is known to whoever asks again, also after a start.
func answersAreKept(t *testing.T, open Open) {
	a, reopen := open(t)
	ctx := t.Context()
	key := [32]byte{1}
	claim := func(text, known string) {
		t.Helper()
		kept, err := a.ClaimAnswer(ctx, key, []byte(text))
		must(t, err)
		want(t, "what was kept", string(kept), known)
	}
	claim("first", "")
	claim("second", "first")
	must(t, a.KeepAnswer(ctx, key, []byte("the answer")))
	a = reopen()
	claim("third", "the answer")
	must(t, a.KeepAnswer(ctx, key, nil))
	claim("fourth", "")
}
