package xmppd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// deliveryRules is RFC 6121 §8.5 once more, from its text and the summary in §8.5.4:
// what becomes of each kind of stanza (columns) at each address (rows). Rules 18 to 22.
//
// D goes to that device, A to all with a priority that is not negative, P to all
// available ones; O waits for a device; E is an error for the sender; V is answered by
// the server; S is silence. Where the RFC allows two, there is the one that was chosen.
//
// "away" has no device; "silent" one (tv) that has sent no presence; "negative" one
// (tv) with a negative priority; "ready" one (desk) with another; "many" has all three
// and a phone. Anna has blocked "blocked", and "blocker" has blocked her (XEP-0191 §3.3, rule
// 53).
const deliveryRules = `
                 chat normal headline groupchat error  presence unavailable  subscribe subscribed probe  get set result error
nobody           E    E      E        E         S      S        S            S         S          S      E   E   S      S
nobody/x         E    E      E        E         S      S        S            S         S          S      E   E   S      S
away             O    O      S        E         S      S        S            V         V          V      V   V   S      S
away/gone        O    E      S        E         S      S        S            V         S          V      E   E   S      S
silent           O    O      S        E         S      S        S            V         V          V      V   V   S      S
silent/tv        D    D      D        D         D      D        D            V         V          V      D   D   D      D
silent/gone      O    E      S        E         S      S        S            V         S          V      E   E   S      S
negative         O    O      S        E         S      P        P            V         V          V      V   V   S      S
negative/tv      D    D      D        D         D      D        D            V         V          V      D   D   D      D
negative/gone    O    E      S        E         S      S        S            V         S          V      E   E   S      S
ready            A    A      A        E         S      P        P            V         V          V      V   V   S      S
ready/desk       D    D      D        D         D      D        D            V         V          V      D   D   D      D
ready/gone       A    E      S        E         S      S        S            V         S          V      E   E   S      S
many             A    A      A        E         S      P        P            V         V          V      V   V   S      S
many/desk        D    D      D        D         D      D        D            V         V          V      D   D   D      D
many/tv          D    D      D        D         D      D        D            V         V          V      D   D   D      D
many/silent      D    D      D        D         D      D        D            V         V          V      D   D   D      D
many/gone        A    E      S        E         S      S        S            V         S          V      E   E   S      S
blocker          E    E      E        E         S      S        S            S         S          S      E   E   S      S
blocker/tv       E    E      E        E         S      S        S            S         S          S      E   E   S      S
blocked          E    E      E        E         S      E        E            E         E          E      E   E   S      S
blocked/tv       E    E      E        E         S      E        E            E         E          E      E   E   S      S
.                E    E      E        E         S      S        S            S         S          S      V   V   S      S
./x              E    E      E        E         S      S        S            S         S          S      V   V   S      S
shop.example     E    E      E        E         S      E        E            E         E          S      E   E   S      S
bob@shop.example E    E      E        E         S      E        E            E         E          S      E   E   S      S
@@               E    E      E        E         S      E        E            E         E          S      E   E   S      S
`

// deliveryDevices are the agents' devices with their priorities.
var deliveryDevices = map[string]map[string]string{
	"away":     {},
	"silent":   {"tv": ""},
	"negative": {"tv": "-1"},
	"ready":    {"desk": "0"},
	"many":     {"desk": "0", "phone": "5", "tv": "-1", "silent": ""},
	"blocker":  {"tv": "0"},
	"blocked":  {"tv": "0"},
}

func TestFates(t *testing.T) {
	for _, colleagues := range []bool{true, false} {
		t.Run(fmt.Sprint("colleagues ", colleagues), func(t *testing.T) { testFates(t, colleagues) })
	}
}

func testFates(t *testing.T, colleagues bool) {
	d := newOffice(t, "anna", "away", "silent", "negative", "ready", "many", "blocker", "blocked")
	d.server.config.Colleagues = colleagues
	d.regroup()
	anna := d.device("anna", "laptop", "")
	for name, devices := range deliveryDevices {
		for resource, priority := range devices {
			d.device(name, resource, priority)
		}
	}
	const block = "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='%s@desk.example'/></block></iq>"
	anna.says(d.t, block, "blocked")
	d.session("blocker", "tv").says(d.t, block, "anna")
	lines := strings.Split(strings.TrimSpace(deliveryRules), "\n")
	kinds := strings.Fields(lines[0])
	for n, line := range lines[1:] {
		row := strings.Fields(line)
		if len(row) != len(kinds)+1 {
			t.Fatalf("%q has %d columns, want %d", line, len(row)-1, len(kinds))
		}
		for i, kind := range kinds {
			name := "message"
			switch {
			case i > 9:
				name = "iq"
			case i > 4:
				name = "presence"
			}
			want := row[i+1]
			if !colleagues && want == "D" && (kind == "get" || kind == "set") {
				want = "E" // RFC 6121 §8.5.3.1: she must not know whether the device is there
			}
			d.fate(anna, name, kind, row[0], fmt.Sprintf("%d-%d", n, i), want)
		}
	}
}

