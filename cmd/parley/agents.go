package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"parley.im/parley/xmppd/web"
)

func agentCommands() []command {
	usual := []option{configOption, setOption}
	return []command{
		{
			name: "agent add", args: "JID",
			does: "Adds an agent, anna@desk.example, with a password.",
			more: "No agent can be called bot, parley or system, as programs and the server are.",
			options: []option{
				configOption, setOption, jsonOption, stdinOption, policyOption,
				{name: "role", value: "ROLE", does: strings.Join(web.Roles, ", ") + "; agent"},
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
			name: "agent role", args: "JID ROLE",
			does: "Changes what an agent may: " + strings.Join(web.Roles, ", ") + ".", options: usual,
			run: agentRole,
		},
		{
			name: "agent set", args: "JID",
			does: "Changes what an agent knows, how much she takes, and what she is called, at once; what is not said stays as it is.",
			more: "It comes before what the configuration says of her under [[account.desk.agent]].",
			options: append(usual[:len(usual):len(usual)],
				option{name: "tags", value: "LIST", does: "what she knows, with commas between: groups want all of theirs; nothing between the quotes is nothing"},
				option{name: "limit", value: "N", does: "conversations that she has at a time; 0 is as others have"},
				option{name: "shown", value: "TEXT", does: "what visitors read in place of her name; nothing between the quotes is what her card says, or her name"},
				option{name: "reset", value: "LIST", does: "these are again as the configuration has them: tags, limit, shown"}),
			run: agentSet,
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

// withAgent runs do with a client and the path of an agent.
func (c *call) withAgent(ctx context.Context, do func(cl *client, path string) error) error {
	j, err := parseAgent(c.arg(0))
	if err != nil {
		return err
	}
	return c.withClient(ctx, func(cl *client) error {
		return do(cl, "/v1/domains/"+url.PathEscape(j.Domainpart())+"/agents/"+url.PathEscape(j.String()))
	})
}

func agentAdd(ctx context.Context, c *call) error {
	password, err := c.password()
	if err != nil {
		return err
	}
	role := "agent"
	if c.on("role") {
		role = c.text("role")
	}
	in := web.AgentWishes{JID: c.arg(0), Role: role, Password: password, NoPolicy: c.on("no-policy")}
	return c.withAgent(ctx, func(cl *client, path string) error {
		var info web.AgentInfo
		if err := cl.do(ctx, "POST", path[:strings.LastIndexByte(path, '/')], in, &info); err != nil {
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
	return c.withAgent(ctx, func(cl *client, path string) error {
		return cl.do(ctx, "PUT", path+"/password", in, nil)
	})
}

func agentDisable(disabled bool) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		return c.withAgent(ctx, func(cl *client, path string) error {
			return cl.do(ctx, "PATCH", path, web.AgentChange{Disabled: &disabled}, nil)
		})
	}
}

func agentRole(ctx context.Context, c *call) error {
	role := c.arg(1)
	return c.withAgent(ctx, func(cl *client, path string) error {
		return cl.do(ctx, "PATCH", path, web.AgentChange{Role: &role}, nil)
	})
}

func agentDelete(ctx context.Context, c *call) error {
	return c.withAgent(ctx, func(cl *client, path string) error { return cl.do(ctx, "DELETE", path, nil, nil) })
}

func agentList(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		list, err := cl.agents(ctx, c.text("account"))
		if err != nil {
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

// agents are those of an account, or of all.
func (cl *client) agents(ctx context.Context, account string) ([]web.AgentInfo, error) {
	accounts := []web.AccountInfo{{ID: account}}
	if account == "" {
		if err := cl.do(ctx, "GET", "/v1/accounts", nil, &accounts); err != nil {
			return nil, err
		}
	}
	list := make([]web.AgentInfo, 0)
	for _, a := range accounts {
		if err := each(ctx, cl, accountPath(a.ID)+"/agents", func(g web.AgentInfo) error {
			list = append(list, g)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b web.AgentInfo) int { return strings.Compare(a.JID, b.JID) })
	return list, nil
}

func agentShow(ctx context.Context, c *call) error {
	return c.withAgent(ctx, func(cl *client, path string) error {
		var a web.AgentInfo
		if err := cl.do(ctx, "GET", path, nil, &a); err != nil {
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
			printSkills(w, &a.Skills)
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
