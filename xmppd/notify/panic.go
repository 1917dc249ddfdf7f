package notify

import (
	"context"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"parley.im/parley/xmppd/panics"
)

// A Panic is a programmer's mistake that was caught.
type Panic struct {
	At      time.Time
	Reason  string   // of the Go runtime, or its type
	Stack   []string // functions and lines, without what they were called with
	Version string

	// Set for the mail.
	Host  string
	Count int
}

// Handler passes records on, and has those of panics mailed: wherever one is caught it is
// logged, so this is the one place that sees them all.
func (n *Notifier) Handler(next slog.Handler, version string) slog.Handler {
	return &handler{next, n, version}
}

type handler struct {
	slog.Handler
	n       *Notifier
	version string
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == panics.Message && r.Level >= slog.LevelError {
		h.n.panicked(&r, h.version)
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.Handler.WithAttrs(attrs), h.n, h.version}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Handler.WithGroup(name), h.n, h.version}
}

// panicked does not wait.
func (n *Notifier) panicked(r *slog.Record, version string) {
	n.Stats.Panics.Add(1)
	p := Panic{At: r.Time, Version: version}
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "err":
			p.Reason = reason(a.Value.String())
		case "stack":
			p.Stack = frames(a.Value.String())
		}
		return true
	})
	select {
	case n.panics <- p:
	default: // as many are waiting as anybody reads
	}
}

// reason is what may be told of a panic's value: it could quote what somebody wrote. WCP-11
func reason(text string) string {
	if panics.Harmless(text) {
		return text
	}
	return "(what it says is not told)"
}

var (
	// call is a function's line of a stack: its name, and in parentheses what it was called with.
	call = regexp.MustCompile(`^([\w./*()\[\]{}~\-·]+?)\((?:[0-9a-fx, {}.?_]*)\)$`)
	// where is a line that says where in the source.
	where = regexp.MustCompile(`^\t(.+\.(?:go|s):\d+)(?: \+0x[0-9a-f]+)?$`)
)

// framesMax is how much of a stack is mailed.
const framesMax = 60

// frames takes functions and lines from debug.Stack's text. What looks otherwise is left out:
// a goroutine's head, arguments, a panic's value.
func frames(stack string) (list []string) {
	name := ""
	for line := range strings.Lines(stack) {
		line = strings.TrimSuffix(line, "\n")
		if m := call.FindStringSubmatch(line); m != nil {
			name = m[1]
		} else if m := where.FindStringSubmatch(line); m != nil && name != "" {
			list = append(list, name, "    "+m[1])
			name = ""
		}
		if len(list) >= 2*framesMax {
			break
		}
	}
	return slices.Clip(list)
}
