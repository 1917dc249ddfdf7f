package storetest

import (
	"testing"
	"time"

	"parley.im/parley/store"
)

// A token is made once, outlives a start, and is rotated together with the event of that; the
// one before it is told for as long as it is good. VIV-7
func tokenIsRotated(t *testing.T, open Open) {
	a, reopen := open(t)
	ctx := t.Context()
	first, err := a.Token(ctx)
	must(t, err)
	again, err := a.Token(ctx)
	must(t, err)
	if len(first.Value) != 96 || again != first || first.Previous != "" || !first.Until.IsZero() {
		t.Fatalf("the first token is %+v, then %+v", first, again)
	}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	before := a.Newest()
	second, err := a.RotateToken(ctx, until, []byte(`{"a":1}`))
	must(t, err)
	if second.Value == first.Value || len(second.Value) != 96 {
		t.Errorf("rotated to %+v", second)
	}
	want(t, "the token before", second.Previous, first.Value)
	want(t, "until when it is good", second.Until, until)
	must(t, a.Read(ctx, before, 10, func(e *store.Entry) error {
		want(t, "the event", e.Kind.Event()+string(e.Data), `security.token_rotated{"a":1}`)
		return nil
	}))
	want(t, "records of it", a.Newest()-before, store.Ordinal(1))

	a = reopen()
	again, err = a.Token(ctx)
	must(t, err)
	want(t, "the token after a start", again, second)

	third, err := a.RotateToken(ctx, time.Now(), []byte(`{}`))
	must(t, err)
	if third.Value == second.Value || third.Previous != "" || !third.Until.IsZero() {
		t.Errorf("rotated without an overlap: %+v", third)
	}
}
