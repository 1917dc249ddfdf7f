package notify

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"parley.im/parley/xmppd/notify/postbox"
	"parley.im/parley/xmppd/panics"
)

// inner breaks, with somebody's words at hand.
func inner(words string, n int) string {
	if n > 0 {
		return inner(words, n-1)
	}
	return words[len(words)+1:]
}

// WCP-11: a panic is mailed within 60 seconds, with its stack and without a word of what
// somebody wrote; many are one mail.
func TestPanicsAreMailed(t *testing.T) {
	box := postbox.Open(t, postbox.Options{})
	c := configOf(box)
	c.Every = 200 * time.Millisecond
	n := New(c)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { n.RunPanics(ctx) })
	defer wg.Wait()
	defer stop()
	var out bytes.Buffer
	log := slog.New(n.Handler(slog.NewJSONHandler(&out, nil), "parley v1")).With("session", "s1", "agent", "anna@desk.example").WithGroup("g")
	log.Info("signed in")
	began := time.Now()
	panics.Catch(log, func() { _ = inner("my card number is 4111", 2) })
	m := box.Next()
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	if m.Subject != "[desk.example] a mistake in the server was caught" || !strings.Contains(m.Text, "parley v1\nruntime error: slice bounds out of range [23:22]\n") ||
		strings.Count(m.Text, "parley.im/parley/xmppd/notify.inner\n    /") != 3 || !strings.Contains(m.Text, "panic_test.go:") {
		t.Errorf("%s\n%s", m.Subject, m.Text)
	}
	for _, word := range []string{"0x", "4111", "anna", "goroutine"} {
		if strings.Contains(m.Text, word) {
			t.Errorf("the mail holds %q:\n%s", word, m.Text)
		}
	}
	if !strings.Contains(out.String(), `"session":"s1"`) || !strings.Contains(out.String(), "slice bounds") {
		t.Errorf("the log has %s", out.String())
	}

	for range 100 {
		panics.Catch(log, func() { panic(fmt.Sprintf("cannot send %q to %s", "my card number", "anna@desk.example")) })
	}
	total := 0
	for total < panicsMax {
		m := box.Next()
		n := 1
		_, _ = fmt.Sscanf(m.Subject, "[desk.example] a mistake in the server was caught (%d times)", &n) // 1 where it counts none
		total += n
		if strings.Contains(m.Text, "card") || strings.Contains(m.Text, "anna@") {
			t.Errorf("%s\n%s", m.Subject, m.Text)
		}
	}
	if got := n.Stats.Panics.Load(); got != 101 {
		t.Errorf("%d panics counted, want 101", got)
	}
}

// What may stand in a mail of a panic's value and stack.
func TestWhatIsTold(t *testing.T) {
	for in, want := range map[string]bool{
		"runtime error: index out of range [5] with length 3":                 true,
		"runtime error: invalid memory address or nil pointer dereference":    true,
		"runtime error: integer divide by zero":                               true,
		"runtime error: slice bounds out of range [:5] with capacity 3":       true,
		"runtime error: index out of range [5] with length 3\nmy card number": false,
		"interface conversion: interface {} is string, not int":               false,
		"my card number": false,
		"runtime error: cannot convert slice with length 2 to array with length 4":   true,
		"regexp: Compile(`my card number`): error parsing regexp: missing closing )": false,
	} {
		if got := reason(in) == in; got != want {
			t.Errorf("reason(%q) = %q", in, reason(in))
		}
	}
	var stack string
	func() {
		defer func() {
			_ = recover()
			stack = string(debug.Stack())
		}()
		_ = inner("secret", 1)
	}()
	list := frames("panic: my card number\n" + stack + "created by my card number\n")
	if len(list) < 6 || len(list)%2 != 0 {
		t.Errorf("frames: %q of\n%s", list, stack)
	}
	for _, line := range list {
		if strings.ContainsAny(line, "\t\n") || strings.Contains(line, "0x") || strings.Contains(line, "card") {
			t.Errorf("frame %q", line)
		}
	}
}

// Whatever a stack looks like, the mail has functions and lines only.
func FuzzFrames(f *testing.F) {
	f.Add(string(debug.Stack()))
	f.Add("main.f({0x1, 0x2})\n\t/a/b.go:12 +0x33\nmy words\n\t/a/b.go:12\n")
	f.Fuzz(func(t *testing.T, stack string) {
		list := frames(stack)
		if len(list) > 2*framesMax+1 {
			t.Errorf("%d lines", len(list))
		}
		for i, line := range list {
			if strings.Contains(line, "\n") || i%2 == 1 && !strings.Contains(line, ":") {
				t.Errorf("%q: line %q", stack, line)
			}
		}
	})
}
