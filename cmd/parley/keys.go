package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"parley.im/parley/xmppd/web"
)

func keyCommands() []command {
	usual := []option{configOption, setOption, oneAccount}
	listing := append(usual, jsonOption)
	return []command{
		{
			name: "apikey add",
			does: "Makes a key for the REST API, and prints its id and secret.",
			more: "The secret is shown this once.",
			options: append(listing[:len(listing):len(listing)],
				option{name: "role", value: "ROLE", does: strings.Join(web.Roles, ", ") + "; auditor"},
				option{name: "scopes", value: "LIST", does: "narrows the key to these, with commas between, such as webhooks:write; all that the role may"},
				option{name: "signing", does: "makes a key that signs tokens and requests and is never sent"},
				option{name: "label", value: "TEXT", does: "for people"},
				option{name: "expires", value: "TIME", does: "when it is good no more, such as 2027-11-27T09:30:00Z; never"}),
			run: keyAdd,
		},
		{name: "apikey list", does: "Lists an account's keys for the REST API.", options: listing, run: keyList},
		{name: "apikey delete", args: "KEY", does: "Revokes a key.", options: usual, run: keyDelete},
	}
}

func keyAdd(ctx context.Context, c *call) error {
	in := web.KeyWishes{Kind: "basic", Role: "auditor", Label: c.text("label"), Scopes: commaList(c.text("scopes"))}
	if c.on("signing") {
		in.Kind = "signing"
	}
	if c.on("role") {
		in.Role = c.text("role")
	}
	if c.on("expires") {
		t, err := time.Parse(time.RFC3339, c.text("expires"))
		if err != nil {
			return c.usage("-expires wants a time such as 2027-11-27T09:30:00Z, not %q", c.text("expires"))
		}
		in.Expires = &t
	}
	return c.withAccount(ctx, "keys", func(cl *client, path string) error {
		var k web.KeyInfo
		if err := cl.do(ctx, "POST", path, in, &k); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(k)
		}
		return c.table(func(w io.Writer) { fmt.Fprintf(w, "id\t%s\nsecret\t%s\n", k.ID, k.Secret) })
	})
}

func keyList(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "keys", func(cl *client, path string) error {
		list, err := items[web.KeyInfo](ctx, cl, path)
		if err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(list)
		}
		return c.table(func(w io.Writer) {
			for _, k := range list {
				may := "all of the role"
				if len(k.Scopes) > 0 {
					may = strings.Join(k.Scopes, ", ")
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Kind, k.Role, may, line(k.Label))
			}
		})
	})
}

func keyDelete(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "keys", func(cl *client, path string) error { return cl.do(ctx, "DELETE", path, nil, nil) })
}
