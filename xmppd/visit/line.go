package visit

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/panics"
)

// A sink is what frames go out through: a WebSocket, or a stream of events.
type sink interface {
	// write sends a frame; seq is that of its record, 0 for what is no record. It waits at most
	// Server.writeTime.
	write(data []byte, seq int64) error
	// beat has the client show that it is still there, or the way to it that it is used.
	beat(*line)
	// close says why it ends, and ends it.
	close(bye)
}

// writeTime is how long a client may take to read what it gets before it is cut.
const writeTime = 10 * time.Second

// A line is a client's connection to a contact: a place in its records, and what is to be sent
// besides. While there is something to write, a goroutine does that (run); an idle line has none.
type line struct {
	talk  *talk
	out   sink
	from  netip.Prefix
	slot  int           // of the wheel
	heard atomic.Bool   // something came since the wheel was there
	room  chan struct{} // holds one value for whoever waits in roomToSay
	done  chan struct{} // closed when nothing is written any more

	checked bool // touched by run only

	mu      sync.Mutex // guards what follows
	running bool       // run does; for good, when the line is done
	look    bool       // there may be records that were not written
	last    bool       // after what there is nothing comes any more
	at      int64      // everything up to that record was written, or is about to be
	saying  []string   // ids of what the client has said and run has not met yet
	again   []int64    // records that the client has said again
	beside  [][]byte   // frames that are no records
	signal  *contact.Signal
	queue   place // what the client knows of its place
	over    bool
	why     bye
}

const (
	// sayingMax is how much that is said can be under way; the next frame is read when there is less.
	sayingMax = 16
	// besideMax is how many frames wait that are no records. Whoever lets more wait reads nothing, and
	// is cut.
	besideMax = 32
	// pageSize is how many records are read at a time.
	pageSize = 32
)

// newLine is a line that has everything up to a record. It writes when join has put it in its talk.
func newLine(out sink, where netip.Prefix, after int64) *line {
	l := &line{out: out, from: where, at: after, look: true, room: make(chan struct{}, 1), done: make(chan struct{})}
	l.heard.Store(true)
	return l
}

// change changes what there is to write, and has it written.
func (l *line) change(f func()) {
	l.mu.Lock()
	f()
	run := !l.running && l.talk != nil
	l.running = l.running || run
	l.mu.Unlock()
	if run {
		go l.run() // ends when there is nothing to write, and before done is closed
	}
}

// end has the line end, with a reason that the client gets if it can. The first reason holds.
func (l *line) end(why bye) {
	l.change(func() {
		if !l.over {
			l.over, l.why = true, why
		}
	})
	l.tellRoom()
}

// ended says whether the line has, or is about to.
func (l *line) ended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over
}

// tell sends a frame that is no record.
func (l *line) tell(data []byte) {
	full := false
	l.change(func() {
		if full = len(l.beside) >= besideMax; !full {
			l.beside = append(l.beside, data)
		}
	})
	if full {
		l.end(byeGone)
	}
}

// Changed is contact.Watcher's.
func (l *line) Changed(ch *desk.Change) {
	l.talk.becomes(ch.Is)
	records, _ := ch.Kept.(contact.Records)
	l.change(func() {
		for _, r := range records { // the last may be of what was said before
			l.look = l.look || r.N > l.at
		}
	})
}

// Signalled is contact.Watcher's: agents write, or do so no more, of which the last
// one will do; or they ask how it was.
func (l *line) Signalled(s contact.Signal) {
	switch {
	case s.By == desk.Visitor:
	case s.What == contact.Composing, s.What == contact.Paused:
		l.change(func() { l.signal = &s })
	case s.What == contact.AskRating:
		l.tell((&frame{Type: "ask", What: "rating"}).bytes())
	}
}

// work is what run takes at a time.
type work struct {
	beside [][]byte
	again  []int64
	signal *contact.Signal
	look   bool
}

// take takes what there is to do. It is false when there is nothing, and run ends.
func (l *line) take() (w work, why bye, over, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w = work{l.beside, l.again, l.signal, l.look}
	l.beside, l.again, l.signal, l.look = nil, nil, nil, false
	ok = l.over || w.look || w.signal != nil || len(w.beside)+len(w.again) > 0
	l.running = ok
	return w, l.why, l.over, ok
}

// run writes what there is to write.
func (l *line) run() {
	why, over := byeRestart, true // if it breaks
	defer func() {
		if over {
			l.finish(why)
		}
	}()
	panics.Catch(l.talk.account.log, func() { why, over = l.write() })
}

// finish ends the line: nothing is written any more.
func (l *line) finish(why bye) {
	l.mu.Lock()
	l.over, l.running = true, true
	l.mu.Unlock()
	l.tellRoom()
	l.out.close(why)
	close(l.done)
}