// fate sends one stanza and compares who hears what.
func (d *office) fate(from *Session, name, kind, address, id, want string) {
	d.t.Helper()
	agent, resource, _ := strings.Cut(address, "/")
	devices := deliveryDevices[agent]
	for resource := range devices {
		d.session(agent, resource).hears(d.t)
	}
	from.hears(d.t)
	to := d.addressed(address)
	typ, payload := kind, "<body>Hello</body>"
	if kind == "presence" {
		typ = ""
	}
	if name == "iq" {
		payload = "<ping xmlns='urn:xmpp:ping'/>"
	}
	from.says(d.t, "<%s type='%s' id='%s' to='%s'>%s</%s>", name, typ, id, to, payload, name)

	if want == "V" && name == "presence" {
		return // what the server makes of it is another matter: RFC 6121 §3, §4.3
	}
	var got []string
	for resource := range devices {
		for _, st := range d.session(agent, resource).hears(d.t) {
			got = append(got, resource)
			// RFC 6121 §8.5.2.1: the 'to' stays as it was written.
			if st.Name != name || string(st.Type) != typ || string(st.To) != to || string(st.From) != from.address {
				d.t.Errorf("%s %s to %s: %s/%s got %s", kind, name, address, agent, resource, st.Raw())
			}
		}
	}
	slices.Sort(got)
	var hears []string
	for device, priority := range devices {
		available, negative := priority != "", strings.HasPrefix(priority, "-")
		if want == "D" && device == resource || want == "A" && available && !negative || want == "P" && available {
			hears = append(hears, device)
		}
	}
	slices.Sort(hears)
	if !slices.Equal(got, hears) {
		d.t.Errorf("%s %s to %s (%s): %v heard of it, want %v", kind, name, address, want, got, hears)
	}
	if answer := answerTo(d.t, from.hears(d.t)); answer != refusedAs(address) && want == "E" || (answer == "") == (want == "E" || want == "V") {
		d.t.Errorf("%s %s to %s (%s): the sender got %q", kind, name, address, want, answer)
	}
	keeps := strings.Contains("OAD", want) && name == "message" && (kind == "chat" || kind == "normal")
	if kept := d.newest(from.agent) == id; kept != keeps {
		d.t.Errorf("%s %s to %s (%s): kept: %v, want %v", kind, name, address, want, kept, keeps)
	}
}

// addressed is a row's address in full.
func (d *office) addressed(address string) string {
	agent, resource, full := strings.Cut(address, "/")
	switch {
	case agent == ".":
		agent = d.domain
	case !strings.ContainsAny(agent, "@."):
		agent += "@" + d.domain
	}
	if full {
		return agent + "/" + resource
	}
	return agent
}

// answerTo is what a sender heard: the condition of an error, or the type of another
// answer; "" for silence.
func answerTo(t *testing.T, got []*wire.Stanza) string {
	t.Helper()
	if len(got) != 1 {
		return strings.Repeat("?", len(got))
	}
	if condition := refusedWith(t, got[0]); condition != "" {
		return condition
	}
	return string(got[0].Type)
}

// refusedAs is the condition for what is sent there in vain.
func refusedAs(address string) string {
	switch {
	case address == "@@":
		return wire.JIDMalformed
	case strings.HasPrefix(address, "blocked"):
		return wire.NotAcceptable
	case strings.Contains(address, "shop.example"):
		return wire.RemoteServerNotFound
	}
	return wire.ServiceUnavailable
}

// session is the device of an agent's with that resource.
func (d *office) session(name, resource string) *Session {
	g := d.agent(name)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.session(resource)
}

// newest is the id of the last message in an agent's archive.
func (d *office) newest(g *agent) (id string) {
	d.t.Helper()
	if _, err := d.store.Page(d.t.Context(), store.Page{Agent: g.id, Max: 1, Backwards: true}, func(e *store.Entry) error {
		m, err := store.ParseMessage(e.Data)
		id = m.ID
		return err
	}); err != nil {
		d.t.Fatal(err)
	}
	return id
}
