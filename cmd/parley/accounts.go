package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"text/tabwriter"
	"time"

	"parley.im/parley/xmppd/web"
)

func accountCommands() []command {
	return []command{
		{
			name: "account add", args: "ID",
			does: "Adds an account: a customer with a domain, agents, stores and keys of its own.",
			more: "Writes accounts.d/ID.toml beside the configuration; a running server takes it over at once.",
			options: []option{
				configOption, setOption, jsonOption,
				{name: "domain", value: "DOMAIN", does: "the account's XMPP domain", must: true},
				{name: "profile", value: "PROFILE", does: "solo, starter, plus or enterprise; enterprise, which encrypts what is stored"},
			},
			run: accountAdd,
		},
		{
			name: "account list",
			does: "Lists the accounts.", options: []option{configOption, setOption, jsonOption},
			run: accountList,
		},
		{
			name: "account show", args: "ID",
			does: "Shows an account.",
			options: []option{
				configOption, setOption, jsonOption,
				{name: "secret", does: "shows the account's secret token, with which webhooks are signed, and nothing else unless with -json; while the one before it is good, that is on a second line, with until when"},
			},
			run: accountShow,
		},
		{
			name: "account disable", args: "ID",
			does: "Ends all sessions of an account and lets nobody sign in.", options: []option{configOption, setOption},
			run: accountDisable(true),
		},
		{
			name: "account enable", args: "ID",
			does: "Lets the agents of a disabled account sign in again.", options: []option{configOption, setOption},
			run: accountDisable(false),
		},
		{
			name: "account reissue", args: "ID",
			does:    "Begins anew with passwords: from now on they are hashed auth.iterations times, and every agent needs another one.",
			more:    "Until 'parley agent passwd' has set it, an agent cannot sign in: the server never knew the old password.",
			options: []option{configOption, setOption}, run: accountReissue,
		},
		{
			name: "account rotate-token", args: "ID",
			does: "Gives an account another secret token, and prints it.",
			more: "Webhooks are signed with it at once, and with the old one beside it (x-parley-hmac-sha1-previous) until that is good no more.",
			options: []option{
				configOption, setOption, jsonOption,
				{name: "overlap", value: "TIME", does: "for how long the old one is good, at most 168h; 24h"},
			},
			run: accountRotateToken,
		},
		{
			name: "account delete", args: "ID",
			does: "Destroys a disabled account, with its keys and all that was ever said in it.", options: []option{configOption, setOption},
			run: accountDelete,
		},
	}
}

func accountReissue(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		var info web.AccountInfo
		if err := cl.do(ctx, "POST", accountPath(c.arg(0))+"/reissue", nil, &info); err != nil {
			return err
		}
		c.say("account %s: %d passwords are to be set anew with 'parley agent passwd'", info.ID, info.Stale)
		return nil
	})
}

func accountPath(id string) string { return "/v1/accounts/" + url.PathEscape(id) }

func accountAdd(ctx context.Context, c *call) error {
	in := map[string]string{"id": c.arg(0), "domain": c.text("domain"), "profile": "enterprise"}
	if c.on("profile") {
		in["profile"] = c.text("profile")
	}
	return c.withClient(ctx, func(cl *client) error {
		var info web.AccountInfo
		if err := cl.do(ctx, "POST", "/v1/accounts", in, &info); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(info)
		}
		c.say("added account %s for %s (%s); 'parley agent add anna@%s' adds an agent", info.ID, info.Domain, info.Profile, info.Domain)
		return c.warnUncovered(info.Domain)
	})
}

// warnUncovered says so when no certificate is for a domain.
func (c *call) warnUncovered(domain string) error {
	f, err := c.load()
	if err != nil {
		return err
	}
	if list, errs := loadCertificates(f); !covers(list, domain) && len(errs) > 0 {
		c.say("no certificate is for %s yet: add one to %s as [[certificate]]", domain, f.Path())
	}
	return nil
}

