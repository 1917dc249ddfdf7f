package conf

import (
	"reflect"
	"testing"
	"time"

	"parley.im/parley/xmppd/desk"
)

// An account that says nothing of it has the desk's own defaults.
func TestDeskDefaults(t *testing.T) {
	f, err := Parse("parley.toml", []byte("[[account]]\nid = 'desk'\ndomain = 'desk.example'\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.Accounts[0].Desk.Settings(), desk.Defaults(); !reflect.DeepEqual(got, want) {
		t.Errorf("the settings are\n%+v, want\n%+v", got, want)
	}
}

func TestDeskHours(t *testing.T) {
	f, err := Parse("parley.toml", []byte(`
[[account]]
id = "desk"
domain = "desk.example"
desk.hours = ["mon-fri 09:00-17:30", "sat-mon 20:00-22:00"]
desk.closed = ["2026-12-25"]
desk.zone = "Europe/Rome"
desk.group = [{ name = "billing", tags = ["money"], priority = 3 }]
desk.agent = [{ name = "anna", tags = ["money"], limit = 2 }]

[[account]]
id = "shop"
domain = "shop.example"
desk.closed = ["2026-12-25"]
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, shop := f.Accounts[0].Desk.Settings(), f.Accounts[1].Desk.Settings()
	if want := (desk.Group{Tags: []string{"money"}, Priority: 3}); !reflect.DeepEqual(s.Groups["billing"], want) {
		t.Errorf("the group is %+v", s.Groups["billing"])
	}
	if want := (desk.Skills{Tags: []string{"money"}, Limit: 2}); !reflect.DeepEqual(s.Agents["anna"], want) {
		t.Errorf("Anna is %+v", s.Agents["anna"])
	}
	for _, c := range []struct {
		at   string
		open bool
	}{
		{"2026-11-30T07:59:00Z", false}, {"2026-11-30T08:00:00Z", true}, {"2026-11-30T16:30:00Z", false}, {"2026-11-30T19:00:00Z", true}, // a Monday
		{"2026-12-04T16:29:00Z", true}, {"2026-12-04T19:00:00Z", false}, {"2026-12-05T19:00:00Z", true}, {"2026-12-06T19:00:00Z", true},
		{"2026-12-25T10:00:00Z", false},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if s.Hours.Open(at) != c.open {
			t.Errorf("%s: open is %v", c.at, !c.open)
		}
		if shop.Hours.Open(at) != (c.at != "2026-12-25T10:00:00Z") {
			t.Errorf("%s: where there are no hours, open is %v", c.at, shop.Hours.Open(at))
		}
	}
}
