package main

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley.im/parley/store"
)

const (
	webhooksMax   = 50 // endpoints of an account
	deliveriesMax = 1000
)

// A webhookInfo is an endpoint as commands show it.
type webhookInfo struct {
	ID       string    `json:"id"`
	URL      string    `json:"url"`
	Events   []string  `json:"events"` // empty is all
	Created  time.Time `json:"created"`
	Disabled bool      `json:"disabled"`
	Why      string    `json:"why,omitempty"`
	Secret   string    `json:"secret,omitempty"` // when it was just made

	Description   string     `json:"description,omitempty"`
	Payload       string     `json:"payload"`
	Ordering      string     `json:"ordering"`
	Format        string     `json:"format"`
	Hub           string     `json:"hub"`
	Auth          string     `json:"auth"`                     // the scheme
	PreviousUntil *time.Time `json:"previous_until,omitempty"` // the secret before this one is good until then

	// Of a single endpoint only.
	Behind  *int64 `json:"behind,omitempty"`  // records of the log that it has not been asked about yet
	Retries *int   `json:"retries,omitempty"` // events that it did not take so far
}

func newWebhookInfo(e store.Endpoint) webhookInfo {
	events := e.Events
	if events == nil {
		events = []string{}
	}
	info := webhookInfo{
		ID: e.ID, URL: e.URL, Events: events, Created: e.Created.UTC(), Disabled: e.Disabled, Why: e.Why,
		Description: e.Description, Payload: "full", Ordering: "any", Format: "parley", Hub: "off", Auth: schemeOf(&e.Auth),
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
	if e.Previous != "" {
		info.PreviousUntil = &e.PreviousUntil
	}
	return info
}

func (o *operator) webhooks(r *http.Request) (*account, []store.Endpoint, error) {
	a, err := o.inst.account(r.Context(), r.PathValue("account"))
	if err != nil {
		return nil, nil, err
	}
	list, err := a.store.Endpoints(r.Context())
	return a, list, err
}

func (o *operator) webhook(r *http.Request) (*account, store.Endpoint, error) {
	a, list, err := o.webhooks(r)
	if err != nil {
		return nil, store.Endpoint{}, err
	}
	for _, e := range list {
		if e.ID == r.PathValue("webhook") {
			return a, e, nil
		}
	}
	return nil, store.Endpoint{}, missing("there is no webhook %q in account %s", r.PathValue("webhook"), a.id)
}

func (o *operator) listWebhooks(r *http.Request) (any, error) {
	_, list, err := o.webhooks(r)
	infos := make([]webhookInfo, 0)
	for _, e := range list {
		infos = append(infos, newWebhookInfo(e))
	}
	return infos, err
}

func (o *operator) addWebhook(r *http.Request) (any, error) {
	var in webhookWishes
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.URL == nil {
		return nil, refuse("no URL is said")
	}
	a, list, err := o.webhooks(r)
	if err != nil {
		return nil, err
	}
	if len(list) >= webhooksMax {
		return nil, refuse("account %s has %d webhooks, which is the most", a.id, len(list))
	}
	e := store.Endpoint{
		ID:      "wh_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random(16))),
		Secret:  newWebhookSecret(),
		Created: o.inst.now(),
		Cursor:  a.store.Newest(), // it hears of what happens from now on
	}
	if err := in.apply(&e); err != nil {
		return nil, err
	}
	if err := a.store.AddEndpoint(r.Context(), e); err != nil {
		return nil, err
	}
	o.webhooksChanged(a)
	info := newWebhookInfo(e)
	info.Secret = e.Secret
	return info, nil
}

func (o *operator) webhooksChanged(a *account) {
	if o.inst.live != nil {
		o.inst.live.WebhooksChanged(a.id)
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// checkWebhookURL does not quote the URL: somebody may have put a password in it.
func checkWebhookURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return withHint(refuse("not a URL"), "such as https://shop.example/parley")
	case u.Scheme != "https" && u.Scheme != "http": // VIV-5
		return refuse("not an http or https URL: %q", u.Scheme)
	case u.User != nil:
		return withHint(refuse("the URL holds a user or password"), "receivers know us by the signature")
	case strings.Contains(text, "#"):
		return refuse("the URL holds a fragment (#), which is never sent")
	}
	return nil
}

// eventNames are all events that a webhook can ask for.
func eventNames() (names []string) {
	for k := range 256 {
		if name := store.Kind(k).Event(); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// checkEvents refuses names, and wildcards such as "agent.*", that mean no event.
func checkEvents(list []string) error {
	for _, want := range list {
		prefix, wild := strings.CutSuffix(want, "*")
		wild = wild && strings.HasSuffix(prefix, ".")
		if !slices.ContainsFunc(eventNames(), func(name string) bool {
			return name == want || wild && strings.HasPrefix(name, prefix)
		}) {
			return withHint(refuse("there is no event %q", want), "events are %s", strings.Join(eventNames(), ", "))
		}
	}
	return nil
}

func (o *operator) showWebhook(r *http.Request) (any, error) {
	a, e, err := o.webhook(r)
	if err != nil {
		return nil, err
	}
	retries, err := a.store.Retries(r.Context(), e.ID)
	if err != nil {
		return nil, err
	}
	info := newWebhookInfo(e)
	behind, waiting := int64(a.store.Newest()-e.Cursor), len(retries)
	info.Behind, info.Retries = &behind, &waiting
	return info, nil
}

func (o *operator) deleteWebhook(r *http.Request) (any, error) {
	a, e, err := o.webhook(r)
	if err != nil {
		return nil, err
	}
	if err := a.store.DeleteEndpoint(r.Context(), e.ID); err != nil {
		return nil, err
	}
	o.webhooksChanged(a)
	return done, nil
}

// testWebhook appends the event that the endpoint is to get.
func (o *operator) testWebhook(r *http.Request) (any, error) {
	a, e, err := o.webhook(r)
	if err != nil {
		return nil, err
	}
	if e.Disabled {
		return nil, refuse("webhook %s is disabled: %s", e.ID, e.Why)
	}
	data, err := json.Marshal(map[string]string{"endpoint": e.ID})
	if err != nil {
		return nil, err
	}
	n, err := store.Journalize(r.Context(), a.store, store.KindWebhookTest, data, o.inst.now())
	if err != nil {
		return nil, err
	}
	return map[string]any{"event": "evt_" + a.store.ArchiveID(0, n), "sent_when_running": o.inst.live == nil}, nil
}

// A deliveryInfo is one attempt to deliver an event.
type deliveryInfo struct {
	ID     string    `json:"id"`
	Event  string    `json:"event"`
	Type   string    `json:"type"`
	Number int       `json:"attempt"`
	At     time.Time `json:"at"`
	Status int       `json:"status"` // 0 without an answer
	Took   int64     `json:"took_ms"`
	Err    string    `json:"error,omitempty"`
	Answer string    `json:"answer,omitempty"` // how it begins
}

func (o *operator) listDeliveries(r *http.Request) (any, error) {
	limit, err := strconv.Atoi(r.FormValue("max"))
	if err != nil || limit < 1 {
		return nil, refuse("not a number of deliveries: %q", r.FormValue("max"))
	}
	a, e, err := o.webhook(r)
	if err != nil {
		return nil, err
	}
	attempts, err := a.store.Attempts(r.Context(), e.ID, min(limit, deliveriesMax))
	if err != nil {
		return nil, err
	}
	list := make([]deliveryInfo, 0, len(attempts))
	for _, t := range attempts {
		list = append(list, deliveryInfo{
			ID: t.ID, Event: "evt_" + a.store.ArchiveID(0, t.Ordinal), Type: t.Event, Number: t.Number, At: t.At.UTC(),
			Status: t.Status, Took: t.Took.Milliseconds(), Err: t.Err, Answer: string(t.Answer),
		})
	}
	return list, nil
}
