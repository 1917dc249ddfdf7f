package notify

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"parley.im/parley/store"
)

// A watch is one account's alerts on their way. All fields belong to run.
type watch struct {
	n       *Notifier
	account *Account
	log     *slog.Logger
	mailer  *mailer
	setting string            // where its state is kept
	wants   func(string) bool // which events are mailed
	said    bool              // they are in conversations, and not in the journal

	state   state
	read    store.Ordinal     // how far the log was looked through
	saved   store.Ordinal     // the cursor that the store has
	batches map[string]*batch // what is to be mailed, by event
	tries   int               // of the present mail that failed
	holdOff time.Time         // nothing is tried before
}

// A state is what survives a restart. Every alert up to Cursor was mailed.
type state struct {
	Cursor store.Ordinal   `json:"cursor"`
	Kinds  map[string]kind `json:"kinds,omitempty"`
}

// A kind is how far the alerts of one event were mailed, and when that was.
type kind struct {
	To store.Ordinal `json:"to"`
	At time.Time     `json:"at"`
}

// A batch is what has happened of one kind since the last mail of it.
type batch struct {
	alert       alert
	first, last store.Ordinal
}

const (
	alertsSetting = "mail.alerts"
	leftSetting   = "mail.left"
	// saveEvery is how far the log is read without an alert before that is worth a write.
	saveEvery = 100_000
	// readMax is how many records are read at a time where all have to be.
	readMax  = 500
	saveTime = 5 * time.Second
)

func (w *watch) run(ctx context.Context) error {
	if err := w.load(ctx); err != nil {
		return err
	}
	news := make(chan struct{}, 1)
	defer w.account.Store.Watch(news)()
	defer w.save(context.WithoutCancel(ctx), false)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if err := w.gather(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("alerts cannot be read", "err", err)
		}
		w.mail(ctx)
		// A busy log says so with every commit; it is read once in a while.
		if sleep(ctx, w.n.c.Pause) != nil {
			return nil
		}
		timer.Reset(w.next())
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-timer.C:
		}
	}
}

// load begins where the last run ended; the first begins with what comes.
func (w *watch) load(ctx context.Context) error {
	text, err := w.account.Store.Setting(ctx, w.setting)
	switch {
	case errors.Is(err, store.ErrNotFound):
		w.state.Cursor = w.account.Store.Newest()
	case err != nil:
		return err
	default:
		if err := json.Unmarshal([]byte(text), &w.state); err != nil {
			return err
		}
	}
	if w.state.Kinds == nil {
		w.state.Kinds = make(map[string]kind)
	}
	w.read, w.saved = w.state.Cursor, w.state.Cursor
	if err != nil {
		w.save(ctx, true)
	}
	return nil
}

// gather reads what has happened since.
func (w *watch) gather(ctx context.Context) error {
	newest := w.account.Store.Newest()
	look := func(e *store.Entry) error {
		name := e.Kind.Event()
		if w.wants(name) && !e.Locked && e.Ordinal > w.state.Kinds[name].To {
			w.add(name, e)
		}
		w.read = e.Ordinal
		return nil
	}
	if !w.said {
		err := w.account.Store.Happened(ctx, w.read, newest, look)
		if err == nil {
			w.read = newest
		}
		return err
	}
	for before := store.Ordinal(-1); w.read != before; {
		before = w.read
		if err := w.account.Store.Read(ctx, w.read, readMax, look); err != nil {
			return err
		}
	}
	return nil
}

func (w *watch) add(name string, e *store.Entry) {
	b := w.batches[name]
	if b == nil {
		b = &batch{first: e.Ordinal}
		b.alert = alert{Host: w.n.c.Host, Account: w.account.ID, Domain: w.account.Domain, Event: name}
		w.batches[name] = b
	}
	b.last = e.Ordinal
	b.alert.Count++
	b.alert.Events = append(b.alert.Events, happening{e.At, parse(e.Data)})
	if over := len(b.alert.Events) - listed; over > 0 {
		b.alert.Events = append(b.alert.Events[:0], b.alert.Events[over:]...)
	}
}

// mail sends what is due, until something is not taken.
func (w *watch) mail(ctx context.Context) {
	for name, b := range w.batches {
		now := time.Now()
		if now.Before(w.due(name)) || now.Before(w.holdOff) {
			continue
		}
		m, err := render(name, b.alert)
		if err == nil {
			err = w.mailer.send(ctx, m)
		}
		if err != nil && (ctx.Err() != nil || !w.failed(name, b, err)) {
			return
		}
		w.tries = 0
		w.state.Kinds[name] = kind{To: b.last, At: time.Now().UTC()}
		delete(w.batches, name)
		w.save(ctx, true)
	}
	w.save(ctx, false)
}

// failed puts off further tries, or says that this mail will never be taken.
func (w *watch) failed(name string, b *batch, err error) (never bool) {
	wait := w.n.wait(w.tries)
	w.tries++
	if final(err) && w.tries >= finalTries {
		w.log.Error("the mail server refuses an alert, which is given up", "event", name, "alerts", b.alert.Count, "err", err)
		return true
	}
	w.log.Warn("an alert is not mailed", "event", name, "attempt", w.tries, "err", err, "wait", wait)
	w.holdOff = time.Now().Add(wait)
	return false
}

// due is when the next mail of a kind may go. A clock that was ahead keeps none back for
// longer than usual.
func (w *watch) due(name string) time.Time {
	last := w.state.Kinds[name].At
	if last.IsZero() || time.Until(last) > 0 {
		return time.Time{}
	}
	return last.Add(w.n.c.Every)
}

// lookEvery is the longest that a watch relies on being told of news.
const lookEvery = time.Minute

// next is how long nothing is due.
func (w *watch) next() time.Duration {
	wait := lookEvery
	for name := range w.batches {
		due := w.due(name)
		if due.Before(w.holdOff) {
			due = w.holdOff
		}
		wait = min(wait, max(time.Until(due), 0))
	}
	return wait
}

// save keeps the cursor: at once, or where it has moved far. A restart before that mails
// something again, or reads the log again.
func (w *watch) save(ctx context.Context, now bool) {
	w.state.Cursor = w.read
	for _, b := range w.batches {
		w.state.Cursor = min(w.state.Cursor, b.first-1)
	}
	if !now && w.state.Cursor-w.saved < saveEvery {
		return
	}
	text, err := json.Marshal(w.state)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
		defer cancel()
		err = w.account.Store.SetSetting(ctx, w.setting, string(text))
	}
	if err != nil {
		w.log.Warn("how far alerts were mailed cannot be kept", "err", err)
		return
	}
	w.saved = w.state.Cursor
}
