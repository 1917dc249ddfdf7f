package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"time"

	"parley.im/parley/xmppd/web"
)

func deviceCommands() []command {
	usual := []option{configOption, setOption}
	listing := append(usual, jsonOption)
	return []command{
		{
			name: "device add", args: "JID LABEL",
			does: "Makes a secret with which one of an agent's devices signs in instead of her password, and prints it.",
			more: "The secret is shown this once. A new one under the same label takes the old one's place.", options: listing, run: deviceAdd,
		},
		{name: "device list", args: "JID", does: "Lists what an agent signs in with.", options: listing, run: deviceList},
		{
			name: "device revoke", args: "JID ID",
			does: "Lets nobody sign in any more with one of an agent's credentials, and ends its sessions.", options: usual, run: deviceRevoke,
		},
	}
}

func deviceAdd(ctx context.Context, c *call) error {
	return c.withAgent(ctx, func(cl *client, path string) error {
		var k web.CredentialInfo
		if err := cl.do(ctx, "POST", path+"/credentials", map[string]string{"label": c.arg(1)}, &k); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(k)
		}
		return c.table(func(w io.Writer) { fmt.Fprintf(w, "id\t%s\nsecret\t%s\n", k.ID, k.Secret) })
	})
}

func deviceList(ctx context.Context, c *call) error {
	return c.withAgent(ctx, func(cl *client, path string) error {
		list, err := items[web.CredentialInfo](ctx, cl, path+"/credentials")
		if err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(list)
		}
		return c.table(func(w io.Writer) {
			for _, k := range list {
				fmt.Fprintf(w, "%s\t%s\tsince %s\n", k.ID, line(k.Label), k.Created.Format(time.DateOnly))
			}
		})
	})
}

func deviceRevoke(ctx context.Context, c *call) error {
	return c.withAgent(ctx, func(cl *client, path string) error {
		return cl.do(ctx, "DELETE", path+"/credentials/"+url.PathEscape(c.arg(1)), nil, nil)
	})
}
