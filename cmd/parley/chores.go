package main

import (
	"context"
	"log/slog"
	"sync"

	"parley.im/parley/xmppd/panics"
)

// Chores are what commands have begun and nobody waits for. They end with the
// installation, which waits for them, and can be begun again.
type chores struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	ctx    context.Context // ends when the installation closes
	wg     sync.WaitGroup
	closed bool
}

// start runs do beside its caller, unless the installation is closing. Where it breaks, that
// is logged, and the server goes on.
func (c *chores) start(log *slog.Logger, do func(context.Context)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if c.cancel == nil {
		c.ctx, c.cancel = context.WithCancel(context.Background())
	}
	ctx := c.ctx
	c.wg.Go(func() { panics.Catch(log, func() { do(ctx) }) })
}

// end stops them, and returns when they have ended. It may be called twice.
func (c *chores) end() {
	c.mu.Lock()
	c.closed = true
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
	c.wg.Wait()
}
