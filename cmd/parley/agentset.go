package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"parley.im/parley/xmppd/web"
)

// agentSet changes what an agent knows, takes and is called.
func agentSet(ctx context.Context, c *call) error {
	in := make(map[string]any)
	if c.on("tags") {
		in["tags"] = append([]string{}, commaList(c.text("tags"))...) // none is a list, too
	}
	if c.on("limit") {
		n, err := strconv.Atoi(c.text("limit"))
		if err != nil {
			return c.usage("-limit wants a number of conversations, not %q", c.text("limit"))
		}
		in["limit"] = n
	}
	if c.on("shown") {
		in["shown"] = c.text("shown")
	}
	for _, name := range commaList(c.text("reset")) {
		switch _, given := in[name]; {
		case given:
			return c.usage("-%s is to be set, and as the configuration has it", name)
		case name != "tags" && name != "limit" && name != "shown":
			return c.usage("-reset wants tags, limit or shown, not %q", name)
		}
		in[name] = nil
	}
	if len(in) == 0 {
		return c.usage("what is to be set? -tags, -limit, -shown or -reset")
	}
	return c.withAgent(ctx, func(cl *client, path string) error { return cl.do(ctx, "PATCH", path, in, nil) })
}

// printSkills shows what is set for an agent, here or in the configuration.
func printSkills(w io.Writer, s *web.Skills) {
	if len(s.Tags) > 0 {
		fmt.Fprintf(w, "tags\t%s\n", line(strings.Join(s.Tags, ", ")))
	}
	if s.Limit > 0 {
		fmt.Fprintf(w, "limit\t%d\n", s.Limit)
	}
	if s.Shown != "" {
		fmt.Fprintf(w, "shown\t%s\n", line(s.Shown))
	}
}