func (l *line) write() (why bye, over bool) {
	ctx := context.Background() // what waits for the client ends with writeTime
	for {
		w, why, over, ok := l.take()
		if over || !ok {
			return why, over
		}
		if err := l.writeBeside(ctx, &w); err != nil {
			return byeGone, true
		}
		if !w.look {
			continue
		}
		if !l.checked {
			l.checked = true
			if err := l.check(ctx); err != nil {
				return byeRestart, true
			}
		}
		if why, over := l.catchUp(ctx); over {
			return why, true
		}
		if l.last {
			return byeClosed, true
		}
	}
}

// check holds what the client says that it has to what there is. Who has more than that has something else, and
// gets all.
func (l *line) check(ctx context.Context) error {
	if l.at == 0 {
		return nil
	}
	_, last, _, err := l.talk.page(ctx, l.at-1, 1)
	if err != nil {
		return err
	}
	if last == l.at {
		l.talk.sent(last)
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = 0
	return nil
}

// catchUp writes all records that follow the line's place.
func (l *line) catchUp(ctx context.Context) (why bye, over bool) {
	for {
		page, last, full, err := l.talk.page(ctx, l.at, pageSize)
		switch {
		case errors.Is(err, store.ErrNotFound): // it was destroyed
			return byeExpired, true
		case err != nil:
			l.talk.account.log.Error("a contact's records can't be read", "conversation", l.talk.id, "err", err)
			return byeRestart, true
		}
		for _, it := range page {
			if l.ended() {
				return bye{}, false // run says why
			}
			if err := l.out.write(l.pass(it).bytes(), it.n); err != nil {
				return byeGone, true
			}
			if it.last {
				return byeClosed, true
			}
		}
		l.mu.Lock()
		l.at = last // what no visitor sees, too
		l.mu.Unlock()
		if !full {
			return bye{}, false
		}
	}
}

// pass moves the line's place to a record, and gives what is to be written: to the client that has
// just said it the answer to that.
func (l *line) pass(n *news) *news {
	l.mu.Lock()
	l.at = n.n
	mine := n.mine != "" && l.forget(n.mine)
	l.mu.Unlock()
	switch {
	case mine:
		return n.answers()
	case n.From != nil && n.mine == "":
		l.talk.sent(n.n)
	}
	return n
}

// forget lets go of what the client has said under an id, and says whether there was something. l.mu is held.
func (l *line) forget(id string) bool {
	before := len(l.saying)
	l.saying = slices.DeleteFunc(l.saying, func(s string) bool { return s == id })
	if len(l.saying) == before {
		return false
	}
	l.tellRoom()
	return true
}

func (l *line) tellRoom() {
	select {
	case l.room <- struct{}{}:
	default:
	}
}

// say has something said. The answer comes in its turn, when run meets the record; where it has met it
// before, since it is said again, it is answered at once.
func (l *line) say(f *asked) {
	l.mu.Lock()
	l.saying = append(l.saying, f.ID)
	l.mu.Unlock()
	l.talk.says(f, func(ch *desk.Change, err error) {
		if err == nil && !ch.Repeated {
			return
		}
		asked := false
		l.change(func() {
			if err != nil {
				asked = l.forget(f.ID)
			} else if records := ch.Kept.(contact.Records); records[len(records)-1].N <= l.at && l.forget(f.ID) {
				l.again = append(l.again, records[len(records)-1].N)
			}
		})
		if asked {
			l.tell(errorFrame(f, l.talk.account.refused(err)))
		}
	})
}

// roomToSay waits until not too much that was said is under way. It is false when the line ends.
func (l *line) roomToSay() bool {
	for {
		l.mu.Lock()
		n, over := len(l.saying), l.over
		l.mu.Unlock()
		if over || n < sayingMax {
			return !over
		}
		<-l.room
	}
}

// writeBeside writes what is no record, or was written before.
func (l *line) writeBeside(ctx context.Context, w *work) error {
	for _, data := range w.beside {
		if err := l.out.write(data, 0); err != nil {
			return err
		}
	}
	if w.signal != nil {
		if err := l.out.write(l.typing(w.signal), 0); err != nil {
			return err
		}
	}
	for _, n := range w.again {
		page, _, _, err := l.talk.page(ctx, n-1, 1)
		if err != nil {
			return err
		}
		for _, it := range page {
			if err := l.out.write(it.answers().bytes(), 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// typing is the frame that says that an agent writes.
func (l *line) typing(s *contact.Signal) []byte {
	on := s.What == contact.Composing
	f := frame{Type: "typing", On: &on, From: &from{Kind: string(s.By)}}
	if s.Agent != 0 {
		agent := l.talk.account.face(context.Background(), s.Agent)
		f.From.Name, f.From.Avatar = agent.Name, agent.Avatar
	}
	return f.bytes()
}

// placed tells the client its place in the queue, if that is another one than it knows.
func (l *line) placed(p place) {
	l.mu.Lock()
	same := l.queue == p
	l.queue = p
	l.mu.Unlock()
	if !same && p.position > 0 {
		l.tell((&frame{Type: "queue", Position: p.position, Wait: p.wait}).bytes())
	}
}
