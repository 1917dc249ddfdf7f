package sqlite

import (
	"context"
	"sync"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// Sizes in KiB of what connections keep of the file, and how many of them read.
const (
	writerCache = 2048
	readerCache = 512
	readers     = 4
)

// A pool holds the connections for reading.
type pool struct {
	slots chan struct{} // holds one for each that reads

	mu     sync.Mutex
	free   []*conn.Conn
	closed bool
}

// read runs do with a connection for reading, on one state of the file. do must be
// short and must not call out: while it runs the write-ahead log can't begin anew.
func (a *Account) read(ctx context.Context, do func(*conn.Conn) error) error {
	select {
	case a.pool.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-a.pool.slots }()
	if err := ctx.Err(); err != nil {
		return err
	}
	a.used.Store(true)
	c, err := a.pool.get(a.path)
	if err != nil {
		return err
	}
	defer a.pool.put(c)
	a.gate.RLock()
	defer a.gate.RUnlock()
	return c.InView(func() error { return do(c) })
}

func (p *pool) get(path string) (*conn.Conn, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, store.ErrUnavailable
	}
	if n := len(p.free); n > 0 {
		c := p.free[n-1]
		p.free = p.free[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	return conn.Open(conn.Config{Path: path, ReadOnly: true, Cache: readerCache})
}

func (p *pool) put(c *conn.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return
	}
	p.free = append(p.free, c)
}

// rest closes the connections that nobody uses.
func (p *pool) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.free {
		_ = c.Close()
	}
	p.free = nil
}

// end closes all connections, waiting for those who read.
func (p *pool) end() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for range readers {
		p.slots <- struct{}{}
	}
	p.rest()
	for range readers {
		<-p.slots
	}
}
