package hook

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"parley.im/parley/store"
)

// flaky fails its first readings.
type flaky struct {
	*ledger
	left atomic.Int64
}

func (f *flaky) Read(ctx context.Context, after store.Ordinal, max int, yield func(*store.Entry) error) error {
	if f.left.Add(-1) >= 0 {
		return errors.New("disk on fire")
	}
	return f.ledger.Read(ctx, after, max, yield)
}

func TestReadingIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		f := &flaky{ledger: s.m}
		f.left.Store(3)
		a := desk(s.m)
		a.Store = f
		start(t, s.c, a)
		s.m.say("one")
		pass(time.Minute)
		if n := len(s.all()); n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
	})
}

func TestManyReadersShareOneReading(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		for i := range 19 {
			s.m.with(store.Endpoint{ID: fmt.Sprint("wh_more", i), URL: "https://shop.example/parley"})
		}
		c := &counted{ledger: s.m}
		a := desk(s.m)
		a.Store = c
		start(t, s.c, a)
		pass(time.Second)
		for range 10 {
			s.m.say("hello")
			pass(time.Second)
		}
		if n := len(s.all()); n != 200 {
			t.Errorf("%d attempts, want 200", n)
		}
		if n := c.reads.Load(); n > 20 {
			t.Errorf("the log was read %d times for 10 events and 20 endpoints", n)
		}
	})
}

type counted struct {
	*ledger
	reads atomic.Int64
}

func (c *counted) Read(ctx context.Context, after store.Ordinal, max int, yield func(*store.Entry) error) error {
	c.reads.Add(1)
	return c.ledger.Read(ctx, after, max, yield)
}
