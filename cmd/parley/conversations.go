package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"parley.im/parley/xmppd/web"
)

func conversationCommands() []command {
	listing := []option{configOption, setOption, oneAccount, jsonOption}
	return []command{
		{
			name: "conversation list",
			does: "Lists an account's conversations.", options: listing,
			run: conversationList,
		},
		{
			name: "conversation show", args: "[N]",
			does: "Prints what was said in conversation N, or in all conversations between people.",
			more: "Times are UTC. With -json each record is an object in a line of its own.",
			options: append(listing,
				option{name: "from", value: "N", does: "from this record on"},
				option{name: "to", value: "N", does: "up to this record"},
				option{name: "since", value: "TIME", does: "what was said from then on, such as 2026-05-04T00:00:00Z"},
				option{name: "until", value: "TIME", does: "what was said until then"}),
			run: conversationShow,
		},
	}
}

func conversationList(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "conversations", func(cl *client, path string) error {
		list := make([]web.ConversationInfo, 0)
		err := each(ctx, cl, path, func(v web.ConversationInfo) error {
			list = append(list, v)
			return nil
		})
		switch {
		case err != nil:
			return err
		case c.on("json"):
			return c.printJSON(list)
		}
		return c.table(func(w io.Writer) {
			for _, v := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d records\t%s\n", v.ID, v.Kind, who(&v), v.Records, heldText(v.HeldUntil))
			}
		})
	})
}

func who(v *web.ConversationInfo) string {
	if v.Shredded {
		return "(destroyed)"
	}
	return strings.Join(v.Agents, ", ")
}

func conversationShow(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "conversations", func(cl *client, path string) error {
		if c.arg(0) != "" {
			return c.transcript(ctx, cl, path)
		}
		return each(ctx, cl, path, func(v web.ConversationInfo) error {
			if v.Kind == "journal" || v.Shredded {
				return nil
			}
			if !c.on("json") {
				fmt.Fprintf(c.stdout, "\n%s  %s\n", v.ID, who(&v))
			}
			return c.transcript(ctx, cl, path+"/"+v.ID)
		})
	})
}

// transcript prints one conversation as its records arrive.
func (c *call) transcript(ctx context.Context, cl *client, path string) error {
	query := make(url.Values)
	for _, name := range []string{"from", "to", "since", "until"} {
		if c.on(name) {
			query.Set(name, c.text(name))
		}
	}
	body, err := cl.send(ctx, "GET", path+"/transcript?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := json.NewDecoder(body)
	out := json.NewEncoder(c.stdout)
	out.SetEscapeHTML(false)
	for {
		var r web.RecordInfo
		err := lines.Decode(&r)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the transcript: %w", err)
		case r.N == 0:
			return fmt.Errorf("read the transcript: %s", r.Failure)
		case c.on("json"):
			err = out.Encode(r)
		default:
			_, err = io.WriteString(c.stdout, r.Line())
		}
		if err != nil {
			return err
		}
	}
}
