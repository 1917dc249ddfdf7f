package web

import (
	"context"
	"strings"
	"time"

	"parley.im/parley/store"
)

const (
	// replayMax is how many events are sent again at a time, replayRead how many records are
	// read at once to find them.
	replayMax  = 10_000
	replayRead = 1000
)

// A ReplayWish says what a webhook is to get again: one of the three.
type ReplayWish struct {
	Event       string     `json:"event,omitempty" doc:"This one: evt_…"`
	Since       *time.Time `json:"since,omitempty" doc:"All that it asked for, that happened from then on."`
	Until       *time.Time `json:"until,omitempty" doc:"With since: and until then, or now."`
	FailedSince *time.Time `json:"failed_since,omitempty" doc:"What it was given up for, and was tried first since then."`
}

// A Replayed says what will be sent.
type Replayed struct {
	Events int  `json:"events" doc:"How many."`
	Later  bool `json:"sent_when_running" doc:"Whether no server runs now."`
}

// replayWebhook has events sent again.
func (a *API) replayWebhook(ctx context.Context, c *caller, in *struct {
	WebhookPath
	Body ReplayWish
}) (*body[Replayed], error) {
	e, err := c.webhook(ctx, in.Webhook)
	if err != nil {
		return nil, err
	}
	if e.Disabled {
		return nil, isDisabled(&e)
	}
	now := a.now()
	ordinals, err := c.replayed(ctx, &e, &in.Body, now)
	switch {
	case err != nil:
		return nil, err
	case len(ordinals) > replayMax:
		return nil, refuse("these are more than %d events: ask for a shorter time", replayMax)
	}
	if err := c.Store.SendAgain(ctx, e.ID, ordinals, now); err != nil {
		return nil, err
	}
	if _, err := c.Store.ChangeEndpoint(ctx, e.ID, func(e *store.Endpoint) error {
		e.Again = now.UTC()
		return nil
	}); err != nil {
		return nil, c.noWebhook(e.ID, err)
	}
	a.webhooksChanged(c)
	return &body[Replayed]{Replayed{Events: len(ordinals), Later: a.inst.Live() == nil}}, nil
}

// replayed are the events that are asked for.
func (c *caller) replayed(ctx context.Context, e *store.Endpoint, in *ReplayWish, now time.Time) (list []store.Ordinal, err error) {
	switch asked := [...]bool{in.Event != "", in.Since != nil, in.FailedSince != nil}; {
	case asked == [...]bool{true, false, false} && in.Until == nil:
		n, err := c.ordinalOf(in.Event)
		return []store.Ordinal{n}, err
	case asked == [...]bool{false, false, true} && in.Until == nil:
		return c.Store.DeadLetters(ctx, e.ID, *in.FailedSince)
	case asked != [...]bool{false, true, false}:
		return nil, refuse("say one of an event, since when, or failed since when")
	}
	until := now
	if in.Until != nil {
		until = *in.Until
	}
	after, last, err := c.Store.Within(ctx, *in.Since, until)
	if err != nil {
		return nil, err
	}
	for after < last && len(list) <= replayMax {
		read := 0
		err := c.Store.Read(ctx, after, replayRead, func(entry *store.Entry) error {
			read, after = read+1, entry.Ordinal
			if after <= last && !entry.At.Before(*in.Since) && !entry.At.After(until) && e.Wants(entry) {
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

// ordinalOf is the record of an event's id.
func (c *caller) ordinalOf(event string) (store.Ordinal, error) {
	id, ok := strings.CutPrefix(event, "evt_")
	n, err := c.Store.ParseArchiveID(0, id)
	if !ok || err != nil {
		return 0, missing("there is no event %q in account %s", event, c.ID)
	}
	return n, nil
}
