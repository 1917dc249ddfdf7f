package hook

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"parley.im/parley/store"
)

const (
	// disableAfter is how long every attempt may fail before the endpoint is
	// disabled.
	disableAfter = 5 * 24 * time.Hour
	// noteAfter is how long an endpoint fails before that is told, and worth a
	// write. Below it a restart begins to count anew.
	noteAfter = time.Hour
	// warnAfter is how long it fails before that is worth a line: one that takes
	// some events and refuses others would fill the log.
	warnAfter = time.Minute
)

// failingSetting is where it is kept since when an endpoint fails.
func (w *worker) failingSetting() string { return "webhook.failing." + w.endpoint.ID }

func (w *worker) loadFailing(ctx context.Context) (time.Time, error) {
	text, err := w.store.Setting(ctx, w.failingSetting())
	if err != nil && !gone(err) {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, nil // nothing, or nothing of ours
	}
	return at, nil
}

// endure counts one failure, and disables the endpoint when it is enough.
func (w *worker) endure(ctx context.Context, o *outcome, now time.Time) {
	if w.failing.IsZero() {
		w.failing = now
	}
	lasted := now.Sub(w.failing)
	if lasted >= warnAfter && !w.warned {
		w.warned = true
		w.log.Warn("webhook endpoint fails", "err", o.problem, "wait", lasted)
	}
	switch {
	case o.status == http.StatusGone:
		w.disable(ctx, "the receiver answered 410 Gone")
	case lasted >= disableAfter:
		w.disable(ctx, "nothing was delivered for five days; the last time "+o.problem)
	case lasted >= noteAfter && !w.noted:
		w.noted = w.tellFailing(ctx, o.problem) && w.note(ctx, w.failing.UTC().Format(time.RFC3339))
	}
}

// tellFailing makes an event of it, once while it lasts: there are days left to mend it before
// the endpoint is disabled. If the store cannot, the next failure tries again.
func (w *worker) tellFailing(ctx context.Context, why string) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	err := w.tell(ctx, store.KindWebhookFailing, map[string]string{
		"endpoint": w.endpoint.ID, "since": w.failing.UTC().Format(time.RFC3339), "reason": why})
	if err != nil {
		w.log.Warn("that a webhook endpoint fails cannot be told", "err", err)
	}
	return err == nil
}

// recovered ends a time of failures.
func (w *worker) recovered(ctx context.Context) {
	if w.failing.IsZero() {
		return
	}
	if w.warned {
		w.warned = false
		w.log.Info("webhook endpoint works again", "wait", time.Since(w.failing))
	}
	w.failing = time.Time{}
	if w.noted {
		w.noted = !w.note(ctx, "")
	}
}

// note keeps since when the endpoint fails. If the store cannot, the next
// failure tries again.
func (w *worker) note(ctx context.Context, value string) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	if err := w.store.SetSetting(ctx, w.failingSetting(), value); err != nil {
		w.log.Warn("state of a webhook endpoint cannot be kept", "err", err)
		return false
	}
	return true
}

// disable ends deliveries to the endpoint until somebody enables it again. Its
// cursor and rows stay.
func (w *worker) disable(ctx context.Context, why string) {
	if w.over {
		return
	}
	w.log.Warn("webhook endpoint disabled", "err", why)
	w.over = true
	e := w.endpoint
	e.Disabled, e.Why = true, why
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	err := w.store.UpdateEndpoint(limited, e)
	if err == nil {
		err = w.tell(limited, store.KindWebhookDisabled, map[string]string{"endpoint": w.endpoint.ID, "reason": why})
	}
	if err != nil && !gone(err) {
		w.log.Error("webhook endpoint cannot be disabled in the store", "err", err)
	}
	if w.noted {
		w.noted = !w.note(ctx, "")
	}
}

// tell makes an event of what became of the endpoint, of which the account's others hear.
func (w *worker) tell(ctx context.Context, kind store.Kind, what map[string]string) error {
	data, err := json.Marshal(what)
	if err == nil {
		_, err = store.Journalize(ctx, w.store, kind, data, time.Now())
	}
	return err
}
