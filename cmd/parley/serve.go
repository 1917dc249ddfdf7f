package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"

	"parley.im/parley/conf"
	"parley.im/parley/store/audit"
)

// serve runs the server until it is told to stop.
func serve(ctx context.Context, c *call) error {
	f, err := c.load()
	if err != nil {
		return err
	}
	if err := noCores(); err != nil {
		return err
	}
	silence()
	// From here on SIGHUP ends nothing: one that comes too early waits.
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	if os.Getenv("GOGC") == "" {
		// Idle sessions are memory that lies still: collecting a little more often costs no
		// time that can be measured and saves an eighth of it (docs/performance.md).
		debug.SetGCPercent(75)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// One more than there are, so that one looks for what comes in while the others work.
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	log := newLog(f, c.stderr)
	s, err := newServer(ctx, f, log, realWorld)
	if err != nil {
		return err
	}
	s.supervisor = &supervisor{socket: os.Getenv("NOTIFY_SOCKET")}
	done := make(chan struct{})
	defer close(done)
	go func() { // ends with serve
		for {
			select {
			case <-again:
				if err := s.supervisor.reload(func() error { return s.hangUp(ctx) }); err != nil {
					log.Error("configuration not read again; the old one holds", "err", err)
				}
			case <-done:
				return
			}
		}
	}()
	return s.run(ctx)
}

// hangUp reads the configuration again, with a record of it: who may signal the server is
// an operator, though nobody knows which.
func (s *server) hangUp(ctx context.Context) error {
	ctx = audit.Called(ctx, audit.Caller{Actor: audit.Actor{Kind: audit.Operator, ID: "signal"}, Address: "local"})
	return s.inst.audited(ctx, "", audit.Record{Action: "configuration.reload", Object: "configuration"}, s.reload)
}

// noCores sees to it that a crash leaves nothing behind that holds a conversation (I3).
// Linux hands a core to a program that asks for it (core_pattern) in spite of a limit
// of 0, but not in spite of a limit of 1, which is too little for a file as well.
func noCores() error {
	if unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1, Max: 1}) == nil {
		return nil
	}
	// It is 0, and not ours to raise.
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

// newLog is the log that the configuration asks for.
func newLog(f *conf.File, w io.Writer) *slog.Logger {
	var level slog.Level
	level.UnmarshalText([]byte(f.Log.Level)) // checked by conf
	o := &slog.HandlerOptions{Level: level}
	if f.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
