package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"parley.im/parley/conf"
)

// optionCommands show and change what the account's own people can set by the API, too: it comes before the file.
func optionCommands() []command {
	usual := []option{configOption, setOption, oneAccount}
	both := func(table, what, such string) []command {
		return []command{
			{
				name: table + " show", does: "Shows " + what + ": each option, and which are set by command or by the API.",
				options: append(usual[:len(usual):len(usual)], jsonOption), run: optionShow(table),
			},
			{
				name: table + " set", args: "OPTION [VALUE]", does: "Changes " + what + ", at once.",
				more: "Options and values are those of [account." + table + "] in the configuration ('parley sample' explains them), before which this comes: " + such +
					" Without VALUE the option is again as the configuration has it.",
				options: usual, run: optionSet(table),
			},
		}
	}
	return slices.Concat(
		both("desk", "how an account deals with visitors", `parley desk set wait 3m, or parley desk set hours '["mon-fri 09:00-17:30", "sat 10:00-13:00"]'. What single agents know is set by 'parley agent set'.`),
		both("widget", "what an account's visitors see", "parley widget set sites https://shop.example."))
}

// heldOptions are what holds of a table, and what of that was set.
type heldOptions struct {
	Options conf.Options `json:"options"`
	Own     conf.Options `json:"own"`
}

func optionShow(table string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		return c.withAccount(ctx, table, func(cl *client, path string) error {
			var held heldOptions
			if err := cl.do(ctx, "GET", path, nil, &held); err != nil {
				return err
			}
			if c.on("json") {
				return c.printJSON(held)
			}
			return c.table(func(w io.Writer) {
				for _, name := range slices.Sorted(maps.Keys(held.Options)) {
					set := ""
					if _, own := held.Own[name]; own {
						set = "\tset"
					}
					fmt.Fprintf(w, "%s\t%s%s\n", name, line(inTOML(held.Options[name])), set)
				}
			})
		})
	}
}

func optionSet(table string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		change := conf.Options{c.arg(0): nil}
		if len(c.args) > 1 {
			change[c.arg(0)] = conf.ParseValue(c.arg(1))
		}
		return c.withClient(ctx, func(cl *client) error {
			id, err := c.account(ctx, cl)
			if err != nil {
				return err
			}
			return cl.do(ctx, "PATCH", accountPath(id)+"/"+table, change, nil)
		})
	}
}

// inTOML is an option's value as it can be typed again, in one line.
func inTOML(v any) string {
	var parts []string
	switch x := v.(type) {
	case string: // its escapes are TOML's, too
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(x) // a text can be written
		return strings.TrimSpace(b.String())
	case []any:
		for _, one := range x {
			parts = append(parts, inTOML(one))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(x)) {
			parts = append(parts, name+" = "+inTOML(x[name]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}
