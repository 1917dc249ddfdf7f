package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
)

// A WebhookInfo is an endpoint as it is shown.
type WebhookInfo struct {
	ID       string    `json:"id"`
	URL      string    `json:"url"`
	Events   []string  `json:"events" doc:"Names, and kinds such as agent.*; empty is all."`
	Created  time.Time `json:"created"`
	Disabled bool      `json:"disabled"`
	Why      string    `json:"why,omitempty" doc:"Why it is disabled."`
	Secret   string    `json:"secret,omitempty" doc:"When it was just made."`

	Description   string     `json:"description,omitempty"`
	Payload       string     `json:"payload" enum:"full,thin" doc:"Over plain http full is thin, too, without confirm_clear."`
	ConfirmClear  bool       `json:"confirm_clear,omitempty" doc:"Whether what was said may go over plain http."`
	Ordering      string     `json:"ordering" enum:"any,contact"`
	Format        string     `json:"format" enum:"parley,vivocha"`
	Hub           string     `json:"hub" enum:"off,on"`
	Signature     string     `json:"signature" enum:"hmac,ed25519" doc:"ed25519 is besides hmac."`
	PublicKey     string     `json:"public_key,omitempty" doc:"whpk_…, where the signature is ed25519."`
	Auth          string     `json:"auth" enum:"none,basic,bearer" doc:"How the receiver knows the server besides the signature."`
	PreviousUntil *time.Time `json:"previous_until,omitempty" doc:"The secret before this one, and its key, are good until then."`

	Behind  *int64 `json:"behind,omitempty" doc:"Records of the log that it has not been asked about yet; of a single endpoint only."`
	Retries *int   `json:"retries,omitempty" doc:"Events that it did not take so far; of a single endpoint only."`
}

// A SentEvent says what will be sent.
type SentEvent struct {
	Event string `json:"event"`
	Later bool   `json:"sent_when_running" doc:"Whether no server runs now."`
}

type WebhookPath struct {
	Webhook string `path:"webhook" maxLength:"64" doc:"The endpoint's id."`
}

func (a *API) webhookRoutes() {
	const list, one = "/v1/webhooks", "/v1/webhooks/{webhook}"
	handle(a, route{id: "list-webhooks", method: http.MethodGet, path: list, does: "List endpoints"}, a.listWebhooks)
	handle(a, route{id: "create-webhook", method: http.MethodPost, path: list, does: "Have events sent to a URL, from now on", created: true}, a.createWebhook)
	handle(a, route{id: "get-webhook", method: http.MethodGet, path: one, does: "Show an endpoint, and how far it has got"}, a.getWebhook)
	handle(a, route{id: "change-webhook", method: http.MethodPatch, path: one, does: "Change an endpoint"}, a.changeWebhook)
	handle(a, route{id: "delete-webhook", method: http.MethodDelete, path: one, does: "Delete an endpoint"}, a.deleteWebhook)
	handle(a, route{id: "rotate-webhook", method: http.MethodPost, path: one + "/rotate", does: "Give an endpoint a new secret, and a new key if it has one"}, a.rotateWebhook)
	handle(a, route{id: "enable-webhook", method: http.MethodPost, path: one + "/enable", does: "Have events sent again to an endpoint that was disabled"}, a.enableWebhook)
	handle(a, route{id: "test-webhook", method: http.MethodPost, path: one + "/test", does: "Send the event webhook.test to an endpoint"}, a.testWebhook)
	handle(a, route{id: "replay-webhook", method: http.MethodPost, path: one + "/replay", does: "Send events again"}, a.replayWebhook)
	handle(a, route{id: "list-deliveries", method: http.MethodGet, path: one + "/deliveries", does: "List the newest attempts to deliver, and what came of them"}, a.listDeliveries)
}

func newWebhookInfo(e store.Endpoint) WebhookInfo {
	events := e.Events
	if events == nil {
		events = []string{}
	}
	info := WebhookInfo{
		ID: e.ID, URL: e.URL, Events: events, Created: e.Created.UTC(), Disabled: e.Disabled, Why: e.Why,
		Description: e.Description, Payload: "full", Ordering: "any", Format: "parley", Hub: "off", Auth: schemeOf(&e.Auth),
		Signature: "hmac", PublicKey: e.SignKey.Public(), ConfirmClear: e.Clear,
	}
	if e.Thin {
		info.Payload = "thin"
	}
	if e.InOrder {
		info.Ordering = "contact"
	}
	if e.Vivocha {
		info.Format = "vivocha"
	}
	if e.Hub {
		info.Hub = "on"
	}
	if e.SignKey != "" {
		info.Signature = "ed25519"
	}
	if e.Previous != "" {
		info.PreviousUntil = &e.PreviousUntil
	}
	return info
}

