package conf

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// What is set besides the file is read and checked as the file is, and what is shown can be set again.
func TestOwnOptions(t *testing.T) {
	f, err := Parse("parley.toml", []byte("[[account]]\nid = 'desk'\ndomain = 'desk.example'\ndesk.wait = '3m'\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	file := f.Accounts[0]
	for _, c := range []struct{ own, fault string }{
		{`{"steps": 5, "delay": "20s", "hours": ["mon 09:00-10:00"], "group": [{"name": "it", "tags": ["italian"]}]}`, ""},
		{`{"steps": 11}`, "desk.steps: too many: at most 10"},
		{`{"steps": 1.5}`, "desk.steps: want a whole number, not 1.5"},
		{`{"steps": "5"}`, `desk.steps: want a whole number, not "5"`},
		{`{"delay": "1s"}`, "desk.delay: too small: at least 5s"},
		{`{"algorithm": "fair"}`, `desk.algorithm: "fair" is none of broadcast, skill-based, round-robin, least-loaded, dynamic`},
		{`{"step": 5}`, "desk.step: unknown option"},
		{`{"group": [{"name": "a b"}]}`, `desk.group.name: not a name of at most 100 letters without spaces: "a b"`},
		{`{"group": ["it"]}`, "desk.group: want a list of tables, [[desk.group]], not a list"},
		{`{"hours": ["someday 09:00-10:00"]}`, `desk.hours: no days: "someday" in "someday 09:00-10:00"`},
	} {
		var own Options
		if err := json.Unmarshal([]byte(c.own), &own); err != nil {
			t.Fatal(err)
		}
		switch is, err := file.Desk.With(own); {
		case c.fault != "":
			if err == nil || !strings.HasPrefix(err.Error(), c.fault) {
				t.Errorf("%s: %v, want %s", c.own, err, c.fault)
			}
		case err != nil:
			t.Errorf("%s: %v", c.own, err)
		case is.Steps != 5 || is.Delay != 20*time.Second || is.Wait != 3*time.Minute || len(is.Groups) != 1:
			t.Errorf("%s: %+v", c.own, is)
		default:
			again, err := Desk{}.With(reread(t, OptionsOf(is)))
			if err != nil || !reflect.DeepEqual(OptionsOf(again), OptionsOf(is)) {
				t.Errorf("what is shown is %v, %v, want %v", OptionsOf(again), err, OptionsOf(is))
			}
		}
	}
	if file.Desk.Steps != 3 || len(file.Desk.Groups) != 0 {
		t.Errorf("the file's own is changed: %+v", file.Desk)
	}
	is, err := file.Widget.With(Options{"field": []any{map[string]any{"name": "email", "label": "en: Your e-mail"}}, "colour": "#0b5fff"})
	if err != nil || is.Fields[0].Type != "text" || is.Colour != "#0b5fff" {
		t.Errorf("%+v, %v", is, err)
	}
	if _, err = file.Widget.With(Options{"colour": "red"}); err == nil || err.Error() != `widget.colour: not a colour: "red"` {
		t.Errorf("a fault is %v", err)
	}
}

func reread(t *testing.T, o Options) (again Options) {
	t.Helper()
	text, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err != nil {
		t.Fatal(err)
	}
	return again
}
