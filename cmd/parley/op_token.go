package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"parley.im/parley/store"
)

// withToken adds the account's secret token. VIV-7
func (info *accountInfo) withToken(ctx context.Context, a *account) error {
	t, err := a.store.Token(ctx)
	if err != nil {
		return err
	}
	info.show(t)
	return nil
}

func (info *accountInfo) show(t store.Token) {
	info.Token, info.PreviousToken = t.Value, t.Previous
	if t.Previous != "" {
		info.PreviousUntil = &t.Until
	}
}

// rotateToken gives an account another secret token. Webhooks are signed with the old one,
// too, until receivers have had the time to learn the new one. VIV-7
func (o *operator) rotateToken(r *http.Request) (any, error) {
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
	a, err := o.inst.account(r.Context(), r.PathValue("account"))
	if err != nil {
		return nil, err
	}
	until := o.inst.now().Add(overlap).UTC().Truncate(time.Second)
	event, err := json.Marshal(map[string]time.Time{"previous_until": until})
	if err != nil {
		return nil, err
	}
	t, err := a.store.RotateToken(r.Context(), until, event)
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil, conflict("somebody else has just rotated the token of account %s", a.id)
	case err != nil:
		return nil, err
	}
	o.webhooksChanged(a)
	info := o.accountInfo(a)
	info.show(t)
	return info, nil
}

// overlap is how long an old secret is to be good.
func (c *call) overlap() string {
	if c.on("overlap") {
		return c.text("overlap")
	}
	return "24h"
}

func accountRotateToken(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		var info accountInfo
		if err := cl.do(ctx, "POST", accountPath(c.arg(0))+"/rotate-token", map[string]string{"overlap": c.overlap()}, &info); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(info)
		}
		return c.printToken(&info)
	})
}

// printToken prints the token that signs and, while it is good, the one before it.
func (c *call) printToken(a *accountInfo) error {
	if _, err := fmt.Fprintln(c.stdout, a.Token); err != nil || a.PreviousUntil == nil {
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "%s  until %s\n", a.PreviousToken, a.PreviousUntil.UTC().Format(time.RFC3339))
	return err
}
