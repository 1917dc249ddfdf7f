package hook

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"parley.im/parley/store"
)

// How far a worker goes.
const (
	// maxRows is the number of failed events that may wait in rows. An endpoint
	// that has more is not read for any further: what it misses stays in the log,
	// which keeps it anyway.
	maxRows = 1000
	// probeEvery is how often such an endpoint is tried with the next of its rows,
	// due or not, to see whether it is back.
	probeEvery = 5 * time.Minute
	// readAhead is the number of events, for each request that may be in flight,
	// that wait in memory behind one that takes long.
	readAhead = 8
	// lookEvery is the longest that a worker relies on being told of news.
	lookEvery = time.Minute
)

// A worker serves one endpoint. Its run owns all that is not marked otherwise.
type worker struct {
	// Fixed once it is made.
	s        *Sender
	c        *Config
	account  *Account
	store    Store
	tail     *tail
	endpoint store.Endpoint
	shape    shape
	poster   *poster
	log      *slog.Logger
	abort    context.CancelFunc // may be called by anybody: break off and end
	requests context.Context    // ended by abort, or when the drain is over
	wake     chan struct{}      // holds one signal
	results  chan result        // has room for all that can be in flight
	done     chan struct{}      // closed when run has ended
	wg       sync.WaitGroup     // requests in flight

	pos     store.Ordinal          // how far the log was read
	window  []*job                 // read and wanted, the first unsettled one at the front
	rows    rows                   // failed events, apart from those in flight
	order   *order                 // nil: any
	ahead   map[store.Ordinal]bool // rows of events that the cursor had not passed: not to be sent from the log, too
	live    int                    // failed events, with those in flight
	flying  int                    // requests in flight
	limit   int                    // requests that may be in flight now
	halved  time.Time              // when limit was halved last
	hold    time.Time              // nothing is started before
	paced   time.Time              // the processors have no time for more before
	probe   time.Time              // with too many rows, nothing is tried early before
	strikes int                    // failures since something was delivered last
	failing time.Time              // since when every attempt has failed; zero if the last did not
	told    time.Time              // when the log was told last that the store's cannot be read
	warned  bool                   // the log tells of it
	noted   bool                   // the store has failing
	over    bool                   // the endpoint is disabled or gone

	progress store.Progress // what the store is to be told
	saved    store.Ordinal  // the cursor that the store has
	saveAt   time.Time      // when to tell it; zero if there is nothing to tell
}

// A job is one event on its way to the endpoint.
type job struct {
	ordinal      store.Ordinal
	conversation store.ConversationID

	due     time.Time
	first   time.Time // when it was tried first
	attempt int       // attempts made so far
	row     bool      // it stands in a Retry
	flying  bool
	settled bool   // delivered, given up, or in a Retry
	event   *event // nil for a row that is not in flight
	broke   bool   // making it ready did
}

type result struct {
	job     *job
	outcome outcome
}

func newWorker(f *feed, e store.Endpoint) *worker {
	w := &worker{
		s: f.s, c: &f.s.c, account: f.account, store: f.account.Store, tail: f.tail,
		endpoint: e, shape: newShape(&e, f.s.c.API),
		poster:  newPoster(f.s, f.account, &f.token, &e),
		log:     f.log.With("hook", e.ID),
		wake:    make(chan struct{}, 1),
		results: make(chan result, f.s.c.Concurrency),
		done:    make(chan struct{}),
		pos:     e.Cursor, saved: e.Cursor,
		limit:    f.s.c.Concurrency,
		progress: store.Progress{Endpoint: e.ID},
	}
	if e.InOrder {
		w.order = &order{lines: make(map[store.ConversationID][]*job)}
	}
	w.requests, w.abort = context.WithCancel(context.Background())
	return w
}

// rouse tells the worker that there is news. It does not wait.
func (w *worker) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// stop ends the worker at once; what was in flight is unsettled.
func (w *worker) stop() {
	w.abort()
	<-w.done
}

func (w *worker) run(ctx context.Context) {
	defer close(w.done)
	defer w.poster.close()
	defer w.wg.Wait()
	defer w.abort()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.requests, cancel)()

	timer := time.NewTimer(0)
	defer timer.Stop()
	if !w.begin(ctx, timer) {
		return
	}
	for ctx.Err() == nil && !w.over {
		more := w.work(ctx)
		timer.Reset(w.idle(time.Now(), more))
		select {
		case <-ctx.Done():
		case r := <-w.results:
			w.settle(ctx, r)
		case <-w.wake:
		case <-timer.C:
		}
	}
	w.drain(ctx)
}

// begin reads what is known of the endpoint, as often as it takes.
func (w *worker) begin(ctx context.Context, timer *time.Timer) bool {
	for {
		err := w.load(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() == nil {
			w.log.Warn("webhook retries cannot be read", "err", err, "wait", pause)
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
	}
}

func (w *worker) load(ctx context.Context) error {
	list, err := w.store.Retries(ctx, w.endpoint.ID)
	if err != nil {
		return err
	}
	w.failing, err = w.loadFailing(ctx)
	if err != nil {
		return err
	}
	w.noted = !w.failing.IsZero()
	now := time.Now()
	rows := make([]*job, len(list))
	for i, r := range list {
		due, first := w.c.resumed(r, now)
		rows[i] = &job{ordinal: r.Ordinal, due: due, first: first, attempt: r.Attempt, row: true}
	}
	if err := w.lineUp(ctx, rows); err != nil {
		return err
	}
	w.rows, w.live, w.ahead = nil, len(list), make(map[store.Ordinal]bool)
	for _, j := range rows {
		w.addRow(j)
		if j.ordinal > w.pos {
			w.ahead[j.ordinal] = true
		}
	}
	return nil
}

// work does what can be done now without waiting for a receiver, and says
// whether there is more of the log to read at once.
func (w *worker) work(ctx context.Context) bool {
	w.save(ctx, time.Now())
	if w.over || ctx.Err() != nil || time.Now().Before(w.hold) {
		return false
	}
	more := w.fill(ctx)
	w.launch(ctx)
	return more
}

// idle is how long run may sleep if nobody wakes it.
func (w *worker) idle(now time.Time, more bool) time.Duration {
	if more || w.over {
		return 0
	}
	at := now.Add(lookEvery)
	earlier := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	if !w.saveAt.IsZero() {
		earlier(w.saveAt)
	}
	switch {
	case w.flying >= w.limit: // an answer wakes it
	case now.Before(w.paced):
		earlier(w.paced)
	case now.Before(w.hold):
		earlier(w.hold)
	default:
		if i := w.firstRow(now); i >= 0 {
			earlier(w.rowDue(i))
		}
	}
	return max(at.Sub(now), 0)
}

// drain gives requests in flight a last moment and keeps what came of them.
func (w *worker) drain(ctx context.Context) {
	last := time.AfterFunc(w.c.Drain, w.abort)
	defer last.Stop()
	for w.flying > 0 {
		w.settle(ctx, <-w.results)
	}
	w.wg.Wait()
	w.saveAt = time.Time{}
	if w.dirty() {
		w.flush(ctx)
	}
}

// gone says whether err means that the endpoint is no more.
func gone(err error) bool { return errors.Is(err, store.ErrNotFound) }
