package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"parley.im/parley/xmppd/web"
)

// parseAuth reads what -auth-stdin takes: none, basic USER PASSWORD or bearer TOKEN.
func parseAuth(line string) (*web.WebhookAuth, error) {
	scheme, rest, _ := strings.Cut(line, " ")
	switch scheme {
	case "none":
		return &web.WebhookAuth{Scheme: scheme}, nil
	case "basic":
		user, password, _ := strings.Cut(rest, " ")
		return &web.WebhookAuth{Scheme: scheme, User: user, Password: password}, nil
	case "bearer":
		return &web.WebhookAuth{Scheme: scheme, Token: rest}, nil
	}
	return nil, refuse("standard input is to say none, basic USER PASSWORD or bearer TOKEN")
}

// wishes are what the options of add and set say.
func (c *call) wishes() (w web.WebhookWishes, err error) {
	text := func(name string) *string {
		if !c.on(name) {
			return nil
		}
		t := c.text(name)
		return &t
	}
	w.URL, w.Payload, w.Ordering, w.Description = text("url"), text("payload"), text("ordering"), text("description")
	w.Format, w.Hub, w.Signature = text("format"), text("hub"), text("signature")
	if c.on("confirm-clear") {
		yes := true
		w.ConfirmClear = &yes
	}
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
		var info web.WebhookInfo
		if err := cl.do(ctx, "POST", path+"/rotate", web.OverlapWish{Overlap: overlap}, &info); err != nil {
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

// parseReplay reads the options of 'webhook replay'.
func (c *call) parseReplay() (in web.ReplayWish, err error) {
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
		var out web.Replayed
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
