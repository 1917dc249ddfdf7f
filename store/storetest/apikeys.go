package storetest

import (
	"errors"
	"fmt"
	"sync"
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

// However many are added at once, there are never more than there may be.
func limitsHoldForManyAtOnce(t *testing.T, open Open) {
	a, _ := open(t)
	const more = 7 // than there may be
	add := func(what string, most int, one func(n int) error) {
		t.Helper()
		errs := make([]error, most+more)
		var wg sync.WaitGroup
		for n := range errs {
			wg.Go(func() { errs[n] = one(n) })
		}
		wg.Wait()
		refused := 0
		for _, err := range errs {
			if errors.Is(err, store.ErrTooMany) {
				refused++
			} else if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		want(t, what+" that are one too many", refused, more)
	}
	add("keys", store.MaxAPIKeys, func(n int) error {
		return a.AddAPIKey(t.Context(), store.APIKey{ID: fmt.Sprint("ak_desk_", n), Created: start})
	})
	add("endpoints", store.MaxEndpoints, func(n int) error {
		return a.AddEndpoint(t.Context(), store.Endpoint{ID: fmt.Sprint("wh_", n), Created: start})
	})
	must(t, a.DeleteEndpoint(t.Context(), firstEndpoint(t, a)))
	must(t, a.AddEndpoint(t.Context(), store.Endpoint{ID: "wh_next", Created: start}))
}

func firstEndpoint(t *testing.T, a store.Account) string {
	t.Helper()
	all, err := a.Endpoints(t.Context())
	must(t, err)
	return all[0].ID
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
	must(t, a.ForgetAnswers(ctx, time.Now().Add(-time.Hour)))
	claim("fifth", "fourth")
	must(t, a.ForgetAnswers(ctx, time.Now().Add(time.Hour)))
	claim("sixth", "")
}
