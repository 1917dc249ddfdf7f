package hook

import (
	"context"
	"net/http"
	"slices"
	"time"

	"parley.im/parley/store"
)

const (
	// settleAfter is how long outcomes are gathered before they are kept together. So
	// much may be repeated after a crash.
	settleAfter = 200 * time.Millisecond
	// cursorAfter is the same for a cursor that only passed what nobody wanted.
	cursorAfter = 10 * time.Second
	// saveMax is the number of outcomes that do not wait any longer.
	saveMax = 64
	// saveAgain is the pause after the store did not take them.
	saveAgain = time.Second
	// saveTime bounds one save.
	saveTime = 10 * time.Second
)

// settle takes in what came of one attempt.
func (w *worker) settle(ctx context.Context, r result) {
	j, o := r.job, &r.outcome
	j.flying = false
	w.flying--
	if o.aborted {
		return // unsettled: it is sent again after the next start
	}
	w.progress.Attempts = append(w.progress.Attempts, store.Attempt{
		ID: o.id, Endpoint: w.endpoint.ID, Ordinal: j.ordinal, Conversation: j.event.conversation,
		Event: j.event.name, Number: j.attempt + 1, At: o.at, Status: o.status, Took: o.took,
		Err: o.problem, Answer: o.answer,
	})
	j.attempt++
	w.s.Stats.Attempts.Add(1)
	now := time.Now()
	if o.problem == "" {
		w.delivered(ctx, j)
	} else {
		w.failed(ctx, j, o, now)
	}
	j.event = nil
	w.moved(now)
	w.saveWithin(settleAfter)
}

func (w *worker) delivered(ctx context.Context, j *job) {
	j.settled = true
	if j.row {
		w.settleRow(j)
	} else {
		w.order.leave(j)
	}
	if w.limit < w.c.Concurrency {
		w.limit++
	}
	w.strikes = 0
	w.probe = time.Time{} // it is back: rows need not wait to make room for news
	w.recovered(ctx)
}

// failed puts the event off, or gives it up after the last wait.
func (w *worker) failed(ctx context.Context, j *job, o *outcome, now time.Time) {
	w.s.Stats.Failures.Add(1)
	wait, again := w.c.wait(j.attempt)
	wait = max(wait, o.after)
	retry := store.Retry{Endpoint: w.endpoint.ID, Ordinal: j.ordinal, Attempt: j.attempt, First: j.first}
	w.order.leave(j)
	if again {
		retry.Next = now.Add(wait)
		w.addRow(&job{ordinal: j.ordinal, conversation: j.conversation, due: retry.Next, first: j.first, attempt: j.attempt, row: true})
	}
	switch {
	case again && !j.row:
		w.live++
	case !again && j.row:
		w.live--
	}
	w.forget(j.ordinal)
	w.progress.Retries = append(w.progress.Retries, retry)
	j.settled = true
	w.putOff(now)
	w.log.Debug("webhook failed", "attempt", j.attempt, "wait", wait, "id", o.id, "err", o.problem)
	w.heed(o, now)
	w.spare(now)
	w.endure(ctx, o, now)
}

// passBy gives up an event that cannot be told, since its record is not what was written. To
// wait for better days would keep all that follows from the receiver, and let whoever can
// change one byte of the store silence every alarm. It is a dead letter: should the store be
// mended from a copy, 'webhook replay' sends it.
func (w *worker) passBy(j *job, now time.Time) {
	why := "not sent: a mistake in the server, which its log tells of"
	if !j.broke {
		why = "not sent: the record was changed outside the server"
		w.s.Stats.Unreadable.Add(1)
	}
	w.progress.Attempts = append(w.progress.Attempts, store.Attempt{
		ID: deliveryID(now), Endpoint: w.endpoint.ID, Ordinal: j.ordinal, Conversation: j.conversation, Event: j.event.name,
		Number: j.attempt, At: now, Err: why,
	})
	if j.first.IsZero() {
		j.first = now
	}
	if j.row {
		w.live--
		w.order.leave(j)
		w.forget(j.ordinal)
	}
	w.progress.Retries = append(w.progress.Retries, store.Retry{Endpoint: w.endpoint.ID, Ordinal: j.ordinal, Attempt: j.attempt, First: j.first})
	w.saveWithin(settleAfter)
}

