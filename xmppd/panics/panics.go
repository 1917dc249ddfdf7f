// Package panics catches programmers' mistakes, so that one costs what was being
// done and not the process, with everybody's sessions and messages in it.
//
// A panic's value can quote what somebody wrote, and so can what its functions
// were called with. Neither is logged: the log has the value's type, what the Go
// runtime says where that is nothing but numbers, and functions with their lines.
// That is enough to find the mistake, and can be passed on.
package panics

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// Message is the message under which a panic is logged, with the keys err and stack. Whoever
// counts panics, or mails them, looks for it.
const Message = "panic"

// Log logs a panic's value, as a deferred function has recovered it.
func Log(log *slog.Logger, value any) {
	log.Error(Message, "err", reason(value), "stack", stack())
}

// Catch calls do and says whether it broke, which is logged.
func Catch(log *slog.Logger, do func()) (broke bool) {
	defer func() {
		if p := recover(); p != nil {
			Log(log, p)
			broke = true
		}
	}()
	do()
	return false
}

// pauses stand before what broke begins again. It is not begun again for ever: what breaks
// each time would only fill the log and the operators' mail.
var pauses = []time.Duration{time.Second, 10 * time.Second, time.Minute, 10 * time.Minute}

// calm is how long it has to do well until it may break as often as at first.
const calm = time.Hour

// Keep calls run, one of the server's loops, until it returns. When it breaks it is called
// again after a pause, four times: mostly it was one odd thing that it met, and all the
// others wait to be done. Then it rests until the next start.
//
// A loop must be able to begin anew: it holds no lock without a defer, and what it goes on
// with stands in a store or is found out again.
func Keep(ctx context.Context, log *slog.Logger, part string, run func(context.Context)) {
	log = log.With("part", part)
	var p Patience
	for Catch(log, func() { run(ctx) }) {
		if !p.Rest(ctx, log) {
			return
		}
	}
}

// A Patience counts how often one part broke. The zero value is good.
type Patience struct {
	n    int
	last time.Time
}

// Rest waits after the part broke. It says whether the part is to begin again: not when it
// broke too often, nor when ctx has ended.
func (p *Patience) Rest(ctx context.Context, log *slog.Logger) (again bool) {
	now := time.Now()
	if now.Sub(p.last) >= calm {
		p.n = 0
	}
	p.last = now
	switch {
	case ctx.Err() != nil:
		return false
	case p.n == len(pauses):
		log.Error("a part that breaks again and again rests until the next start", "attempt", p.n)
		return false
	}
	wait := pauses[p.n]
	p.n++
	log.Warn("a part that broke begins again", "attempt", p.n, "wait", wait)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// numbers are the texts of the Go runtime that hold nothing but numbers and types.
var numbers = regexp.MustCompile(`^runtime error: (index out of range|slice bounds out of range|invalid memory address|integer divide by zero|` +
	`makeslice: |hash of unhashable type|comparing uncomparable type|cannot convert slice)[\[\]0-9a-zA-Z:.,*() -]{0,120}$`)

// typed are the texts that Log makes of other values.
var typed = regexp.MustCompile(`^a value of the type [\w.*/\[\]{}() ;-]{1,120}$`)

// reason is what may be told of a panic's value.
func reason(value any) string {
	if err, ok := value.(runtime.Error); ok && numbers.MatchString(err.Error()) {
		return err.Error()
	}
	if text := fmt.Sprintf("a value of the type %T", value); typed.MatchString(text) {
		return text
	}
	return "a value"
}

// Harmless says whether a text is one that Log makes of a panic's value.
func Harmless(text string) bool { return numbers.MatchString(text) || typed.MatchString(text) }

// stack is where the caller of Log has got to, the newest first: as debug.Stack has it,
// without what functions were called with.
func stack() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var b strings.Builder
	for {
		f, more := frames.Next()
		if f.Function != "" {
			fmt.Fprintf(&b, "%s(...)\n\t%s:%d\n", f.Function, f.File, f.Line)
		}
		if !more {
			return b.String()
		}
	}
}
