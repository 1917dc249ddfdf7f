// Command parley is an XMPP server for customer conversations, and the commands
// that look after it. 'parley -help' lists them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"parley.im/parley/conf"
	"parley.im/parley/xmppd/web"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C ends at once
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		complain(os.Stderr, err)
		os.Exit(exitCode(err))
	}
}

// run does what the arguments ask for.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	cmd, rest, err := findCommand(args)
	if err != nil {
		return err
	}
	c := &call{command: cmd, stdin: stdin, stdout: stdout, stderr: stderr}
	if cmd == nil || c.wantsHelp(rest) {
		return printHelp(stdout, args)
	}
	if err := c.parse(rest); err != nil {
		if cmd.plugin {
			err = &exitError{probeUnknown, err}
		}
		return err
	}
	return cmd.run(ctx, c)
}

// A usageError says that a command was typed wrongly.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

// A hintedError is an error with what to do about it.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

func withHint(err error, format string, args ...any) error {
	return &hintedError{err, fmt.Sprintf(format, args...)}
}

// exitCode is 2 for wrong usage and 1 for everything else that fails, unless the error
// says otherwise.
func exitCode(err error) int {
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return 2
	}
	return 1
}

// complain tells a person what went wrong, and what to do about it.
func complain(w io.Writer, err error) {
	if e, ok := errors.AsType[*exitError](err); ok {
		if e.err == nil {
			return // it has been said
		}
		err = e.err
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range several.Unwrap() {
			complain(w, err)
		}
		return
	}
	fmt.Fprintf(w, "parley: %v\n", err)
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(w, "hint: %s\n", hint)
	}
}

func hintOf(err error) string {
	if e, ok := errors.AsType[*hintedError](err); ok {
		return e.hint
	}
	if e, ok := errors.AsType[*usageError](err); ok {
		return e.hint
	}
	if f, ok := errors.AsType[*conf.Fault](err); ok {
		return f.Hint
	}
	if r, ok := errors.AsType[*web.Refusal](err); ok {
		return r.Hint
	}
	return lockedOut(err)
}
