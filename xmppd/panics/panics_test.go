package panics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// inner breaks, with somebody's words at hand.
func inner(words string, n int) string {
	if n > 0 {
		return inner(words, n-1)
	}
	return words[len(words)+1:]
}

// I7: the log has where it broke and what of, and nothing of what was at hand.
func TestWhatIsLogged(t *testing.T) {
	for _, c := range []struct {
		name string
		in   func()
		want string
	}{
		{"the runtime's", func() { _ = inner("my card number is 4111", 2) }, "runtime error: slice bounds out of range [23:22]"},
		{"a nil pointer", func() { var l *slog.Logger; l.Info("4111") }, "runtime error: invalid memory address or nil pointer dereference"},
		{"a text", func() { panic("my card number is 4111") }, "a value of the type string"},
		{"an error", func() { panic(errors.New("my card number is 4111")) }, "a value of the type *errors.errorString"},
		{"a wrong type", func() { var v any = "4111"; _ = v.(fmt.Stringer) }, "a value of the type *runtime.TypeAssertionError"},
		{"a type with words in it", func() {
			panic(struct {
				A int `card:"4111"`
			}{})
		}, "a value"},
	} {
		var out bytes.Buffer
		if !Catch(slog.New(slog.NewTextHandler(&out, nil)), c.in) {
			t.Errorf("%s: nothing was caught", c.name)
		}
		text := out.String()
		if !strings.Contains(text, "level=ERROR msg=panic ") || !strings.Contains(text, fmt.Sprintf("err=%q ", c.want)) ||
			!strings.Contains(text, "panics.TestWhatIsLogged.func") || !strings.Contains(text, "panics_test.go:") {
			t.Errorf("%s: the log has %s", c.name, text)
		}
		if strings.Contains(text, "4111") || strings.Contains(text, "0x") {
			t.Errorf("%s: the log holds what it must not: %s", c.name, text)
		}
		if c.want != "a value" && !Harmless(c.want) {
			t.Errorf("%q is not harmless", c.want)
		}
	}
	if Catch(slog.New(slog.DiscardHandler), func() {}) {
		t.Error("caught, and nothing broke")
	}
	for _, text := range []string{"my card number is 4111", "a value of the type string: \"4111\"", "runtime error: index out of range\n4111", ""} {
		if Harmless(text) {
			t.Errorf("%q is harmless", text)
		}
	}
}

// A loop that breaks begins again, after pauses that grow; not for ever, unless it did well
// in between.
func TestLoopsBeginAgain(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	synctest.Test(t, func(t *testing.T) {
		began, calls := time.Now(), 0
		Keep(t.Context(), log, "test", func(context.Context) { calls++; panic("each time") })
		if took, want := time.Since(began), 11*time.Minute+11*time.Second; calls != 5 || took != want {
			t.Errorf("%d calls in %v, want 5 in %v", calls, took, want)
		}
		if text := out.String(); strings.Count(text, " part=test ") != 10 || strings.Count(text, "rests until the next start") != 1 {
			t.Errorf("the log has\n%s", text)
		}
		calls = 0
		Keep(t.Context(), log, "test", func(context.Context) {
			if calls++; calls < 20 {
				time.Sleep(calm)
				panic("once an hour")
			}
		})
		if calls != 20 {
			t.Errorf("%d calls, want 20", calls)
		}
		ctx, stop := context.WithCancel(t.Context())
		calls = 0
		time.AfterFunc(5*time.Second, stop)
		began = time.Now()
		Keep(ctx, log, "test", func(context.Context) { calls++; panic("each time") })
		if took := time.Since(began); calls != 2 || took != 5*time.Second {
			t.Errorf("%d calls in %v, although it was to end", calls, took)
		}
		Keep(ctx, log, "test", func(context.Context) { stop(); panic("at the end") })
	})
}
