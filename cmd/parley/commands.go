package main

import (
	"context"
	"slices"
	"strings"
)

// A command is one line of the table that help, usage errors and docs/commands.md
// are made from.
type command struct {
	name    string // "agent add"
	args    string // "JID"; in brackets what may be left out
	does    string // in a sentence
	more    string // what else there is to know
	options []option
	run     func(context.Context, *call) error
	plugin  bool // it exits as monitoring systems want it: 3 when it was typed wrongly
}

// An option of a command. One without a value is on or off.
type option struct {
	name, value, does string
	must              bool // it cannot be left out
}

var (
	configOption = option{name: "config", value: "FILE", does: "the configuration; ./parley.toml, or else $PARLEY_CONFIG, or else /etc/parley/parley.toml"}
	setOption    = option{name: "set", value: "KEY=VALUE", does: "overrides an option of the configuration by its dotted name; may be repeated"}
	jsonOption   = option{name: "json", does: "prints JSON, for programs"}
	stdinOption  = option{name: "password-stdin", does: "reads the password from the first line of standard input instead of the terminal"}
	policyOption = option{name: "no-policy", does: "takes passwords that the policy refuses; the server's log says so"}
	oneAccount   = option{name: "account", value: "ID", does: "the account; may be left out where there is only one"}
)

// commands is the table. It is a function so that a command can print it.
func commands() []command {
	return slices.Concat(serverCommands(), accountCommands(), agentCommands(), deviceCommands(), sessionCommands(), optionCommands(), visitorCommands(), banCommands(), webhookCommands(), keyCommands(), conversationCommands(), contactCommands(), holdCommands(), verifyCommands(), rootKeyCommands(), backupCommands(), auditCommands(), mailCommands(), probeCommands())
}

func serverCommands() []command {
	return []command{
		{
			name: "demo",
			does: "Starts everything in a temporary folder, with two agents and a webhook receiver, ready to try.",
			more: "Prints what to type into a Jabber client, then each event as it arrives. Ctrl-C ends it and leaves nothing behind.",
			options: []option{
				{name: "keep", does: "leaves the folder"},
			},
			run: demo,
		},
		{
			name: "quickstart", args: "DOMAIN",
			does: "Makes a configuration for a domain: parley.toml, root.key, a throw-away CA and a certificate from it.",
			more: "Overwrites nothing. In a folder that has a configuration already it adds an account for another domain, " +
				"with a certificate from the same CA.",
			options: []option{
				{name: "dir", value: "DIR", does: "where to write; the current folder"},
				{name: "account", value: "ID", does: "the account's id; the domain's first part"},
				{name: "profile", value: "PROFILE", does: "solo, starter, plus or enterprise; enterprise, which encrypts what is stored"},
				{name: "starttls", value: "ADDR", does: "where to listen for XMPP with STARTTLS; [::]:5222"},
				{name: "tls", value: "ADDR", does: "where to listen for XMPP over TLS; [::]:5223"},
				{name: "https", value: "ADDR", does: "where to listen for HTTPS; [::]:8443"},
				{name: "set", value: "KEY=VALUE", does: "writes another option of the configuration; may be repeated"},
			},
			run: quickstart,
		},
		{
			name:    "serve",
			does:    "Runs the server until SIGTERM or Ctrl-C.",
			more:    "Logs 'ready' with the addresses it got. SIGTERM drains and exits 0; SIGHUP reads the configuration again; what else has changed waits for a restart, and the log names it ('parley sample' says of each table when changes hold).",
			options: []option{configOption, setOption},
			run:     serve,
		},
		{
			name: "check",
			does: "Tells every fault of the configuration, the certificates, the key and the folders.",
			more: "Exits 1 if there are any. With -dns it prints the records that each account's domain needs for this configuration, " +
				"in the form of zone files, what is found of them, and what to do about each difference.",
			options: []option{
				configOption, setOption,
				{name: "dns", does: "also looks at DNS: SRV, A and AAAA records, and the names of certificates"},
				{name: "resolver", value: "ADDR", does: "asks this DNS server instead of the machine's own"},
			},
			run: check,
		},
		{
			name: "sample",
			does: "Prints a configuration with every option, its default and what it means.",
			run:  printSample,
		},
		{
			name:    "version",
			does:    "Prints which Parley this is and how it was built.",
			more:    "That is for operators: no client and no page is told (see SECURITY.md).",
			options: []option{jsonOption},
			run:     printVersion,
		},
	}
}

func (c *command) option(name string) *option {
	for i := range c.options {
		if c.options[i].name == name {
			return &c.options[i]
		}
	}
	return nil
}

// synopsis is the command's form: "agent add [-role ROLE] JID".
func (c *command) synopsis() string {
	var b strings.Builder
	b.WriteString(c.name)
	for _, o := range c.options {
		form := "-" + o.name
		if o.value != "" {
			form += " " + o.value
		}
		if !o.must {
			form = "[" + form + "]"
		}
		b.WriteString(" " + form)
		if o.name == "set" {
			b.WriteString("...")
		}
	}
	if c.args != "" {
		b.WriteString(" " + c.args)
	}
	return b.String()
}

// findCommand finds the command that the arguments begin with, and what follows
// it. Nil means that help is wanted.
func findCommand(args []string) (*command, []string, error) {
	if len(args) == 0 || slices.Contains([]string{"help", "-help", "--help", "-h"}, args[0]) {
		return nil, nil, nil
	}
	group := false
	for _, c := range commands() {
		name := strings.Fields(c.name)
		if len(args) >= len(name) && slices.Equal(args[:len(name)], name) {
			return &c, args[len(name):], nil
		}
		group = group || name[0] == args[0]
	}
	if !group {
		return nil, nil, &usageError{"there is no command " + args[0], "'parley -help' lists all"}
	}
	if len(args) > 1 && !strings.HasPrefix(args[1], "-") {
		return nil, nil, &usageError{"there is no command " + args[0] + " " + args[1], "'parley " + args[0] + " -help' lists all of that kind"}
	}
	if len(args) > 1 && strings.Contains(args[1], "help") || len(args) > 1 && args[1] == "-h" {
		return nil, nil, nil
	}
	return nil, nil, &usageError{args[0] + ": what to do is missing", "'parley " + args[0] + " -help' lists what there is"}
}
