package xmppd

import (
	"sync"
	"time"
)

// writers are the goroutines that write for all sessions. One is borrowed for as
// long as a session has something to write, so that an idle session has none, and
// a slow peer holds up nobody else.
type writers struct {
	ready chan *Session // never closed
	done  chan struct{} // closed when no session writes any more
	wg    sync.WaitGroup
	once  sync.Once
}

// worker is the memory that a writer takes from session to session.
type worker struct {
	buf   []byte
	items []item
}

// lingering is how long a writer waits for its next session.
const lingering = 5 * time.Second

func (p *writers) write(s *Session) {
	select {
	case p.ready <- s:
	default:
		p.wg.Go(func() { p.work(s) })
	}
}

func (p *writers) work(s *Session) {
	var w worker
	idle := time.NewTimer(lingering)
	defer idle.Stop()
	for {
		w.run(s)
		idle.Reset(lingering)
		select {
		case s = <-p.ready:
		case <-idle.C:
			return
		case <-p.done:
			return
		}
	}
}

func (w *worker) run(s *Session) {
	defer func() {
		if p := recover(); p != nil {
			logPanic(s.log(), p)
			s.mu.Lock()
			s.cut, s.out.writing = true, false
			s.out.pulls = nil
			if s.epoch != nil {
				s.sever(s.epoch)
			}
			s.cond.Broadcast()
			s.mu.Unlock()
		}
	}()
	s.flush(w)
	clear(w.items)
	if cap(w.buf) > 2*writeSize {
		w.buf = nil
	}
}

// close ends the writers that wait. Every reader has ended before, so that no
// session writes any more.
func (p *writers) close() {
	p.once.Do(func() { close(p.done) })
	p.wg.Wait()
}
