package web

import (
	"context"
	"encoding/json"
	"net/http"

	"parley.im/parley/store"
)

// An Event is what a webhook would get for a record.
type Event struct {
	Type      string         `json:"type"`
	Timestamp string         `json:"timestamp"`
	ID        string         `json:"id"`
	Account   string         `json:"account"`
	Data      map[string]any `json:"data"`
}

func (a *API) eventRoutes() {
	handle(a, route{id: "list-events", method: http.MethodGet, path: "/v1/events", does: "List what has happened since an event"}, a.listEvents)
}

// listEvents reads the log from a cursor: an event's id. Next is always there, so that
// whoever has read all asks again with it.
func (a *API) listEvents(ctx context.Context, c *caller, in *Page) (*body[List[Event]], error) {
	var after store.Ordinal
	if in.After != "" {
		var err error
		if after, err = c.ordinalOf(in.After); err != nil {
			return nil, err
		}
	}
	out := whole[Event](nil)
	err := c.Store.Read(ctx, after, in.Limit, func(e *store.Entry) error {
		after = e.Ordinal
		if e.Kind.Event() == "" || e.Locked {
			return nil
		}
		text, err := a.inst.RenderEvent(c.Account, e)
		if err != nil {
			return err
		}
		var event Event
		if err := json.Unmarshal(text, &event); err != nil {
			return err
		}
		out.Body.Items = append(out.Body.Items, event)
		return nil
	})
	if after > 0 {
		out.Body.Next = "evt_" + c.Store.ArchiveID(0, after)
	}
	return out, err
}