func (c *caller) webhook(ctx context.Context, id string) (store.Endpoint, error) {
	list, err := c.Store.Endpoints(ctx)
	if err != nil {
		return store.Endpoint{}, err
	}
	for _, e := range list {
		if e.ID == id {
			return e, nil
		}
	}
	return store.Endpoint{}, c.noWebhook(id, store.ErrNotFound)
}

func (c *caller) noWebhook(id string, err error) error {
	if isMissing(err) {
		return missing("there is no webhook %q in account %s", id, c.ID)
	}
	return err
}

func (a *API) listWebhooks(ctx context.Context, c *caller, _ *struct{}) (*body[List[WebhookInfo]], error) {
	list, err := c.Store.Endpoints(ctx)
	infos := make([]WebhookInfo, 0, len(list))
	for _, e := range list {
		infos = append(infos, newWebhookInfo(e))
	}
	return whole(infos), err
}

func (a *API) createWebhook(ctx context.Context, c *caller, in *struct{ Body WebhookWishes }) (*made[WebhookInfo], error) {
	in.Body.tell(ctx)
	if in.Body.URL == nil {
		return nil, refuse("no URL is said")
	}
	e := store.Endpoint{
		ID: "wh_" + randomID(), Secret: newWebhookSecret(), Created: a.now(),
		Cursor: c.Store.Newest(), // it hears of what happens from now on
	}
	if err := in.Body.apply(c, &e); err != nil {
		return nil, err
	}
	switch err := c.Store.AddEndpoint(ctx, e); {
	case errors.Is(err, store.ErrTooMany):
		return nil, Refuse(LimitReached, "account %s has %d webhooks, which is the most", c.ID, store.MaxEndpoints)
	case err != nil:
		return nil, err
	}
	audit.About(ctx, "webhook/"+e.ID)
	a.webhooksChanged(c)
	info := newWebhookInfo(e)
	info.Secret = e.Secret
	return &made[WebhookInfo]{Prefix + "webhooks/" + e.ID, info}, nil
}

func (a *API) webhooksChanged(c *caller) {
	if live := a.inst.Live(); live != nil {
		live.WebhooksChanged(c.ID)
	}
}

