package web

import (
	"crypto/rand"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"time"

	"parley.im/parley/store"
)

// WebhookWishes are how an endpoint is to be; what is missing stays as it is.
type WebhookWishes struct {
	URL          *string      `json:"url,omitempty" maxLength:"2048"`
	Events       *[]string    `json:"events,omitempty" maxItems:"100" doc:"Names, and kinds such as agent.*; empty is all."`
	Payload      *string      `json:"payload,omitempty" doc:"full, or thin: who wrote to whom, without what was said."`
	ConfirmClear *bool        `json:"confirm_clear,omitempty" doc:"Whether what was said may go over plain http to this URL; asks for the role owner, and for an account that does not encrypt."`
	Ordering     *string      `json:"ordering,omitempty" doc:"any, or contact: the events of a conversation one after the other."`
	Format       *string      `json:"format,omitempty" doc:"parley, or vivocha: an array of events with their names there."`
	Hub          *string      `json:"hub,omitempty" doc:"off, or on: with the header x-hub-signature."`
	Signature    *string      `json:"signature,omitempty" doc:"hmac, or ed25519: with a signature, too, that can be verified with a public key."`
	Description  *string      `json:"description,omitempty" doc:"For people."`
	Auth         *WebhookAuth `json:"auth,omitempty"`
}

// A WebhookAuth is how the receiver wants to know the server besides the signature.
type WebhookAuth struct {
	Scheme   string `json:"scheme" doc:"none, basic or bearer."`
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Token    string `json:"token,omitempty"`
}

// An OverlapWish says how long an old secret is to be good.
type OverlapWish struct {
	Overlap string `json:"overlap,omitempty" doc:"For how long the old secret is good: 0s to 168h; 24h."`
}

const (
	descriptionMax = 200 // bytes
	authMax        = 1000
	overlapMax     = 7 * 24 * time.Hour

	bearerLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="
)

// apply changes an endpoint as it is wished.
func (w *WebhookWishes) apply(c *caller, e *store.Endpoint) error {
	before := e.URL
	if w.URL != nil {
		if err := checkWebhookURL(*w.URL); err != nil {
			return err
		}
		e.URL = *w.URL
	}
	if w.Events != nil {
		if err := checkEvents(*w.Events); err != nil {
			return err
		}
		e.Events = *w.Events
	}
	if w.Description != nil {
		if len(*w.Description) > descriptionMax {
			return refuse("the description has %d bytes, more than %d", len(*w.Description), descriptionMax)
		}
		e.Description = *w.Description
	}
	if err := w.choose(e); err != nil {
		return err
	}
	if err := w.confirm(c, e, before); err != nil {
		return err
	}
	if w.Auth != nil {
		auth, err := w.Auth.checked()
		if err != nil {
			return err
		}
		e.Auth = auth
	}
	if e.Auth != (store.EndpointAuth{}) && !isHTTPS(e.URL) {
		return refuse("a password would go over plain http").hint("use https, or auth none")
	}
	return nil
}

func (w *WebhookWishes) choose(e *store.Endpoint) error {
	keyed := e.SignKey != ""
	for _, choice := range []struct {
		name    string
		want    *string
		off, on string
		change  *bool
	}{
		{"payload", w.Payload, "full", "thin", &e.Thin},
		{"ordering", w.Ordering, "any", "contact", &e.InOrder},
		{"format", w.Format, "parley", "vivocha", &e.Vivocha},
		{"hub", w.Hub, "off", "on", &e.Hub},
		{"signature", w.Signature, "hmac", "ed25519", &keyed},
	} {
		switch {
		case choice.want == nil:
		case *choice.want != choice.off && *choice.want != choice.on:
			return refuse("%s is %q or %q, not %q", choice.name, choice.off, choice.on, *choice.want)
		default:
			*choice.change = *choice.want == choice.on
		}
	}
	switch {
	case !keyed:
		e.SignKey, e.PreviousKey = "", ""
	case e.SignKey == "":
		e.SignKey = store.NewSignKey()
	}
	return nil
}

func (a *WebhookAuth) checked() (store.EndpointAuth, error) {
	var auth store.EndpointAuth
	switch a.Scheme {
	case "none":
		return auth, nil
	case "basic": // RFC 7617 §2
		if a.User == "" || strings.Contains(a.User, ":") {
			return auth, refuse("basic wants a user without a colon")
		}
		auth.User, auth.Password = a.User, a.Password
	case "bearer": // RFC 6750 §2.1
		if a.Token == "" || strings.Trim(a.Token, bearerLetters) != "" {
			return auth, refuse("bearer wants a token of letters, digits and -._~+/=")
		}
		auth.Bearer = a.Token
	default:
		return auth, refuse("auth is none, basic or bearer, not %q", a.Scheme)
	}
	if len(a.User)+len(a.Password)+len(a.Token) > authMax {
		return auth, refuse("what the receiver wants to see is longer than %d bytes", authMax)
	}
	return auth, nil
}

func schemeOf(a *store.EndpointAuth) string {
	switch {
	case a.Bearer != "":
		return "bearer"
	case a.User != "":
		return "basic"
	}
	return "none"
}

// checkWebhookURL does not quote the URL: somebody may have put a password in it.
func checkWebhookURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return refuse("not a URL").hint("such as https://shop.example/parley")
	case u.Scheme != "https" && u.Scheme != "http": // VIV-5
		return refuse("not an http or https URL: %q", u.Scheme)
	case u.User != nil:
		return refuse("the URL holds a user or password").hint("receivers know us by the signature")
	case strings.Contains(text, "#"):
		return refuse("the URL holds a fragment (#), which is never sent")
	}
	return nil
}

// EventNames are all events that a webhook can ask for.
func EventNames() (names []string) {
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
		if !slices.ContainsFunc(EventNames(), func(name string) bool {
			return name == want || wild && strings.HasPrefix(name, prefix)
		}) {
			return refuse("there is no event %q", want).hint("events are %s", strings.Join(EventNames(), ", "))
		}
	}
	return nil
}

// parse reads how long an old secret is good beside the new one: a day, if nothing is said.
func (w *OverlapWish) parse() (time.Duration, error) {
	if w == nil || w.Overlap == "" {
		return 24 * time.Hour, nil
	}
	overlap, err := time.ParseDuration(w.Overlap)
	if err != nil || overlap < 0 || overlap > overlapMax {
		return 0, refuse("the old secret can be good for 0s to %v more, not %q", overlapMax, w.Overlap)
	}
	return overlap, nil
}

func newWebhookSecret() string {
	b := make([]byte, 32)
	rand.Read(b)
	return "whsec_" + base64.StdEncoding.EncodeToString(b)
}
