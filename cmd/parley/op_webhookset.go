package main

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"parley.im/parley/store"
)

// webhookWishes are how an endpoint is to be; what is nil stays as it is.
type webhookWishes struct {
	URL         *string      `json:"url,omitempty"`
	Events      *[]string    `json:"events,omitempty"`
	Payload     *string      `json:"payload,omitempty"`  // "full" or "thin"
	Ordering    *string      `json:"ordering,omitempty"` // "any" or "contact"
	Format      *string      `json:"format,omitempty"`   // "parley" or "vivocha"
	Hub         *string      `json:"hub,omitempty"`      // "off" or "on"
	Description *string      `json:"description,omitempty"`
	Auth        *webhookAuth `json:"auth,omitempty"`
}

// A webhookAuth is how the receiver wants to know the server besides the signature.
type webhookAuth struct {
	Scheme   string `json:"scheme"` // "none", "basic" or "bearer"
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Token    string `json:"token,omitempty"`
}

const (
	descriptionMax = 200 // bytes
	authMax        = 1000
)

// apply changes an endpoint as it is wished.
func (w *webhookWishes) apply(e *store.Endpoint) error {
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
	} {
		switch {
		case choice.want == nil:
		case *choice.want != choice.off && *choice.want != choice.on:
			return refuse("%s is %q or %q, not %q", choice.name, choice.off, choice.on, *choice.want)
		default:
			*choice.change = *choice.want == choice.on
		}
	}
	if w.Auth != nil {
		auth, err := w.Auth.checked()
		if err != nil {
			return err
		}
		e.Auth = auth
	}
	if e.Auth != (store.EndpointAuth{}) && !strings.HasPrefix(strings.ToLower(e.URL), "https://") {
		return withHint(refuse("a password would go over plain http"), "use https, or auth none")
	}
	return nil
}

func (a *webhookAuth) checked() (store.EndpointAuth, error) {
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

const bearerLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="

func schemeOf(a *store.EndpointAuth) string {
	switch {
	case a.Bearer != "":
		return "bearer"
	case a.User != "":
		return "basic"
	}
	return "none"
}

// changeWebhook changes some of an endpoint.
func (o *operator) changeWebhook(r *http.Request) (any, error) {
	var w webhookWishes
	if err := decode(r, &w); err != nil {
		return nil, err
	}
	return o.withWebhook(r, w.apply)
}

// withWebhook changes an endpoint and shows it.
func (o *operator) withWebhook(r *http.Request, change func(*store.Endpoint) error) (any, error) {
	a, e, err := o.webhook(r)
	if err != nil {
		return nil, err
	}
	if err := change(&e); err != nil {
		return nil, err
	}
	if err := a.store.ChangeEndpoint(r.Context(), e); err != nil {
		return nil, err
	}
	o.webhooksChanged(a)
	return newWebhookInfo(e), nil
}

const overlapMax = 7 * 24 * time.Hour

// rotateWebhook gives an endpoint a new secret. What is sent is signed with the old one, too,
// until the receiver has had the time to learn the new one.
func (o *operator) rotateWebhook(r *http.Request) (any, error) {
	var in struct {
		Overlap string `json:"overlap"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	overlap, err := parseOverlap(in.Overlap)
	if err != nil {
		return nil, err
	}
	secret := newWebhookSecret()
	shown, err := o.withWebhook(r, func(e *store.Endpoint) error {
		e.Previous, e.PreviousUntil = e.Secret, o.inst.now().Add(overlap).UTC().Truncate(time.Second)
		if overlap == 0 {
			e.Previous, e.PreviousUntil = "", time.Time{}
		}
		e.Secret = secret
		return nil
	})
	if err != nil {
		return nil, err
	}
	info := shown.(webhookInfo)
	info.Secret = secret
	return info, nil
}

// parseOverlap reads how long an old secret is good beside the new one.
func parseOverlap(text string) (time.Duration, error) {
	overlap, err := time.ParseDuration(text)
	if err != nil || overlap < 0 || overlap > overlapMax {
		return 0, refuse("the old secret can be good for 0s to %v more, not %q", overlapMax, text)
	}
	return overlap, nil
}

func newWebhookSecret() string { return "whsec_" + base64.StdEncoding.EncodeToString(random(32)) }

// enableWebhook has events sent again to an endpoint that was disabled: what has happened
// since, too.
func (o *operator) enableWebhook(r *http.Request) (any, error) {
	return o.withWebhook(r, func(e *store.Endpoint) error {
		if e.Secret == "" {
			return withHint(refuse("webhook %s has no secret any more: %s", e.ID, e.Why), "parley webhook rotate")
		}
		e.Disabled, e.Why = false, ""
		return nil
	})
}

// parseAuth reads what -auth-stdin takes: none, basic USER PASSWORD or bearer TOKEN.
func parseAuth(line string) (*webhookAuth, error) {
	scheme, rest, _ := strings.Cut(line, " ")
	switch scheme {
	case "none":
		return &webhookAuth{Scheme: scheme}, nil
	case "basic":
		user, password, _ := strings.Cut(rest, " ")
		return &webhookAuth{Scheme: scheme, User: user, Password: password}, nil
	case "bearer":
		return &webhookAuth{Scheme: scheme, Token: rest}, nil
	}
	return nil, refuse("standard input is to say none, basic USER PASSWORD or bearer TOKEN")
}

// wishes are what the options of add and set say.
func (c *call) wishes() (w webhookWishes, err error) {
	text := func(name string) *string {
		if !c.on(name) {
			return nil
		}
		t := c.text(name)
		return &t
	}
	w.URL, w.Payload, w.Ordering, w.Description = text("url"), text("payload"), text("ordering"), text("description")
	w.Format, w.Hub = text("format"), text("hub")
	if c.on("events") {
		list := commaList(c.text("events"))
		w.Events = &list
	}
	if c.on("auth-stdin") {
		line, err := firstLine(c.stdin)
		if err != nil {
			return w, err
		}
		w.Auth, err = parseAuth(line)
		return w, err
	}
	return w, nil
}

func webhookSet(ctx context.Context, c *call) error {
	w, err := c.wishes()
	if err != nil {
		return err
	}
	return c.withAccount(ctx, "webhooks", func(cl *client, path string) error {
		return cl.do(ctx, "PATCH", path, w, nil)
	})
}

func webhookRotate(ctx context.Context, c *call) error {
	overlap := c.overlap()
	return c.withAccount(ctx, "webhooks", func(cl *client, path string) error {
		var info webhookInfo
		if err := cl.do(ctx, "POST", path+"/rotate", map[string]string{"overlap": overlap}, &info); err != nil {
			return err
		}
		return c.newSecret(&info)
	})
}

func webhookEnable(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "webhooks", func(cl *client, path string) error {
		return cl.do(ctx, "POST", path+"/enable", nil, nil)
	})
}
