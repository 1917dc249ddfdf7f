package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
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
			does:    "Prints what was said in conversation N, or in all conversations between people.",
			more:    "Times are UTC. With -json each record is an object in a line of its own.",
			options: listing,
			run:     conversationShow,
		},
	}
}

func conversationList(ctx context.Context, c *call) error {
	return c.withAccount(ctx, "conversations", func(cl *client, path string) error {
		var list []conversationInfo
		if err := cl.do(ctx, "GET", path, nil, &list); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(list)
		}
		return c.table(func(w io.Writer) {
			for _, v := range list {
				fmt.Fprintf(w, "%d\t%s\t%s\t%d records\n", v.ID, v.Kind, v.who(), v.Records)
			}
		})
	})
}

func (v *conversationInfo) who() string {
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
		var list []conversationInfo
		if err := cl.do(ctx, "GET", path, nil, &list); err != nil {
			return err
		}
		for _, v := range list {
			if v.Kind == "journal" || v.Shredded {
				continue
			}
			if !c.on("json") {
				fmt.Fprintf(c.stdout, "\n%d  %s\n", v.ID, v.who())
			}
			if err := c.transcript(ctx, cl, fmt.Sprintf("%s/%d", path, v.ID)); err != nil {
				return err
			}
		}
		return nil
	})
}

// transcript prints one conversation as its records arrive.
func (c *call) transcript(ctx context.Context, cl *client, path string) error {
	body, err := cl.send(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := json.NewDecoder(body)
	out := json.NewEncoder(c.stdout)
	out.SetEscapeHTML(false)
	for {
		var r recordInfo
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
			_, err = io.WriteString(c.stdout, r.line())
		}
		if err != nil {
			return err
		}
	}
}

// line is the record for people: when, who and what.
func (r *recordInfo) line() string {
	at := r.At.Format(time.DateTime)
	indent := strings.Repeat(" ", len(at)+2)
	switch {
	case r.Failure != "":
		return fmt.Sprintf("%s  (unreadable: %s)\n", at, line(r.Failure))
	case r.Locked:
		return at + "  (locked)\n"
	case r.Event != "message.created":
		return fmt.Sprintf("%s  %s  %s\n", at, r.Event, line(string(r.Data)))
	}
	from, _, _ := strings.Cut(r.From, "/")
	said := r.Text
	if r.Subject != "" {
		said = "[" + r.Subject + "] " + said
	}
	if said == "" {
		said = "(no text)"
	}
	return fmt.Sprintf("%s  %s: %s\n", at, line(from), printable(said, indent))
}
