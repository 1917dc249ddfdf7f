package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
)

// updating says whether tests are to write the files they compare with. The flag may
// have been made elsewhere.
var updating = func() func() bool {
	if flag.Lookup("update") == nil {
		flag.Bool("update", false, "write the files that tests compare with")
	}
	return func() bool { return flag.Lookup("update").Value.String() == "true" }
}()

func TestCommandsPageIsFresh(t *testing.T) {
	const path = "../../docs/commands.md"
	if updating() {
		if err := os.WriteFile(path, []byte(commandsPage()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != commandsPage() {
		t.Errorf("%s is stale: run go test ./cmd/parley -run CommandsPage -update", path)
	}
}

// typed runs a command as a person types it.
func typed(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, prose strings.Builder
	if err = run(t.Context(), args, strings.NewReader(stdin), &out, &prose); err != nil {
		complain(&prose, err)
	}
	return out.String(), prose.String(), err
}

func TestWrongUsage(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		want string
	}{
		{"no such command", "frob", "there is no command frob"},
		{"no such command of a kind", "agent frob", "there is no command agent frob"},
		{"half a command", "agent", "agent: what to do is missing"},
		{"no argument", "agent show", "agent show: JID is missing"},
		{"too many", "agent show a b", `agent show: too many arguments: "b"`},
		{"no such option", "check -frob", "check: there is no option -frob"},
		{"no value", "check -config", "check: option -config needs a value, FILE"},
		{"a value too many", "agent list -json=yes", "agent list: option -json takes no value"},
		{"an option missing", "webhook add -account desk", "webhook add: -url is missing"},
		{"no terminal", "agent add anna@desk.example", "agent add: a password can only be typed at a terminal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, prose, err := typed(t, "", strings.Fields(c.in)...)
			if err == nil || exitCode(err) != 2 {
				t.Errorf("%q: %v, want exit code 2", c.in, err)
			}
			if !strings.HasPrefix(prose, "parley: "+c.want) {
				t.Errorf("%q: %s, want %s", c.in, prose, c.want)
			}
		})
	}
}

// Options may stand on either side of arguments, with one hyphen or two.
func TestOptionsOnEitherSide(t *testing.T) {
	for _, in := range []string{
		"agent show -config a --json -set x=1 -set=y=2 me@x",
		"agent show me@x --config=a -json -set x=1 -set y=2",
		"agent show -json -set x=1 -set y=2 -config a -- me@x",
	} {
		cmd, rest, err := findCommand(strings.Fields(in))
		if err != nil {
			t.Fatal(err)
		}
		c := &call{command: cmd}
		if err := c.parse(rest); err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		if c.configPath() != "a" || !c.on("json") || c.arg(0) != "me@x" || strings.Join(c.given["set"], " ") != "x=1 y=2" {
			t.Errorf("%q was read as %v %v", in, c.given, c.args)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "  parley quickstart DOMAIN"},
		{"-help", "  parley conversation show [N]"},
		{"help", "  parley serve"},
		{"agent -help", "  parley agent import"},
		{"agent import -h", "usage: parley agent import"},
		{"help agent import", "usage: parley agent import"},
		{"webhook add -help", "-url URL"},
	} {
		out, _, err := typed(t, "", strings.Fields(c.in)...)
		if err != nil || !strings.Contains(out, c.want) {
			t.Errorf("parley %s: %v\n%s\nwant in it %q", c.in, err, out, c.want)
		}
	}
}

func TestSampleAndVersion(t *testing.T) {
	if out, _, err := typed(t, "", "sample"); err != nil || !strings.Contains(out, "[limits]") {
		t.Errorf("sample: %v\n%s", err, out)
	}
	if out, _, err := typed(t, "", "version"); err != nil || !strings.HasPrefix(out, "parley ") || strings.Count(out, "\n") != 1 {
		t.Errorf("version: %v\n%s", err, out)
	}
}

// Each of several errors is told with its own hint.
func TestComplainTellsAll(t *testing.T) {
	var b strings.Builder
	complain(&b, errors.Join(withHint(errors.New("one"), "do this"), io.EOF))
	if want := "parley: one\nhint: do this\nparley: EOF\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
