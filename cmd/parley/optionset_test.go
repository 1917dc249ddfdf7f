package main

import (
	"encoding/json"
	"strings"
	"testing"

	"parley.im/parley/xmppd/web"
)

// An operator sets by command what the account's people set by the API, with the same faults, and it is on record.
func TestOptionsByCommand(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, _, config string, _ func() []string) {
		with := func(args ...string) []string { return append(args, "-config", config) }
		rows := func(args ...string) string {
			t.Helper()
			var lines []string
			for l := range strings.Lines(must(t, "", with(args...)...)) {
				lines = append(lines, strings.Join(strings.Fields(l), " "))
			}
			return "\n" + strings.Join(lines, "\n") + "\n"
		}
		shows := func(table string, want ...string) {
			t.Helper()
			got := rows(table, "show")
			for _, w := range want {
				if !strings.Contains(got, "\n"+w+"\n") {
					t.Errorf("%s show: %s\nwant the line %s", table, got, w)
				}
			}
		}
		shows("desk", `wait "2m"`, "steps 3", "hours []", "bounce_back true", "group []")
		for _, set := range [][]string{
			{"wait", "3m"}, {"steps", "4"}, {"hours", `["mon-fri 09:00-17:30"]`}, {"bounce_back", "false"}, {"zone", "Europe/Rome"},
			{"group", `[{name = "billing", tags = ["money"]}]`},
		} {
			must(t, "", with("desk", "set", set[0], set[1])...)
		}
		shows("desk", `wait "3m" set`, "steps 4 set", `hours ["mon-fri 09:00-17:30"] set`, "bounce_back false set", `zone "Europe/Rome" set`,
			`group [{name = "billing", priority = 0, tags = ["money"]}] set`, `transfer "1m"`)
		must(t, "", with("desk", "set", "wait")...)
		shows("desk", `wait "2m"`, "steps 4 set")
		must(t, "", with("widget", "set", "colour", "#0b5fff")...)
		must(t, "", with("widget", "set", "sites", "https://shop.example")...)
		shows("widget", `colour "#0b5fff" set`, `sites ["https://shop.example"] set`, "cards true")
		var held heldOptions
		if err := json.Unmarshal([]byte(must(t, "", with("widget", "show", "-json")...)), &held); err != nil || len(held.Own) != 2 || held.Own["colour"] != "#0b5fff" {
			t.Errorf("widget show -json: %+v, %v", held, err)
		}

		refused(t, "desk.steps: too many: at most 10", "", with("desk", "set", "steps", "11")...)
		refused(t, `hint: such as "Europe/Rome"`, "", with("desk", "set", "zone", "Nowhere")...)
		refused(t, "hint: did you mean desk.wait?", "", with("desk", "set", "wiat", "3m")...)
		refused(t, "hint: 'parley agent set'", "", with("desk", "set", "agent", "[]")...)
		refused(t, `widget.sites: not the origin of a web page: "shop"`, "", with("widget", "set", "sites", "shop")...)
		shows("desk", "steps 4 set", `zone "Europe/Rome" set`)

		must(t, "correct horse 42\n", with("agent", "add", "-password-stdin", "anna@desk.example")...)
		must(t, "", with("agent", "set", "anna@desk.example", "-tags", "money, italian", "-limit", "2", "-shown", "Anna from sales")...)
		if got := rows("agent", "show", "anna@desk.example"); !strings.Contains(got, "\ntags money, italian\nlimit 2\nshown Anna from sales\n") {
			t.Errorf("agent show: %s", got)
		}
		must(t, "", with("agent", "set", "anna@desk.example", "-tags", "", "-reset", "limit,shown")...)
		var agent web.AgentInfo
		if err := json.Unmarshal([]byte(must(t, "", with("agent", "show", "-json", "anna@desk.example")...)), &agent); err != nil || len(agent.Tags)+agent.Limit+len(agent.Shown) != 0 {
			t.Errorf("given back: %+v, %v", agent.Skills, err)
		}
		refused(t, "expected number >= 0", "", with("agent", "set", "anna@desk.example", "-limit", "-1")...)
		for _, wrong := range []struct{ args, want string }{
			{"-limit many", `-limit wants a number of conversations, not "many"`},
			{"-reset role", `-reset wants tags, limit or shown, not "role"`},
			{"-limit 2 -reset limit", "-limit is to be set, and as the configuration has it"},
			{"", "what is to be set?"},
		} {
			_, prose, err := typed(t, "", with(append([]string{"agent", "set", "anna@desk.example"}, strings.Fields(wrong.args)...)...)...)
			if err == nil || exitCode(err) != 2 || !strings.Contains(prose, wrong.want) {
				t.Errorf("agent set %s: %s, want %s", wrong.args, prose, wrong.want)
			}
		}

		records := must(t, "", with("audit", "list", "-account", "desk")...)
		for _, want := range []string{"desk.change", "widget.change", "agent.change"} {
			if !strings.Contains(records, want) {
				t.Errorf("nothing is on record of %s:\n%s", want, records)
			}
		}
	})
}
