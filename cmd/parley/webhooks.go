package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"parley.im/parley/xmppd/web"
)

func webhookCommands() []command {
	usual := []option{configOption, setOption, oneAccount}
	listing := append(usual, jsonOption)
	events := "with commas between: " + strings.Join(web.EventNames(), ", ") + ", or kinds such as agent.*"
	wishes := []option{
		{name: "payload", value: "full|thin", does: "thin tells who wrote to whom, without what was said; full"},
		{name: "confirm-clear", does: "has what was said go over plain http, too, which whoever is on the way can read and change; for accounts that do not encrypt what they keep. Another URL or a thin payload takes it back"},
		{name: "ordering", value: "any|contact", does: "contact sends the events of a conversation one after the other; any"},
		{name: "format", value: "parley|vivocha", does: "vivocha sends an array of events with their names there; parley"},
		{name: "hub", value: "on|off", does: "on adds the header x-hub-signature; off"},
		{name: "signature", value: "hmac|ed25519", does: "ed25519 signs with a key of the webhook's own, too, so that its public key is enough to verify; hmac"},
		{name: "description", value: "TEXT", does: "for people"},
		{name: "auth-stdin", does: "reads from standard input what the receiver wants to see besides the signature: none, basic USER PASSWORD, or bearer TOKEN"},
	}
	return []command{
		{
			name: "webhook add",
			does: "Has an account's events sent to a URL, from now on; prints the webhook's id and secret.",
			more: "The secret is shown this once.",
			options: slices.Concat(listing, []option{
				{name: "url", value: "URL", does: "the receiver", must: true},
				{name: "events", value: "LIST", does: "only these, " + events + "; all"},
			}, wishes),
			run: webhookAdd,
		},
		{
			name: "webhook set", args: "WEBHOOK", does: "Changes a webhook; what is not said stays as it is.",
			options: slices.Concat(usual, []option{
				{name: "url", value: "URL", does: "the receiver"},
				{name: "events", value: "LIST", does: "these, " + events + "; nothing between the quotes is all"},
			}, wishes),
			run: webhookSet,
		},
		{
			name: "webhook rotate", args: "WEBHOOK",
			does:    "Gives a webhook a new secret, and a new key if it has one, and prints them.",
			more:    "What is sent is signed with both until the old one is good no more.",
			options: append(listing[:len(listing):len(listing)], option{name: "overlap", value: "TIME", does: "for how long the old one is good, at most 168h; 24h"}),
			run:     webhookRotate,
		},
		{
			name: "webhook replay", args: "WEBHOOK",
			does: "Sends events again to a webhook: one, all of a time, or those that it was given up for.",
			more: "Times are such as 2026-11-27T09:30:00Z. The receiver knows the events by their ids.",
			options: append(listing[:len(listing):len(listing)],
				option{name: "event", value: "EVENT", does: "this one: evt_…"},
				option{name: "since", value: "TIME", does: "all that the webhook asks for that happened since then"},
				option{name: "until", value: "TIME", does: "with -since: and before then; now"},
				option{name: "failed-since", value: "TIME", does: "what it never took and was given up, tried first since then"}),
			run: webhookReplay,
		},
		{
			name: "webhook enable", args: "WEBHOOK",
			does: "Has events sent again to a webhook that was disabled.",
			more: "It gets what has happened since.", options: usual, run: webhookEnable,
		},
		{name: "webhook list", does: "Lists an account's webhooks.", options: listing, run: webhookList},
		{name: "webhook show", args: "WEBHOOK", does: "Shows a webhook and how far it has got.", options: listing, run: webhookShow},
		{
			name: "webhook test", args: "WEBHOOK",
			does: "Sends the event webhook.test to a webhook.", options: listing,
			run: webhookTest,
		},
		{
			name: "webhook deliveries", args: "WEBHOOK",
			does:    "Lists the newest attempts to deliver events, and what came of them.",
			options: append(listing[:len(listing):len(listing)], option{name: "max", value: "N", does: "how many; 50"}),
			run:     webhookDeliveries,
		},
		{name: "webhook delete", args: "WEBHOOK", does: "Deletes a webhook.", options: usual, run: webhookDelete},
	}
}

// withAccount runs do with a client and the path of the account's part called what.
func (c *call) withAccount(ctx context.Context, what string, do func(cl *client, path string) error) error {
	return c.withClient(ctx, func(cl *client) error {
		id, err := c.account(ctx, cl)
		if err != nil {
			return err
		}
		path := accountPath(id) + "/" + what
		if c.arg(0) != "" {
			path += "/" + url.PathEscape(c.arg(0))
		}
		return do(cl, path)
	})
}

