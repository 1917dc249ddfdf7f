package hook

import (
	"context"
	"slices"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/panics"
)

// pause follows what the store could not do, and tellAgain is how often the log tells of it:
// it may last for days.
const (
	pause     = 5 * time.Second
	tellAgain = time.Hour
)

// full says whether so much has failed that nothing new is tried.
func (w *worker) full() bool { return w.live >= w.c.rows }

// firstRow is the row that is due first of those whose turn it may be; -1 if there is none.
func (w *worker) firstRow(now time.Time) int {
	return slices.IndexFunc(w.rows, func(j *job) bool { return w.order.ready(j, now) })
}

// rowDue is when a row is tried.
func (w *worker) rowDue(i int) time.Time {
	due := w.rows[i].due
	if w.full() && w.probe.Before(due) {
		return w.probe
	}
	return due
}

// fill reads the log into the window. It says whether there may be more to read
// at once.
func (w *worker) fill(ctx context.Context) bool {
	if len(w.window) >= readAhead*w.c.Concurrency || w.full() || w.pos >= w.store.Newest() {
		return false
	}
	entries, to, err := w.tail.read(ctx, w.pos)
	if err != nil {
		w.deaf(ctx, w.pos, err)
		return false
	}
	now := time.Now()
	for _, e := range entries {
		if len(w.window) >= readAhead*w.c.Concurrency {
			to = e.Ordinal - 1
			break
		}
		if !e.Tampered && !w.endpoint.Wants(e) {
			continue
		}
		if w.ahead[e.Ordinal] {
			delete(w.ahead, e.Ordinal)
			continue
		}
		j := &job{ordinal: e.Ordinal, conversation: e.Conversation, due: eventTime(e, now)}
		if !w.prepare(j, e) {
			w.passBy(j, now)
			continue
		}
		w.window = append(w.window, j)
		w.order.join(j)
	}
	w.putOff(now)
	more := to > w.pos
	w.pos = to
	w.moved(now)
	return more
}

// prepare renders an entry, and says whether that can be sent.
func (w *worker) prepare(j *job, e *store.Entry) bool {
	j.event = &event{ordinal: e.Ordinal, conversation: e.Conversation, name: e.Kind.Event()}
	if e.Tampered {
		return false // the store has told of it
	}
	var err error
	j.broke = panics.Catch(w.log, func() {
		j.event.id = w.account.eventID(e.Ordinal)
		j.event.body, err = w.shape.render(w.account, e)
	})
	if err != nil {
		w.log.Error("record cannot be sent as a webhook", "id", e.Ordinal, "err", err)
	}
	return err == nil && !j.broke
}

// attempt tries to deliver a job's event. Where that breaks it has failed: it is tried again.
func (w *worker) attempt(j *job) (o outcome) {
	if panics.Catch(w.log, func() { o = w.poster.post(w.requests, j.event, j.attempt+1) }) {
		now := time.Now()
		o = outcome{id: deliveryID(now), at: now, problem: errBroke.Error()}
	}
	return o
}

// deaf is what follows when the log cannot be read: another try, and a line now and then.
func (w *worker) deaf(ctx context.Context, at store.Ordinal, err error) {
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	w.hold = now.Add(pause)
	if w.told.IsZero() || now.Sub(w.told) >= tellAgain {
		w.told = now
		w.log.Error("log cannot be read for webhooks", "id", at, "err", err, "wait", pause)
	}
}

// launch starts as many requests as may be in flight.
func (w *worker) launch(ctx context.Context) {
	for w.flying < w.limit && ctx.Err() == nil {
		now := time.Now()
		if now.Before(w.hold) {
			return
		}
		ok, again := w.s.pace.take(now)
		if !ok {
			w.paced = again
			return
		}
		j := w.pick(now)
		if j == nil {
			w.s.pace.give()
			return
		}
		if j.event == nil && !w.reread(ctx, j) {
			continue
		}
		if j.first.IsZero() {
			j.first = now
		}
		j.flying = true
		w.flying++
		w.wg.Go(func() { w.results <- result{j, w.attempt(j)} })
	}
}

// pick is the next job to start: of the first new event and the first row the
// one that has been due for longer, so that neither starves the other.
func (w *worker) pick(now time.Time) *job {
	var fresh *job
	if !w.full() {
		for _, j := range w.window {
			if !j.flying && !j.settled && w.order.ready(j, now) {
				fresh = j
				break
			}
		}
	}
	i := w.firstRow(now)
	if i < 0 || w.rowDue(i).After(now) || fresh != nil && fresh.due.Before(w.rows[i].due) {
		return fresh
	}
	if w.full() {
		w.probe = now.Add(probeEvery)
	}
	return w.rows.take(i)
}

// reread gets the event of a row from the log. A record that was destroyed
// meanwhile is settled.
func (w *worker) reread(ctx context.Context, j *job) bool {
	good := true
	err := w.store.Entries(ctx, []store.Ordinal{j.ordinal}, func(e *store.Entry) error {
		if !e.Locked || e.Tampered {
			good = w.prepare(j, e)
		}
		return nil
	})
	switch {
	case err != nil && !gone(err):
		w.deaf(ctx, j.ordinal, err)
		w.rows.add(j)
		return false
	case !good:
		w.passBy(j, time.Now())
		return false
	case j.event == nil:
		w.settleRow(j)
		w.saveWithin(settleAfter)
		return false
	}
	return true
}
