package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"parley.im/parley/conf"
)

// A call is one command as it was typed.
type call struct {
	command *command
	args    []string
	given   map[string][]string // values of options by name
	stdin   io.Reader
	stdout  io.Writer // data
	stderr  io.Writer // prose
}

// parse tells options from arguments; options may stand on either side of them.
func (c *call) parse(args []string) error {
	c.given = make(map[string][]string)
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			c.args = append(c.args, args[i+1:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			c.args = append(c.args, arg)
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		o := c.command.option(name)
		switch {
		case o == nil:
			return c.usage("there is no option -%s", name)
		case o.value == "" && hasValue:
			return c.usage("option -%s takes no value", name)
		case o.value != "" && !hasValue:
			if i++; i == len(args) {
				return c.usage("option -%s needs a value, %s", name, o.value)
			}
			value = args[i]
		}
		c.given[name] = append(c.given[name], value)
	}
	return c.checkArgs()
}

func (c *call) checkArgs() error {
	least, most := 0, 0
	for a := range strings.FieldsSeq(c.command.args) {
		most++
		if !strings.HasPrefix(a, "[") {
			least++
		}
	}
	switch {
	case len(c.args) < least && least == 1:
		return c.usage("%s is missing", c.command.args)
	case len(c.args) < least:
		return c.usage("arguments are missing: %s", c.command.args)
	case len(c.args) > most:
		return c.usage("too many arguments: %q", c.args[most])
	}
	for _, o := range c.command.options {
		if o.must && !c.on(o.name) {
			return c.usage("-%s is missing", o.name)
		}
	}
	return nil
}

func (c *call) usage(format string, args ...any) error {
	return &usageError{c.command.name + ": " + fmt.Sprintf(format, args...), "usage: parley " + c.command.synopsis()}
}

func (c *call) wantsHelp(args []string) bool {
	for _, a := range args {
		if a == "--" {
			return false
		}
		if a == "-help" || a == "--help" || a == "-h" {
			return true
		}
	}
	return false
}

// text is an option's value, or "".
func (c *call) text(name string) string {
	if v := c.given[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// on says whether an option was given.
func (c *call) on(name string) bool { return c.given[name] != nil }

// arg is the nth argument, or "".
func (c *call) arg(n int) string {
	if n < len(c.args) {
		return c.args[n]
	}
	return ""
}

// installedConfig is where the Debian package and the container have it.
const installedConfig = "/etc/parley/parley.toml"

// configPath is where the configuration is: -config, ./parley.toml, $PARLEY_CONFIG,
// where packages have it.
func (c *call) configPath() string {
	if p := c.text("config"); p != "" {
		return p
	}
	if _, err := os.Stat("parley.toml"); err == nil {
		return "parley.toml"
	}
	if p := os.Getenv("PARLEY_CONFIG"); p != "" {
		return p
	}
	if _, err := os.Stat(installedConfig); err == nil {
		return installedConfig
	}
	return "parley.toml"
}

// load reads the configuration.
func (c *call) load() (*conf.File, error) {
	f, err := conf.Load(c.configPath(), c.given["set"])
	if os.IsNotExist(err) {
		return nil, withHint(err, "make a configuration with 'parley quickstart desk.example', or name one with -config")
	}
	return f, err
}

// printJSON writes v for programs.
func (c *call) printJSON(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// say writes a line of prose.
func (c *call) say(format string, args ...any) {
	fmt.Fprintf(c.stderr, format+"\n", args...)
}

// commaList takes "a, b,c" apart.
func commaList(text string) []string {
	list := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	return slices.Clip(list)
}