func webhookAdd(ctx context.Context, c *call) error {
	in, err := c.wishes()
	if err != nil {
		return err
	}
	return c.withAccount(ctx, "webhooks", func(cl *client, path string) error {
		var info web.WebhookInfo
		if err := cl.do(ctx, "POST", path, in, &info); err != nil {
			return err
		}
		return c.newSecret(&info)
	})
}

// showKey prints what receivers verify with, besides the secret.
func showKey(w io.Writer, info *web.WebhookInfo) {
	if info.PublicKey != "" {
		fmt.Fprintf(w, "public key\t%s\n", info.PublicKey)
	}
}

// newSecret prints a webhook's secret, this once.
func (c *call) newSecret(info *web.WebhookInfo) error {
	if c.on("json") {
		return c.printJSON(info)
	}
	return c.table(func(w io.Writer) {
		fmt.Fprintf(w, "id\t%s\nsecret\t%s\n", info.ID, info.Secret)
		showKey(w, info)
	})
}

func webhookList(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "webhooks", func(cl *client, path string) error {
		list, err := items[web.WebhookInfo](ctx, cl, path)
		if err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(list)
		}
		return c.table(func(w io.Writer) {
			for _, h := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", h.ID, line(h.URL), asksFor(&h), state(h.Disabled, h.Why))
			}
		})
	})
}

func asksFor(h *web.WebhookInfo) string {
	if len(h.Events) == 0 {
		return "all events"
	}
	return strings.Join(h.Events, ", ")
}

func webhookShow(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "webhooks", func(cl *client, path string) error {
		var h web.WebhookInfo
		if err := cl.do(ctx, "GET", path, nil, &h); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(h)
		}
		return c.table(func(w io.Writer) {
			fmt.Fprintf(w, "webhook\t%s\nurl\t%s\nevents\t%s\nsince\t%s\n", h.ID, line(h.URL), asksFor(&h), h.Created.Format(time.DateOnly))
			fmt.Fprintf(w, "payload\t%s\nordering\t%s\nformat\t%s\nhub\t%s\nauth\t%s\nsignature\t%s\n", h.Payload, h.Ordering, h.Format, h.Hub, h.Auth, h.Signature)
			showKey(w, &h)
			if h.ConfirmClear {
				fmt.Fprint(w, "in clear\tconfirmed\n")
			}
			if h.Description != "" {
				fmt.Fprintf(w, "description\t%s\n", line(h.Description))
			}
			if h.PreviousUntil != nil {
				fmt.Fprintf(w, "old secret\tuntil %s\n", h.PreviousUntil.Format(time.DateTime))
			}
			fmt.Fprintf(w, "behind\t%d records\nto retry\t%d events\n", *h.Behind, *h.Retries)
			if h.Disabled {
				fmt.Fprintf(w, "state\t%s\n", state(true, h.Why))
			}
		})
	})
}

func webhookTest(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "webhooks", func(cl *client, path string) error {
		var out web.SentEvent
		if err := cl.do(ctx, "POST", path+"/test", nil, &out); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(out)
		}
		if out.Later {
			c.say("%s will be sent when the server runs", out.Event)
			return nil
		}
		c.say("%s is on its way; 'parley webhook deliveries %s' shows what came of it", out.Event, c.arg(0))
		return nil
	})
}

func webhookDeliveries(ctx context.Context, c *call) error {
	limit := "50"
	if c.on("max") {
		limit = c.text("max")
	}
	return c.withAccount(ctx, "webhooks", func(cl *client, path string) error {
		list, err := items[web.DeliveryInfo](ctx, cl, path+"/deliveries?limit="+url.QueryEscape(limit))
		if err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(list)
		}
		return c.table(func(w io.Writer) {
			for _, d := range list {
				fmt.Fprintf(w, "%s\t%s\tattempt %d\t%s\t%d ms\n", d.At.Format(time.DateTime), d.Type, d.Number, outcome(&d), d.Took)
			}
		})
	})
}

func outcome(d *web.DeliveryInfo) string {
	switch {
	case d.Err != "" && d.Status != 0:
		return fmt.Sprintf("%d, %s", d.Status, line(d.Err))
	case d.Err != "":
		return line(d.Err)
	}
	return fmt.Sprint(d.Status)
}

func webhookDelete(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "webhooks", func(cl *client, path string) error {
		return cl.do(ctx, "DELETE", path, nil, nil)
	})
}
