package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"parley.im/parley/xmppd/web"
)

func contactCommands() []command {
	usual := []option{configOption, setOption, oneAccount}
	return []command{
		{
			name: "contact list",
			does: "Lists visitors' contacts, the newest first.",
			options: slices.Concat(usual, []option{jsonOption,
				{name: "live", does: "only those that go on, or are still written up"},
				{name: "state", value: "STATE", does: "only those in this state, or in one of several, with commas between"},
				{name: "agent", value: "NAME", does: "only those that this agent has, or had last"},
				{name: "outcome", value: "OUTCOME", does: "only those that came to that"},
				{name: "since", value: "TIME", does: "what was opened from then on, such as 2026-05-04T00:00:00Z"},
				{name: "until", value: "TIME", does: "what was opened until then"},
			}),
			run: contactList,
		},
		{
			name: "contact show", args: "ID", does: "Shows what is known of a contact, without what was said in it.",
			more:    "The id is the first part of its address. What the visitor's form says is shown: a record of it goes into the audit log.",
			options: append(usual, jsonOption), run: contactShow,
		},
		{
			name: "contact transcript", args: "ID", does: "Prints what was said in a contact, and what happened.",
			more: "Times are UTC. With -json each record is an object in a line of its own.",
			options: append(usual, jsonOption,
				option{name: "from", value: "N", does: "from this record on"},
				option{name: "to", value: "N", does: "up to this record"},
				option{name: "since", value: "TIME", does: "what was said from then on, such as 2026-05-04T00:00:00Z"},
				option{name: "until", value: "TIME", does: "what was said until then"}),
			run: contactTranscript,
		},
		{
			name: "contact export", args: "ID", does: "Prints all that is kept of a contact as one JSON document.",
			more:    "It is for the person whom it is about, or for another system; of files it has what they are called. A record of it goes into the audit log.",
			options: usual, run: contactExport,
		},
		{
			name: "contact close", args: "ID", does: "Ends a contact, whoever has it.",
			more:    "The server has to run. The visitor sees that it is over, and its agent may still write it up.",
			options: append(usual, option{name: "reason", value: "TEXT", does: "why; its agent reads it"}),
			run:     contactClose,
		},
	}
}

func contactList(ctx context.Context, c *call) error {
	query := make(url.Values)
	if c.on("live") {
		query.Set("live", "true")
	}
	for _, name := range []string{"state", "agent", "outcome", "since", "until"} {
		if c.on(name) {
			query.Set(name, c.text(name))
		}
	}
	return c.withAccount(ctx, "contacts", func(cl *client, path string) error {
		list := make([]web.ContactInfo, 0)
		err := each(ctx, cl, path+"?"+query.Encode(), func(v web.ContactInfo) error {
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
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", v.ID, v.Created.Format(time.DateTime), v.State, v.Agent, v.Outcome)
			}
		})
	})
}

func contactShow(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "contacts", func(cl *client, path string) error {
		var v web.ContactDetail
		if err := cl.do(ctx, "GET", path, nil, &v); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(v)
		}
		return c.table(func(w io.Writer) { printContact(w, &v) })
	})
}

// printContact shows a contact to an operator; strangers have written most of it.
func printContact(w io.Writer, v *web.ContactDetail) {
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", line(name), line(value))
		}
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.DateTime)
	}
	row("id", v.ID)
	row("state", v.State)
	row("conversation", v.Conversation)
	row("visitor", v.Visitor)
	row("name", v.Person.Name)
	row("page", strings.TrimSpace(v.Person.Subject+" "+v.Person.Page))
	row("language", v.Person.Lang)
	row("asked", v.Question)
	for _, name := range slices.Sorted(maps.Keys(v.Person.Fields)) {
		row("field "+name, v.Person.Fields[name])
	}
	row("tags", strings.Join(v.Tags, ", "))
	row("group", v.Group)
	row("priority", fmt.Sprint(v.Priority))
	row("created", at(v.Created))
	row("queued", at(v.Queued))
	row("asked for it", strings.Join(v.Offered, ", "))
	for _, l := range v.Legs {
		row("agent "+l.Agent, strings.TrimSpace("from "+at(l.From)+" "+l.Reason+" "+at(l.To)))
	}
	row("guests", strings.Join(v.Guests, ", "))
	if v.Closed != nil {
		row("closed", strings.TrimSpace(at(*v.Closed)+" by "+v.By+" "+v.Reason))
	}
	row("finalized", at(v.Finalized))
	row("outcome", v.Outcome)
	if v.Rating > 0 {
		row("rating", strings.TrimSpace(fmt.Sprint(v.Rating, " ", v.Comment)))
	}
	if v.Locked {
		row("locked", "most of it cannot be read")
	}
}

func contactTranscript(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "contacts", func(cl *client, path string) error { return c.transcript(ctx, cl, path) })
}

// contactExport passes the document on as it comes, and says when that was not all.
func contactExport(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "contacts", func(cl *client, path string) error {
		body, err := cl.send(ctx, "GET", path+"/export", nil)
		if err != nil {
			return err
		}
		defer body.Close()
		parts := json.NewDecoder(io.TeeReader(body, c.stdout))
		for depth := 0; ; {
			part, err := parts.Token()
			switch {
			case errors.Is(err, io.EOF) && depth == 0:
				return nil
			case err != nil:
				return fmt.Errorf("the export was cut off; the server's log says why: %w", err)
			case part == json.Delim('{'), part == json.Delim('['):
				depth++
			case part == json.Delim('}'), part == json.Delim(']'):
				depth--
			}
		}
	})
}

func contactClose(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "contacts", func(cl *client, path string) error {
		return cl.do(ctx, "POST", path+"/close", web.CloseWish{Reason: c.text("reason")}, nil)
	})
}
