package web

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"parley.im/parley/store"
)

// beginning is the cursor before the first event, newest the one after the last.
const (
	beginning = "0"
	newest    = "now"
)

// An Event is what a webhook would get for a record.
type Event struct {
	Type      string         `json:"type"`
	Timestamp string         `json:"timestamp"`
	ID        string         `json:"id"`
	Account   string         `json:"account"`
	Data      map[string]any `json:"data,omitempty"`
	Locked    bool           `json:"locked,omitempty" doc:"Whether it cannot be read, now or for ever."`
}

func (a *API) eventRoutes() {
	handle(a, route{id: "list-events", method: http.MethodGet, path: "/v1/events", does: "List what has happened since an event"}, a.listEvents)
}

// listEvents reads the log from a cursor: an event's id. Next is always there, so that
// whoever has read all asks again with it.
func (a *API) listEvents(ctx context.Context, c *caller, in *struct {
	After string   `query:"after" maxLength:"128" doc:"The id of an event; 0, or nothing, is before the first, now is after the last."`
	Limit int      `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many records are looked at, at most."`
	Types []string `query:"types" maxItems:"50" doc:"Only these, with commas between."`
}) (*body[List[Event]], error) {
	after, err := c.cursor(in.After)
	if err != nil {
		return nil, err
	}
	out := whole[Event](nil)
	bytes := 0
	err = c.Store.Read(ctx, after, in.Limit, func(e *store.Entry) error {
		if bytes > pageBytes {
			return nil
		}
		after = e.Ordinal
		if name := e.Kind.Event(); name != "" && (in.Types == nil || slices.Contains(in.Types, name)) {
			out.Body.Items = append(out.Body.Items, a.event(c, e))
			bytes += len(e.Data)
		}
		return nil
	})
	if out.Body.Next = beginning; after > 0 {
		out.Body.Next = "evt_" + c.Store.ArchiveID(0, after)
	}
	return out, err
}

func (c *caller) cursor(after string) (store.Ordinal, error) {
	switch after {
	case "", beginning:
		return 0, nil
	case newest:
		return c.Store.Newest(), nil
	}
	return c.ordinalOf(after)
}

// event is a record as an event; one that cannot be read is told of all the same.
func (a *API) event(c *caller, e *store.Entry) (event Event) {
	if !e.Locked {
		text, err := a.inst.RenderEvent(c.Account, e)
		if err == nil {
			err = json.Unmarshal(text, &event)
		}
		if err == nil {
			return event
		}
		a.log.Error("an event cannot be shown", "account", c.ID, "ordinal", e.Ordinal, "err", err)
	}
	return Event{
		Type: e.Kind.Event(), Timestamp: e.At.UTC().Format(time.RFC3339), Account: c.ID, Locked: true,
		ID: "evt_" + c.Store.ArchiveID(0, e.Ordinal),
	}
}