func (a *API) getWebhook(ctx context.Context, c *caller, in *WebhookPath) (*tagged[WebhookInfo], error) {
	e, err := c.webhook(ctx, in.Webhook)
	if err != nil {
		return nil, err
	}
	retries, err := c.Store.Retries(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	tag, err := c.endpointTag(ctx, e)
	if err != nil {
		return nil, err
	}
	out := &tagged[WebhookInfo]{tag, newWebhookInfo(e)}
	behind, waiting := int64(c.Store.Newest()-e.Cursor), len(retries)
	out.Body.Behind, out.Body.Retries = &behind, &waiting
	return out, nil
}

// endpointTag is of what an endpoint is to be, not of how far it has got.
func (c *caller) endpointTag(ctx context.Context, e store.Endpoint) (string, error) {
	e.Cursor, e.Again = 0, time.Time{}
	return c.tagOf(ctx, e)
}

func (a *API) changeWebhook(ctx context.Context, c *caller, in *struct {
	WebhookPath
	IfMatch
	Body WebhookWishes
}) (*tagged[WebhookInfo], error) {
	in.Body.tell(ctx)
	return a.alterWebhook(ctx, c, in.Webhook, in.IfMatch, func(e *store.Endpoint) error { return in.Body.apply(c, e) })
}

// alterWebhook changes an endpoint, if it is what the caller saw, and shows it.
func (a *API) alterWebhook(ctx context.Context, c *caller, id string, seen IfMatch, change func(*store.Endpoint) error) (*tagged[WebhookInfo], error) {
	if _, err := c.tagOf(ctx, nil); err != nil {
		return nil, err // the writer, which is next, must not have to make the tags' secret
	}
	e, err := c.Store.ChangeEndpoint(ctx, id, func(e *store.Endpoint) error {
		tag, err := c.endpointTag(ctx, *e)
		if err == nil {
			err = seen.matches(tag)
		}
		if err == nil {
			err = change(e)
		}
		return err
	})
	if err != nil {
		return nil, c.noWebhook(id, err)
	}
	a.webhooksChanged(c)
	tag, err := c.endpointTag(ctx, e)
	return &tagged[WebhookInfo]{tag, newWebhookInfo(e)}, err
}

// rotateWebhook gives an endpoint a new secret, and a new key if it has one. What is sent is
// signed with the old ones, too, until the receiver has had the time to learn the new ones.
func (a *API) rotateWebhook(ctx context.Context, c *caller, in *struct {
	WebhookPath
	IfMatch
	Body *OverlapWish
}) (*tagged[WebhookInfo], error) {
	overlap, err := in.Body.parse()
	if err != nil {
		return nil, err
	}
	secret, key := newWebhookSecret(), store.NewSignKey()
	out, err := a.alterWebhook(ctx, c, in.Webhook, in.IfMatch, func(e *store.Endpoint) error {
		e.Previous, e.PreviousKey, e.PreviousUntil = e.Secret, e.SignKey, a.now().Add(overlap).UTC().Truncate(time.Second)
		if overlap == 0 {
			e.Previous, e.PreviousKey, e.PreviousUntil = "", "", time.Time{}
		}
		e.Secret = secret
		if e.SignKey != "" {
			e.SignKey = key
		}
		return nil
	})
	if err == nil {
		out.Body.Secret = secret
	}
	return out, err
}

// enableWebhook has events sent again to an endpoint that was disabled: what has happened
// since, too.
func (a *API) enableWebhook(ctx context.Context, c *caller, in *struct {
	WebhookPath
	IfMatch
}) (*tagged[WebhookInfo], error) {
	return a.alterWebhook(ctx, c, in.Webhook, in.IfMatch, func(e *store.Endpoint) error {
		if e.Secret == "" {
			return refuse("webhook %s has no secret any more: %s", e.ID, e.Why).hint("give it a new one first: 'parley webhook rotate', or POST …/rotate")
		}
		e.Disabled, e.Why = false, ""
		return nil
	})
}

func (a *API) deleteWebhook(ctx context.Context, c *caller, in *struct {
	WebhookPath
	IfMatch
}) (*struct{}, error) {
	e, err := c.webhook(ctx, in.Webhook)
	if err != nil {
		return nil, err
	}
	tag, err := c.endpointTag(ctx, e)
	if err != nil {
		return nil, err
	}
	if err := in.matches(tag); err != nil {
		return nil, err
	}
	if err := c.Store.DeleteEndpoint(ctx, e.ID); err != nil {
		return nil, c.noWebhook(e.ID, err)
	}
	a.webhooksChanged(c)
	return nil, nil
}

// testWebhook appends the event that the endpoint is to get.
func (a *API) testWebhook(ctx context.Context, c *caller, in *WebhookPath) (*body[SentEvent], error) {
	e, err := c.webhook(ctx, in.Webhook)
	if err != nil {
		return nil, err
	}
	if e.Disabled {
		return nil, isDisabled(&e)
	}
	data, err := json.Marshal(map[string]string{"endpoint": e.ID})
	if err != nil {
		return nil, err
	}
	n, err := store.Journalize(ctx, c.Store, store.KindWebhookTest, data, a.now())
	if err != nil {
		return nil, err
	}
	return &body[SentEvent]{SentEvent{Event: "evt_" + c.Store.ArchiveID(0, n), Later: a.inst.Live() == nil}}, nil
}

func isDisabled(e *store.Endpoint) error {
	return Refuse(Disabled, "webhook %s is disabled: %s", e.ID, e.Why).hint("enable it first: 'parley webhook enable', or POST …/enable")
}

// A DeliveryInfo is one attempt to deliver an event.
type DeliveryInfo struct {
	ID     string    `json:"id"`
	Event  string    `json:"event"`
	Type   string    `json:"type"`
	Number int       `json:"attempt"`
	At     time.Time `json:"at"`
	Status int       `json:"status" doc:"0 without an answer."`
	Took   int64     `json:"took_ms"`
	Err    string    `json:"error,omitempty"`
	Answer string    `json:"answer,omitempty" doc:"How it begins."`
}

func (a *API) listDeliveries(ctx context.Context, c *caller, in *struct {
	WebhookPath
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"How many, at most; the newest come first."`
}) (*body[List[DeliveryInfo]], error) {
	e, err := c.webhook(ctx, in.Webhook)
	if err != nil {
		return nil, err
	}
	attempts, err := c.Store.Attempts(ctx, e.ID, in.Limit)
	if err != nil {
		return nil, err
	}
	list := make([]DeliveryInfo, 0, len(attempts))
	for _, t := range attempts {
		list = append(list, DeliveryInfo{
			ID: t.ID, Event: "evt_" + c.Store.ArchiveID(0, t.Ordinal), Type: t.Event, Number: t.Number, At: t.At.UTC(),
			Status: t.Status, Took: t.Took.Milliseconds(), Err: t.Err, Answer: string(t.Answer),
		})
	}
	return whole(list), nil
}
