package xmppd

import (
	"sync"
	"time"

	"parley.im/parley/xmppd/panics"
)

// writers are the goroutines that write for all sessions. One is borrowed for as
// long as a session has something to write, so that an idle session has none, and
// a slow peer holds up nobody else.
type writers struct {
	ready chan job      // never closed
	done  chan struct{} // closed when no session writes any more
	wg    sync.WaitGroup
	once  sync.Once

	turns *turns
	mu    sync.Mutex // guards what follows
	line  []*Session // each stands there once, and is written to in its turn
	moves bool       // somebody sees to that
}

// A job is a session to be written to, and the turn in which that is done.
type job struct {
	session *Session
	turn    *turn
}

// worker is the memory that a writer takes from session to session.
type worker struct {
	buf   []byte
	items []item
}

// lingering is how long a writer waits for its next session.
const lingering = 5 * time.Second

func (p *writers) write(j job) {
	select {
	case p.ready <- j:
	default:
		p.wg.Go(func() { p.work(j) })
	}
}

// writeSoon lets a session wait for its turn.
func (p *writers) writeSoon(s *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line = append(p.line, s)
	if !p.moves {
		p.moves = true
		p.wg.Go(p.move)
	}
}

// move starts one after another, until nobody is in line.
func (p *writers) move() {
	t := &turn{kind: deliveries}
	p.turns.take(t)
	n := 0
	for s := p.next(); s != nil; s = p.next() {
		switch {
		case !s.claim(true):
		case n < together-1:
			n++
			p.write(job{session: s})
		default:
			p.write(job{s, t})
			n, t = 0, &turn{kind: deliveries}
			p.turns.take(t)
		}
	}
	p.turns.leave(t)
}

// together is how many sessions are written to in one turn.
const together = 16

func (p *writers) next() *Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.line) == 0 {
		p.line, p.moves = nil, false
		return nil
	}
	s := p.line[0]
	p.line[0] = nil
	p.line = p.line[1:]
	return s
}

func (p *writers) work(j job) {
	var w worker
	idle := time.NewTimer(lingering)
	defer idle.Stop()
	for {
		w.run(j.session)
		if j.turn != nil {
			p.turns.leave(j.turn)
		}
		idle.Reset(lingering)
		select {
		case j = <-p.ready:
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
			panics.Log(s.log(), p)
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
