package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/web"
)

func sessionCommands() []command {
	usual := []option{configOption, setOption}
	return []command{
		{
			name: "session list", args: "JID", does: "Lists an agent's sessions: which of her devices are signed in, since when and from where.",
			options: append(usual, jsonOption), run: sessionList,
		},
		{
			name: "session end", args: "JID ID", does: "Ends one of an agent's sessions.",
			more: "Its client may sign in again: 'parley device revoke' keeps it out.", options: usual, run: sessionEnd,
		},
	}
}

func sessionList(ctx context.Context, c *call) error {
	return c.withAgent(ctx, func(cl *client, path string) error {
		list, err := items[web.SessionInfo](ctx, cl, path+"/sessions")
		if err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(list)
		}
		return c.table(func(w io.Writer) {
			for _, v := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", v.ID, line(v.Resource), whence(&v), v.TLS, line(strings.TrimSpace(v.Software+" "+v.Device)))
			}
		})
	})
}

// whence says since when a session is there, and from where.
func whence(v *web.SessionInfo) string {
	text := "since before the start"
	if !v.Since.IsZero() {
		text = "since " + v.Since.Format(time.DateTime)
	}
	switch {
	case !v.Connected:
		return text + ", waits to be resumed"
	case v.From != "":
		return text + ", from " + v.From
	}
	return text
}

func sessionEnd(ctx context.Context, c *call) error {
	return c.withAgent(ctx, func(cl *client, path string) error {
		return cl.do(ctx, "DELETE", path+"/sessions/"+url.PathEscape(c.arg(1)), nil, nil)
	})
}

// Sessions are an agent's that live.
func (s *server) Sessions(account string, a store.Agent) []web.SessionInfo {
	all := make([]web.SessionInfo, 0)
	for _, v := range s.xmpp.Sessions(account, a) {
		info := web.SessionInfo{
			ID: v.ID, Resource: v.Resource, Since: v.Since, Connected: v.Connected, TLS: v.TLS, Software: v.Agent.Software, Device: v.Agent.Device,
		}
		if v.From.IsValid() {
			info.From = v.From.String()
		}
		if v.Credential != 0 {
			info.Credential = strconv.FormatInt(v.Credential, 10)
		}
		all = append(all, info)
	}
	return all
}

// EndSession ends one of them, if it is there.
func (s *server) EndSession(account string, a store.Agent, id string) bool {
	return s.xmpp.EndSession(account, a, id)
}
