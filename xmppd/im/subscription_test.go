package im

import (
	"strings"
	"testing"
)

// The tables of RFC 6121 Appendix A.2 and A.3, written down apart from the code: state,
// whether the stanza goes on, state afterwards ("=" is no change).
var appendixA = map[string]string{
	"out subscribe": `
		None            yes  None+Out
		None+Out        yes  =
		None+In         yes  None+Out+In
		None+Out+In     yes  =
		To              yes  =
		To+In           yes  =
		From            yes  From+Out
		From+Out        yes  =
		Both            yes  =`,
	"out unsubscribe": `
		None            yes  =
		None+Out        yes  None
		None+In         yes  =
		None+Out+In     yes  None+In
		To              yes  None
		To+In           yes  None+In
		From            yes  =
		From+Out        yes  From
		Both            yes  From`,
	"out subscribed": `
		None            no   approved
		None+Out        no   approved
		None+In         yes  From
		None+Out+In     yes  From+Out
		To              no   approved
		To+In           yes  Both
		From            no   =
		From+Out        no   =
		Both            no   =`,
	"out unsubscribed": `
		None            no   =
		None+Out        no   =
		None+In         yes  None
		None+Out+In     yes  None+Out
		To              no   =
		To+In           yes  To
		From            yes  None
		From+Out        yes  None+Out
		Both            yes  To`,
	"in subscribe": `
		None            yes  None+In
		None+Out        yes  None+Out+In
		None+In         no   =
		None+Out+In     no   =
		To              yes  To+In
		To+In           no   =
		From            no   answers
		From+Out        no   answers
		Both            no   answers`,
	"in unsubscribe": `
		None            no   =
		None+Out        no   =
		None+In         yes  None
		None+Out+In     yes  None+Out
		To              no   =
		To+In           yes  To
		From            yes  None
		From+Out        yes  None+Out
		Both            yes  To`,
	"in subscribed": `
		None            no   =
		None+Out        yes  To
		None+In         no   =
		None+Out+In     yes  To+In
		To              no   =
		To+In           no   =
		From            no   =
		From+Out        yes  Both
		Both            no   =`,
	"in unsubscribed": `
		None            no   =
		None+Out        yes  None
		None+In         no   =
		None+Out+In     yes  None+In
		To              yes  None
		To+In           yes  None+In
		From            no   =
		From+Out        yes  From
		Both            yes  From`,
}

// In the RFC's order.
var stateNames = []string{"None", "None+Out", "None+In", "None+Out+In", "To", "To+In", "From", "From+Out", "Both"}

// shows is what a roster says of a state: subscription, and whether it asks.
func shows(name string) string {
	base, pending, _ := strings.Cut(name, "+")
	asks := ""
	if strings.Contains(pending, "Out") {
		asks = " ask"
	}
	return strings.ToLower(base) + asks
}

func shownBy(s State) string {
	if s.Out() {
		return s.String() + " ask"
	}
	return s.String()
}

func stateNamed(t *testing.T, name string) State {
	t.Helper()
	for i, n := range stateNames {
		if n == name {
			return State(i)
		}
	}
	t.Fatalf("no state %q", name)
	return 0
}

// All 9 states, 4 stanzas, 2 directions (rule 27).
func TestSubscriptionStates(t *testing.T) {
	rows := 0
	for table, text := range appendixA {
		direction, typ, _ := strings.Cut(table, " ")
		verb, ok := VerbOf(typ)
		if !ok || verb.String() != typ {
			t.Fatalf("%s is no verb", typ)
		}
		for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
			rows++
			row := strings.Fields(line)
			from, want := stateNamed(t, row[0]), Step{Passes: row[1] == "yes"}
			want.State = from
			switch row[2] {
			case "=":
			case "approved":
				want.Approved = true
			case "answers":
				want.Answers = true
			default:
				want.State = stateNamed(t, row[2])
			}
			want.Push = want.Approved || shows(row[0]) != shows(stateNames[want.State]) // no needless one (rule 27)
			got := Inbound(verb, from, false)
			if direction == "out" {
				got = Outbound(verb, from, false)
			}
			if got != want {
				t.Errorf("%s in %s: %+v, want %+v", table, row[0], got, want)
			}
		}
	}
	if rows != 72 {
		t.Errorf("%d rows, want 72", rows)
	}
}

// RFC 6121 §3.4: what was approved beforehand is granted without a question, once.
func TestApprovedBeforehand(t *testing.T) {
	for _, c := range []struct {
		direction, verb, state string
		want                   Step
	}{
		{"in", "subscribe", "None", Step{State: From, Push: true, Answers: true}},
		{"in", "subscribe", "None+Out", Step{State: FromOut, Push: true, Answers: true}},
		{"in", "subscribe", "To", Step{State: Both, Push: true, Answers: true}},
		{"in", "subscribed", "None+Out", Step{State: To, Approved: true, Passes: true, Push: true}},
		{"in", "unsubscribed", "To", Step{State: None, Approved: true, Passes: true, Push: true}},
		{"in", "unsubscribe", "To", Step{State: To, Approved: true}},
		{"out", "subscribe", "None", Step{State: NoneOut, Approved: true, Passes: true, Push: true}},
		{"out", "subscribed", "None", Step{State: None, Approved: true}},
		{"out", "unsubscribed", "None", Step{State: None, Push: true}},
		{"out", "unsubscribed", "To", Step{State: To, Push: true}},
		{"out", "unsubscribe", "To", Step{State: None, Approved: true, Passes: true, Push: true}},
	} {
		verb, _ := VerbOf(c.verb)
		got := Inbound(verb, stateNamed(t, c.state), true)
		if c.direction == "out" {
			got = Outbound(verb, stateNamed(t, c.state), true)
		}
		if got != c.want {
			t.Errorf("%s %s in %s, approved: %+v, want %+v", c.direction, c.verb, c.state, got, c.want)
		}
	}
}

// What a state means for presence and in a roster (RFC 6121 §2.1.2.5).
func TestWhatAStateMeans(t *testing.T) {
	for i, name := range stateNames {
		s := State(i)
		base, _, _ := strings.Cut(name, "+")
		if got, want := s.Sees(), base == "To" || base == "Both"; got != want {
			t.Errorf("%s sees: %t", name, got)
		}
		if got, want := s.Shows(), base == "From" || base == "Both"; got != want {
			t.Errorf("%s shows: %t", name, got)
		}
		if got, want := s.In(), strings.HasSuffix(name, "In"); got != want {
			t.Errorf("%s, asked by the contact: %t", name, got)
		}
		if got := shownBy(s); got != shows(name) {
			t.Errorf("%s is shown as %q", name, got)
		}
	}
	if _, ok := VerbOf("unavailable"); ok {
		t.Error("unavailable manages no subscription")
	}
}