func accountList(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		var list []web.AccountInfo
		if err := cl.do(ctx, "GET", "/v1/accounts", nil, &list); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(list)
		}
		return c.table(func(w io.Writer) {
			for _, a := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", a.ID, a.Domain, a.Profile, state(a.Disabled, ""))
			}
		})
	})
}

// state is how a list shows that something is switched off.
func state(disabled bool, why string) string {
	switch {
	case disabled && why != "":
		return "disabled: " + line(why)
	case disabled:
		return "disabled"
	}
	return ""
}

// table prints rows of tab-separated columns.
func (c *call) table(rows func(io.Writer)) error {
	w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	rows(w)
	return w.Flush()
}

func accountShow(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		var a struct {
			web.AccountInfo
			*web.AccountSecret
		}
		path := accountPath(c.arg(0)) + "/account"
		if c.on("secret") {
			if err := cl.do(ctx, "GET", path+"/secret", nil, &a.AccountSecret); err != nil {
				return err
			}
			if !c.on("json") {
				return c.printToken(a.AccountSecret)
			}
		}
		if err := cl.do(ctx, "GET", path, nil, &a.AccountInfo); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(a)
		}
		return c.table(func(w io.Writer) { printAccount(w, &a.AccountInfo) })
	})
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
		var s web.AccountSecret
		if err := cl.do(ctx, "POST", accountPath(c.arg(0))+"/account/secret/rotate", web.OverlapWish{Overlap: c.overlap()}, &s); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(s)
		}
		return c.printToken(&s)
	})
}

// printToken prints the token that signs and, while it is good, the one before it.
func (c *call) printToken(s *web.AccountSecret) error {
	if _, err := fmt.Fprintln(c.stdout, s.Secret); err != nil || s.PreviousUntil == nil {
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "%s  until %s\n", s.Previous, s.PreviousUntil.UTC().Format(time.RFC3339))
	return err
}

func printAccount(w io.Writer, a *web.AccountInfo) {
	fmt.Fprintf(w, "account\t%s\ndomain\t%s\nprofile\t%s\n", a.ID, a.Domain, a.Profile)
	stored := "in clear"
	if a.Sealed {
		stored = "encrypted"
	}
	fmt.Fprintf(w, "stored\t%s\n", stored)
	kept := "for ever"
	if a.Retention != "" {
		kept = a.Retention
	}
	fmt.Fprintf(w, "kept\t%s\ndeclared\t%s\n", kept, a.Declared)
	if held := heldText(a.HeldUntil); held != "" {
		fmt.Fprintf(w, "hold\t%s\n", held)
	}
	if a.Disabled {
		fmt.Fprintf(w, "state\tdisabled\n")
	}
	fmt.Fprintf(w, "agents\t%d\nwebhooks\t%d\niterations\t%d\n", *a.Agents, *a.Webhooks, a.Iterations)
	if a.Configured != 0 {
		fmt.Fprintf(w, "\t(%d are configured: they hold after 'parley account reissue')\n", a.Configured)
	}
}

func accountDisable(disabled bool) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		return c.withClient(ctx, func(cl *client) error {
			return cl.do(ctx, "PUT", accountPath(c.arg(0))+"/disabled", map[string]bool{"disabled": disabled}, nil)
		})
	}
}

func accountDelete(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		return cl.do(ctx, "DELETE", accountPath(c.arg(0)), nil, nil)
	})
}

// account is the account that -account names, or the only one that there is.
func (c *call) account(ctx context.Context, cl *client) (string, error) {
	if id := c.text("account"); id != "" {
		return id, nil
	}
	var list []web.AccountInfo
	if err := cl.do(ctx, "GET", "/v1/accounts", nil, &list); err != nil {
		return "", err
	}
	if len(list) != 1 {
		return "", c.usage("there are %d accounts: -account is missing", len(list))
	}
	return list[0].ID, nil
}