const (
	// patient is how many failures one after the other change nothing; each one more makes
	// the pause before the next attempt longer by sparing, up to sparingMost.
	patient     = 16
	sparing     = 10 * time.Millisecond
	sparingMost = time.Second
)

// spare has an endpoint that takes nothing cost little: what it is sent would only fail, and
// other endpoints have better use for the processor.
func (w *worker) spare(now time.Time) {
	if w.strikes++; w.strikes <= patient {
		return
	}
	if until := now.Add(min(time.Duration(w.strikes-patient)*sparing, sparingMost)); until.After(w.hold) {
		w.hold = until
	}
}

// heed is what an answer means for the events that come after it.
func (w *worker) heed(o *outcome, now time.Time) {
	switch o.status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		// RFC 6585 §4, RFC 9110 §15.6.4: the receiver as a whole asks for a rest.
		if until := now.Add(o.after); until.After(w.hold) {
			w.hold = until
		}
	}
	switch o.status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout:
		// Once for all that were in flight together.
		if !o.at.Before(w.halved) {
			w.limit = max(w.limit/2, 1)
			w.halved = now
		}
	}
}

// settleRow has the store forget a row.
func (w *worker) settleRow(j *job) {
	w.live--
	w.order.leave(j)
	w.forget(j.ordinal)
	w.progress.Settled = append(w.progress.Settled, j.ordinal)
}

// forget drops what is not yet kept about an event, since there is newer news.
func (w *worker) forget(o store.Ordinal) {
	w.progress.Retries = slices.DeleteFunc(w.progress.Retries, func(r store.Retry) bool { return r.Ordinal == o })
}

// moved drops the settled front of the window and sees to it that the cursor is
// kept some time.
func (w *worker) moved(now time.Time) {
	n := 0
	for n < len(w.window) && w.window[n].settled {
		n++
	}
	w.window = slices.Delete(w.window, 0, n)
	if w.cursor() > w.saved && w.saveAt.IsZero() {
		w.saveAt = now.Add(cursorAfter)
	}
}

// cursor is the ordinal up to which everything is settled.
func (w *worker) cursor() store.Ordinal {
	if len(w.window) > 0 {
		return w.window[0].ordinal - 1
	}
	return w.pos
}

func (w *worker) dirty() bool {
	p := &w.progress
	return len(p.Attempts)+len(p.Retries)+len(p.Settled) > 0 || w.cursor() > w.saved
}

func (w *worker) saveWithin(d time.Duration) {
	if at := time.Now().Add(d); w.saveAt.IsZero() || at.Before(w.saveAt) {
		w.saveAt = at
	}
}

// save tells the store what has happened, if it is time.
func (w *worker) save(ctx context.Context, now time.Time) {
	if w.saveAt.IsZero() || now.Before(w.saveAt) && len(w.progress.Attempts) < saveMax {
		return
	}
	w.saveAt = time.Time{}
	if w.dirty() && !w.flush(ctx) {
		// Nothing new is sent while its outcome could not be kept.
		w.saveAt = now.Add(saveAgain)
		if w.saveAt.After(w.hold) {
			w.hold = w.saveAt
		}
	}
}

// flush is one Advance. It outlives ctx, so that its outcome is known.
func (w *worker) flush(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	w.progress.Cursor = w.cursor()
	err := w.store.Advance(ctx, w.progress)
	switch {
	case gone(err):
		w.over = true // the endpoint was deleted
	case err != nil:
		w.log.Warn("webhook progress cannot be kept", "err", err, "wait", saveAgain)
		return false
	}
	w.saved = w.progress.Cursor
	w.progress = store.Progress{Endpoint: w.endpoint.ID}
	return true
}
