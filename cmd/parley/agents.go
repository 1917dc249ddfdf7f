package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

func agentCommands() []command {
	usual := []option{configOption, setOption}
	return []command{
		{
			name: "agent add", args: "JID",
			does: "Adds an agent, anna@desk.example, with a password.",
			options: []option{
				configOption, setOption, jsonOption, stdinOption, policyOption,
				{name: "role", value: "ROLE", does: strings.Join(roles, ", ") + "; agent"},
			},
			run: agentAdd,
		},
		{
			name: "agent passwd", args: "JID",
			does: "Gives an agent another password.", options: append(usual, stdinOption, policyOption),
			run: agentPasswd,
		},
		{
			name: "agent disable", args: "JID",
			does: "Ends an agent's sessions and lets her sign in no more.", options: usual,
			run: agentDisable(true),
		},
		{
			name: "agent enable", args: "JID",
			does: "Lets a disabled agent sign in again.", options: usual,
			run: agentDisable(false),
		},
		{
			name: "agent delete", args: "JID",
			does:    "Deletes an agent for good.",
			more:    "Conversations that nobody can see any more go with her. A new agent of the same name owns nothing of the old one.",
			options: usual,
			run:     agentDelete,
		},
		{
			name:    "agent list",
			does:    "Lists the agents.",
			options: []option{configOption, setOption, jsonOption, {name: "account", value: "ID", does: "only this account's"}},
			run:     agentList,
		},
		{
			name: "agent show", args: "JID",
			does: "Shows an agent.", options: append(usual, jsonOption),
			run: agentShow,
		},
		{
			name:    "agent import",
			does:    "Adds many agents: lines of JID, a tab and password on standard input.",
			more:    "Passwords are hashed on all cores. Lines that are refused are told by their number, the others are imported.",
			options: append(usual, jsonOption, policyOption),
			run:     agentImport,
		},
	}
}

func agentPath(jid string) string { return "/v1/agents/" + url.PathEscape(jid) }

func agentAdd(ctx context.Context, c *call) error {
	password, err := c.password()
	if err != nil {
		return err
	}
	role := "agent"
	if c.on("role") {
		role = c.text("role")
	}
	in := map[string]any{"jid": c.arg(0), "role": role, "password": password, "no_policy": c.on("no-policy")}
	return c.withClient(ctx, func(cl *client) error {
		var info agentInfo
		if err := cl.do(ctx, "POST", "/v1/agents", in, &info); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(info)
		}
		c.say("added %s", info.JID)
		return nil
	})
}

func agentPasswd(ctx context.Context, c *call) error {
	password, err := c.password()
	if err != nil {
		return err
	}
	in := map[string]any{"password": password, "no_policy": c.on("no-policy")}
	return c.withClient(ctx, func(cl *client) error {
		return cl.do(ctx, "PUT", agentPath(c.arg(0))+"/password", in, nil)
	})
}

func agentDisable(disabled bool) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		return c.withClient(ctx, func(cl *client) error {
			return cl.do(ctx, "PUT", agentPath(c.arg(0))+"/disabled", map[string]bool{"disabled": disabled}, nil)
		})
	}
}

func agentDelete(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		return cl.do(ctx, "DELETE", agentPath(c.arg(0)), nil, nil)
	})
}

func agentList(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		var list []agentInfo
		if err := cl.do(ctx, "GET", "/v1/agents?account="+url.QueryEscape(c.text("account")), nil, &list); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(list)
		}
		return c.table(func(w io.Writer) {
			for _, a := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\n", a.JID, a.Role, state(a.Disabled, ""))
			}
		})
	})
}

func agentShow(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		var a agentInfo
		if err := cl.do(ctx, "GET", agentPath(c.arg(0)), nil, &a); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(a)
		}
		return c.table(func(w io.Writer) {
			fmt.Fprintf(w, "agent\t%s\naccount\t%s\nrole\t%s\nsince\t%s\n", a.JID, a.Account, a.Role, a.Created.Format(time.DateOnly))
			if a.Disabled {
				fmt.Fprintf(w, "state\tdisabled\n")
			}
			for _, k := range a.Credentials {
				fmt.Fprintf(w, "signs in\twith %s, since %s\n", line(k.Label), k.Created.Format(time.DateOnly))
			}
		})
	})
}

func agentImport(ctx context.Context, c *call) error {
	path := "/v1/import"
	if c.on("no-policy") {
		path += "?no_policy=yes"
	}
	return c.withClient(ctx, func(cl *client) error {
		body, err := cl.send(ctx, "POST", path, c.stdin)
		if err != nil {
			return err
		}
		defer body.Close()
		var result importResult
		if err := json.NewDecoder(body).Decode(&result); err != nil {
			return fmt.Errorf("read the server's answer: %w", err)
		}
		if c.on("json") {
			err = c.printJSON(result)
		} else {
			for _, f := range result.Faults {
				c.say("line %d: %s", f.Line, f.Text)
			}
			c.say("imported %d agents", result.Imported)
		}
		if n := len(result.Faults); n > 0 {
			return fmt.Errorf("%d lines were refused", n)
		}
		return err
	})
}
