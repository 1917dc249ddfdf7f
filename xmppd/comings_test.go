package xmppd

import (
	"context"
	"strings"
	"testing"

	"parley.im/parley/store"
)

// A client that comes and goes without end fills no log, and webhooks end up with the
// truth: when the minute is over, or when nobody would tell it later.
func TestComingsAreBounded(t *testing.T) {
	some := strings.Repeat("+-", comingEvents/2)
	for _, test := range []struct {
		name string
		ends string // her last words
		then func(d *office, s *Session)
		want string
	}{
		{"stays", "", nil, some + "+"},
		{"goes", "unavailable", nil, some},
		{"signs out", "", func(_ *office, s *Session) { s.gone() }, some},
		{"is removed", "", func(d *office, _ *Session) { d.removed(store.Agent{ID: d.agent("anna").id, Name: "anna"}, false) }, some},
		{"the account closes", "", func(d *office, _ *Session) { d.close(context.Background(), false) }, some},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newOffice(t, "anna")
			anna := d.device("anna", "phone", "")
			for range 1000 {
				anna.says(t, "<presence/>")
				anna.says(t, "<presence type='unavailable'/>")
			}
			if test.ends == "" {
				anna.says(t, "<presence/>")
			}
			d.tellComings()
			if got := d.comings(); got != some {
				t.Errorf("in a minute she %q, want %q", got, some)
			}
			if test.then != nil {
				test.then(d, anna)
			}
			d.server.tick.Add(60)
			d.tellComings()
			d.tellComings()
			if got := d.comings(); got != test.want {
				t.Errorf("after it she %q, want %q", got, test.want)
			}
		})
	}
}

// Who is removed, or still there when the account closes, after too many events: what was
// put off is told at once.
func TestTheLastComingIsToldAtOnce(t *testing.T) {
	for name, end := range map[string]func(d *office){
		"removed": func(d *office) { d.removed(store.Agent{ID: d.agent("anna").id, Name: "anna"}, false) },
		"closed":  func(d *office) { d.close(context.Background(), false) },
	} {
		t.Run(name, func(t *testing.T) {
			d := newOffice(t, "anna")
			anna := d.device("anna", "phone", "")
			for range comingEvents/2 - 1 {
				anna.says(t, "<presence/>")
				anna.says(t, "<presence type='unavailable'/>")
			}
			anna.says(t, "<presence/>")
			d.agent("anna").comings.told = comingEvents
			anna.gone()
			before := d.comings()
			end(d)
			if got := d.comings(); !strings.HasSuffix(before, "+") || got != before+"-" {
				t.Errorf("it was told that she %q, then %q", before, got)
			}
		})
	}
}

// comings are the events of comings (+) and goings (-) in the log.
func (d *office) comings() string {
	d.t.Helper()
	if err := d.store.SetSetting(d.t.Context(), "after", "them"); err != nil {
		d.t.Fatal(err)
	}
	all := make([]store.Ordinal, d.store.Newest())
	for i := range all {
		all[i] = store.Ordinal(i + 1)
	}
	var got strings.Builder
	if err := d.store.Entries(d.t.Context(), all, func(e *store.Entry) error {
		switch e.Kind {
		case store.KindAgentAvailable:
			got.WriteByte('+')
		case store.KindAgentUnavailable:
			got.WriteByte('-')
		}
		return nil
	}); err != nil {
		d.t.Fatal(err)
	}
	return got.String()
}
