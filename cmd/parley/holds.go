package main

import (
	"context"
	"fmt"
	"time"

	"parley.im/parley/store"
)

var untilOption = option{name: "until", value: "DATE", does: "the hold's last day (UTC), such as 2027-12-31, or an instant such as 2027-12-31T18:00:00Z; it is for ever"}

func holdCommands() []command {
	common := []option{configOption, setOption}
	return []command{
		{
			name: "account hold", args: "ID",
			does:    "Keeps all that was said in an account from being destroyed, whatever the retention says.",
			more:    "A running server and one that is started later keep to it, until the day that -until names or 'parley account release'.",
			options: append([]option{untilOption}, common...), run: accountHold(true),
		},
		{
			name: "account release", args: "ID",
			does:    "Ends the hold of an account: what has expired meanwhile is destroyed within an hour.",
			options: common, run: accountHold(false),
		},
		{
			name: "conversation hold", args: "N",
			does:    "Keeps conversation N from being destroyed, whatever the retention says.",
			options: append([]option{untilOption, oneAccount}, common...), run: conversationHold(true),
		},
		{
			name: "conversation release", args: "N",
			does:    "Ends the hold of conversation N; one of the whole account goes on.",
			options: append([]option{oneAccount}, common...), run: conversationHold(false),
		},
	}
}

// A holdInfo is what a hold is asked with, and answered.
type holdInfo struct {
	Until time.Time `json:"until,omitzero"` // zero is for ever
}

// until is when the hold ends that was asked for.
func (c *call) until() (until time.Time, err error) {
	text := c.text("until")
	if text == "" {
		return time.Time{}, nil
	}
	if until, err = time.Parse(time.RFC3339, text); err == nil {
		return until, nil
	}
	if until, err = time.Parse(time.DateOnly, text); err != nil {
		return time.Time{}, c.usage("-until: not a date such as 2027-12-31: %q", text)
	}
	return until.AddDate(0, 0, 1), nil // the day itself counts
}

func (c *call) hold(ctx context.Context, cl *client, path string, begin bool) error {
	if !begin {
		return cl.do(ctx, "DELETE", path+"/hold", nil, nil)
	}
	until, err := c.until()
	if err != nil {
		return err
	}
	return cl.do(ctx, "PUT", path+"/hold", holdInfo{until}, nil)
}

func accountHold(begin bool) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		return c.withClient(ctx, func(cl *client) error { return c.hold(ctx, cl, accountPath(c.arg(0)), begin) })
	}
}

func conversationHold(begin bool) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		return c.withAccount(ctx, "conversations", func(cl *client, path string) error {
			return c.hold(ctx, cl, path, begin)
		})
	}
}

// heldText is how a list shows a hold; nothing if there is none.
func heldText(until time.Time) string {
	switch {
	case !until.After(time.Now()):
		return ""
	case !until.Before(store.Forever):
		return "held"
	}
	return fmt.Sprintf("held until %s", until.UTC().Format(time.DateTime))
}
