package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/hook"
)

// replayMax is how many events are sent again at a time.
const replayMax = 10_000

// replayRequest says what a webhook is to get again: one of the three.
type replayRequest struct {
	Event       string     `json:"event,omitempty"`        // "evt_…"
	Since       *time.Time `json:"since,omitempty"`        // all that it asked for, that happened from then ...
	Until       *time.Time `json:"until,omitempty"`        // ... until then, or now
	FailedSince *time.Time `json:"failed_since,omitempty"` // what it was given up for, and was tried first since then
}

// replayWebhook has events sent again.
func (o *operator) replayWebhook(r *http.Request) (any, error) {
	var in replayRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	a, e, err := o.webhook(r)
	if err != nil {
		return nil, err
	}
	if e.Disabled {
		return nil, withHint(refuse("webhook %s is disabled: %s", e.ID, e.Why), "parley webhook enable")
	}
	ordinals, err := a.replayed(r.Context(), &e, &in, o.inst.now())
	switch {
	case err != nil:
		return nil, err
	case len(ordinals) > replayMax:
		return nil, refuse("these are more than %d events: ask for a shorter time", replayMax)
	}
	now := o.inst.now()
	if err := a.store.SendAgain(r.Context(), e.ID, ordinals, now); err != nil {
		return nil, err
	}
	e.Again = now.UTC()
	if err := a.store.ChangeEndpoint(r.Context(), e); err != nil {
		return nil, err
	}
	o.webhooksChanged(a)
	return map[string]any{"events": len(ordinals), "sent_when_running": o.inst.live == nil}, nil
}

// replayed are the events that are asked for.
func (a *account) replayed(ctx context.Context, e *store.Endpoint, in *replayRequest, now time.Time) (list []store.Ordinal, err error) {
	switch asked := [...]bool{in.Event != "", in.Since != nil, in.FailedSince != nil}; {
	case asked == [...]bool{true, false, false} && in.Until == nil:
		id, ok := strings.CutPrefix(in.Event, "evt_")
		n, err := a.store.ParseArchiveID(0, id)
		if !ok || err != nil {
			return nil, missing("there is no event %q in account %s", in.Event, a.id)
		}
		return []store.Ordinal{n}, nil
	case asked == [...]bool{false, false, true} && in.Until == nil:
		return a.store.DeadLetters(ctx, e.ID, *in.FailedSince)
	case asked != [...]bool{false, true, false}:
		return nil, refuse("say one of an event, since when, or failed since when")
	}
	until := now
	if in.Until != nil {
		until = *in.Until
	}
	after, last, err := a.store.Within(ctx, *in.Since, until)
	if err != nil {
		return nil, err
	}
	for after < last && len(list) <= replayMax {
		read := 0
		err := a.store.Read(ctx, after, 1000, func(entry *store.Entry) error {
			read, after = read+1, entry.Ordinal
			if after <= last && !entry.At.Before(*in.Since) && !entry.At.After(until) && hook.Wants(e, entry) {
				list = append(list, after)
			}
			return nil
		})
		if err != nil || read == 0 {
			return list, err
		}
	}
	return list, nil
}

// parseReplay reads the options of 'webhook replay'.
func (c *call) parseReplay() (in replayRequest, err error) {
	in.Event = c.text("event")
	at := func(name string) *time.Time {
		if !c.on(name) {
			return nil
		}
		t, wrong := time.Parse(time.RFC3339, c.text(name))
		if wrong != nil {
			err = errors.Join(err, c.usage("-%s wants a time such as 2026-11-27T09:30:00Z, not %q", name, c.text(name)))
		}
		return &t
	}
	in.Since, in.Until, in.FailedSince = at("since"), at("until"), at("failed-since")
	return in, err
}

func webhookReplay(ctx context.Context, c *call) error {
	in, err := c.parseReplay()
	if err != nil {
		return err
	}
	return c.withAccount(ctx, "webhooks", func(cl *client, path string) error {
		var out struct {
			Events int  `json:"events"`
			Later  bool `json:"sent_when_running"`
		}
		if err := cl.do(ctx, "POST", path+"/replay", in, &out); err != nil {
			return err
		}
		switch {
		case c.on("json"):
			return c.printJSON(out)
		case out.Later:
			c.say("%d events will be sent when the server runs", out.Events)
		default:
			c.say("%d events are on their way; 'parley webhook deliveries %s' shows what came of them", out.Events, c.arg(0))
		}
		return nil
	})
}
