package visit

import (
	"context"
	"sync"
	"time"
)

const (
	// turnTime is how long the wheel takes to turn: whoever has sent nothing since the last time is
	// asked whether it is still there.
	turnTime = 45 * time.Second
	slots    = int(turnTime / time.Second)
	// queuesEvery is how often those who wait hear of their places.
	queuesEvery = 3 * time.Second
)

// A wheel has a place for each line, and comes by once in turnTime: one timer for all of them.
type wheel struct {
	mu    sync.Mutex // guards what follows
	slots [slots]map[*line]struct{}
	next  int // for whoever comes
}

func (w *wheel) init() {
	for i := range w.slots {
		w.slots[i] = make(map[*line]struct{})
	}
}

func (w *wheel) add(l *line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.slot = w.next
	w.slots[l.slot][l] = struct{}{}
	w.next = (w.next + 1) % slots
}

func (w *wheel) remove(l *line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.slots[l.slot], l)
}

// turn asks those of a slot from whom nothing was heard.
func (w *wheel) turn(slot int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := range w.slots[slot] {
		if !l.heard.Swap(false) {
			l.out.beat(l)
		}
	}
}

// Run keeps time until the context ends: it tells those who wait of their places, and notices who is gone.
func (s *Server) Run(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for tick := 0; ; tick++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.wheel.turn(tick % slots)
		if tick%int(queuesEvery/time.Second) == 0 {
			for _, a := range s.all() {
				a.look(s.cfg.Now())
			}
		}
	}
}
