package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"parley.im/parley/conf"
)

// printHelp writes help about what the arguments name: a command, a group of
// them, or all.
func printHelp(w io.Writer, args []string) error {
	if len(args) > 1 && args[0] == "help" {
		args = args[1:]
	}
	if c, _, err := findCommand(args); c != nil && err == nil {
		return commandHelp(w, c)
	}
	group := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") && args[0] != "help" {
		group = args[0]
	}
	fmt.Fprintf(w, "Parley is an XMPP server for customer conversations.\n\n")
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, c := range commands() {
		if group == "" || group == strings.Fields(c.name)[0] {
			fmt.Fprintf(tw, "  parley %s\t%s\n", strings.TrimSpace(c.name+" "+c.args), firstSentence(c.does))
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n'parley COMMAND -help' tells more about one.\n")
	return err
}

func firstSentence(s string) string {
	first, _, _ := strings.Cut(s, ". ")
	return strings.TrimSuffix(first, ".")
}

func commandHelp(w io.Writer, c *command) error {
	fmt.Fprintf(w, "usage: parley %s\n\n%s\n", c.synopsis(), c.does)
	if c.more != "" {
		fmt.Fprintf(w, "%s\n", c.more)
	}
	if len(c.options) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, o := range c.options {
		fmt.Fprintf(tw, "  -%s\t%s\n", strings.TrimSpace(o.name+" "+o.value), o.does)
	}
	return tw.Flush()
}

// commandsPage is docs/commands.md.
func commandsPage() string {
	var b strings.Builder
	b.WriteString(`# Commands

One binary, ` + "`parley`" + `. This page is made from the same table as ` + "`parley -help`" + `.

Options may stand before or after the arguments. Data goes to standard output, prose to
standard error. The exit code is 0 when it was done, 1 when it was refused or failed, and 2
when it was typed wrongly. Passwords are read from the terminal or from standard input, never
from an argument.

The commands about accounts, agents, webhooks and conversations speak to the running server
through its control socket, which only its own user and root may use. When no server runs
they work on the stores themselves, as the user who owns the data folder.
`)
	for _, c := range commands() {
		fmt.Fprintf(&b, "\n## parley %s\n\n```\nparley %s\n```\n\n%s\n", c.name, c.synopsis(), strings.TrimSpace(c.does+" "+c.more))
		if len(c.options) > 0 {
			b.WriteString("\n| Option | Does |\n|---|---|\n")
		}
		for _, o := range c.options {
			fmt.Fprintf(&b, "| `-%s` | %s |\n", strings.TrimSpace(o.name+" "+o.value), o.does)
		}
	}
	return b.String()
}

func printSample(_ context.Context, c *call) error {
	_, err := io.WriteString(c.stdout, conf.Sample())
	return err
}
