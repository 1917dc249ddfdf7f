package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/web"
)

func visitorCommands() []command {
	usual := []option{configOption, setOption, oneAccount, jsonOption}
	return []command{
		{
			name: "visitor show", args: "WHO", does: "Shows visitors, and their contacts, by an internal id or by an e-mail address that a shop has said.",
			more:    "A record of it goes into the audit log.",
			options: usual, run: visitorShow,
		},
		{
			name: "visitor erase", args: "ID", does: "Erases a visitor: who they are, and their contacts with all that was said in them.",
			more:    "What goes on is ended first. It cannot be undone: a copy that is restored later is rid of them again. What remains elsewhere is printed. While the account or one of the contacts is held nothing happens.",
			options: usual, run: visitorErase,
		},
	}
}

func (c *call) withVisitors(ctx context.Context, do func(cl *client, path string) error) error {
	return c.withClient(ctx, func(cl *client) error {
		id, err := c.account(ctx, cl)
		if err != nil {
			return err
		}
		return do(cl, accountPath(id)+"/visitors")
	})
}

func visitorShow(ctx context.Context, c *call) error {
	who := c.arg(0)
	if !contact.IsVisitor(who) && !strings.Contains(who, "@") {
		return c.usage("%q is neither a visitor's id nor an e-mail address", who)
	}
	return c.withVisitors(ctx, func(cl *client, path string) error {
		ids := []string{who}
		if !contact.IsVisitor(who) {
			found, err := items[web.VisitorInfo](ctx, cl, path+"?email="+url.QueryEscape(who))
			if err != nil {
				return err
			}
			ids = nil
			for _, v := range found {
				ids = append(ids, v.ID)
			}
		}
		list := make([]web.VisitorInfo, len(ids))
		for i, id := range ids {
			if err := cl.do(ctx, "GET", path+"/"+id, nil, &list[i]); err != nil {
				return err
			}
		}
		if c.on("json") {
			return c.printJSON(list)
		}
		return c.table(func(w io.Writer) {
			for i := range list {
				printVisitor(w, &list[i])
			}
		})
	})
}

func printVisitor(w io.Writer, v *web.VisitorInfo) {
	fmt.Fprintf(w, "visitor\t%s\n", v.ID)
	for _, part := range [][2]string{{"subject", v.Subject}, {"name", v.Name}, {"e-mail", v.Email}, {"phone", v.Phone}} {
		if part[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", part[0], line(part[1]))
		}
	}
	if v.Known {
		fmt.Fprintf(w, "known\tsince %s, last %s\n", v.First.UTC().Format(time.DateTime), v.Last.UTC().Format(time.DateTime))
	}
	for _, k := range v.Contacts {
		fmt.Fprintf(w, "contact\t%s  %s  %s\n", k.ID, k.Created.UTC().Format(time.DateTime), k.State)
	}
}

func visitorErase(ctx context.Context, c *call) error {
	return c.withVisitors(ctx, func(cl *client, path string) error {
		var is web.ErasureInfo
		if err := cl.do(ctx, "DELETE", path+"/"+url.PathEscape(c.arg(0)), nil, &is); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(is)
		}
		c.say("visitor %s is erased, with %d contacts; what remains:", is.Visitor, is.Contacts)
		for _, r := range is.Remains {
			until := ""
			if !r.Until.IsZero() {
				until = " (until " + r.Until.Format(time.DateOnly) + ")"
			}
			fmt.Fprintf(c.stdout, "%s: %s%s\n", r.What, r.Text, until)
		}
		return nil
	})
}
