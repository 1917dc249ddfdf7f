package hook

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"parley.im/parley/store"
)

func desk(s Store) Account {
	return Account{ID: "desk", Domain: "desk.example", Store: s}
}

// named is a store that knows one id for every record, and nothing else.
func named(id string) Store { return names{id: id} }

type names struct {
	Store
	id string
}

func (n names) ArchiveID(store.AgentID, store.Ordinal) string { return n.id }

func said(m store.Message) *store.Entry {
	return &store.Entry{
		Ordinal: 3, Conversation: 17, N: 12, Kind: store.KindMessage, Actor: 1,
		At:   time.Date(2026, 11, 21, 9, 30, 0, 250e6, time.UTC),
		Data: store.AppendMessage(nil, &m),
	}
}

func TestBodyOfMessage(t *testing.T) {
	const head = `{"type":"message.created","timestamp":"2026-11-21T09:30:00.250Z","id":"evt_00000000000000000000000003",` +
		`"account":"desk","data":{"conversation":{"id":"17","kind":"direct"},"seq":12,"message":`
	for _, c := range []struct {
		name string
		in   store.Message
		want string
	}{
		{"plain", store.Message{Type: "chat", From: "anna@desk.example/phone", To: "ben@desk.example/desk/1", ID: "a1", Inner: []byte("<body>Hello</body>")},
			`{"id":"a1","from":"anna@desk.example","to":"ben@desk.example","type":"chat","text":"Hello"}`},
		{"everything", store.Message{Type: "normal", From: "anna@desk.example/phone", To: "ben@desk.example", ID: "a1", OriginID: "o1", Lang: "it",
			Decls: []byte(" xmlns:x='urn:x'"), Inner: []byte("<subject>S</subject><thread>T</thread><x:y/><body>&lt;b> &amp; “è”</body>")},
			`{"id":"a1","origin_id":"o1","from":"anna@desk.example","to":"ben@desk.example","type":"normal","text":"<b> & “è”","lang":"it","subject":"S","thread":"T"}`},
		{"no body", store.Message{Type: "chat", From: "a@x", To: "b@x", ID: "a1", Inner: []byte("<received xmlns='urn:xmpp:receipts' id='z'/>")},
			`{"id":"a1","from":"a@x","to":"b@x","type":"chat","text":""}`},
		{"another body first", store.Message{Type: "chat", From: "a@x", To: "b@x", ID: "a1", Inner: []byte("<body xmlns='urn:other'>no</body><body>yes</body>")},
			`{"id":"a1","from":"a@x","to":"b@x","type":"chat","text":"yes"}`},
	} {
		a := desk(named("00000000000000000000000003"))
		got, err := Body(&a, said(c.in), "")
		if want := head + c.want + "}}"; err != nil || string(got) != want {
			t.Errorf("%s: Body = %s, %v\nwant %s", c.name, got, err, want)
		}
	}
}

func TestThinBodyHasNothingOfWhatWasSaid(t *testing.T) {
	a := desk(named("00000000000000000000000003"))
	e := said(store.Message{Type: "chat", From: "anna@desk.example/phone", To: "ben@desk.example", ID: "a1", Lang: "MARKER",
		Inner: []byte("<subject>MARKER</subject><thread>MARKER</thread><body>MARKER</body>")})
	got, err := shape{thin: true}.render(&a, e)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got), "MARKER") {
		t.Errorf("thin body tells: %s", got)
	}
	if want := `"message":{"id":"a1","from":"anna@desk.example","to":"ben@desk.example","type":"chat","thin":true}}}`; !strings.HasSuffix(string(got), want) {
		t.Errorf("thin body = %s, want it to end %s", got, want)
	}
}

// Receivers of Vivocha's webhooks read arrays, know conversations as cid, and events by names
// of their own.
func TestBodyForVivochasReceivers(t *testing.T) {
	a := desk(named("00000000000000000000000003"))
	for kind, want := range map[store.Kind]string{
		store.KindMessage: `[{"type":"message","timestamp":"2026-11-21T09:30:00.250Z","id":"evt_00000000000000000000000003","account":"desk","cid":"17",` +
			`"data":{"conversation":{"id":"17","kind":"direct"},"seq":12,"message":{"id":"a1","from":"a@x","to":"b@x","type":"chat","text":"Hello"}}}]`,
		store.KindAgentAvailable: `[{"type":"agent.available","timestamp":"2026-11-21T09:30:00.250Z","id":"evt_00000000000000000000000003","account":"desk",` +
			`"data":{"seq":12,"agent":{"jid":"a@x"}}}]`,
	} {
		e := said(store.Message{Type: "chat", From: "a@x", To: "b@x", ID: "a1", Inner: []byte("<body>Hello</body>")})
		if e.Kind = kind; kind != store.KindMessage {
			e.Data = []byte(`{"agent":{"jid":"a@x"}}`)
		}
		if got, err := (shape{vivocha: true}).render(&a, e); err != nil || string(got) != want {
			t.Errorf("body = %s, %v\nwant %s", got, err, want)
		}
	}
	long := said(store.Message{Type: "chat", From: "a@x", To: "b@x", ID: "a1", Inner: []byte("<body>" + strings.Repeat("\"", 50_000) + "</body>")})
	if got, err := (shape{vivocha: true}).render(&a, long); err != nil || len(got) > maxBody || len(got) < maxBody-10 || !json.Valid(got) {
		t.Errorf("a long body has %d bytes, want just %d: %v", len(got), maxBody, err)
	}
}

func TestLongTextIsCutBetweenRunes(t *testing.T) {
	a := desk(named("00000000000000000000000003"))
	for _, c := range []struct{ name, text string }{
		{"letters", strings.Repeat("a", 100_000)},
		{"runes of three bytes", strings.Repeat("€", 30_000)},
		{"runes of four bytes", "a" + strings.Repeat("😀", 30_000)},
		{"escapes", strings.Repeat("\"\n", 30_000)},
		{"just too long", strings.Repeat("b", maxBody)},
	} {
		long := strings.Repeat("i", 5000)
		e := said(store.Message{Type: "chat", From: "anna@desk.example/phone", To: "ben@desk.example", ID: long, OriginID: long,
			Inner: []byte("<subject>" + strings.Repeat("é", 40_000) + "</subject><body>" + c.text + "</body>")})
		got, err := shape{api: "https://desk.example:8443"}.render(&a, e)
		if err != nil {
			t.Fatal(err)
		}
		var v struct{ Data struct{ Message message } }
		if err := json.Unmarshal(got, &v); err != nil {
			t.Fatal(err)
		}
		m := v.Data.Message
		switch {
		case len(got) > maxBody:
			t.Errorf("%s: %d bytes, want at most %d", c.name, len(got), maxBody)
		case m.URL != "https://desk.example:8443/v1/conversations/17/records/12":
			t.Errorf("%s: all of it is at %q", c.name, m.URL)
		case !m.Truncated || m.Text == nil || *m.Text == "":
			t.Errorf("%s: truncated %v, with nothing of the text", c.name, m.Truncated)
		case !strings.HasPrefix(c.text, *m.Text) || !utf8.ValidString(*m.Text) || !utf8.ValidString(m.Subject):
			t.Errorf("%s: the text is not the beginning of what was said", c.name)
		}
	}
}

// Where the API cannot be reached from outside no place is named; nor where nothing is missing.
func TestOnlyWhatIsCutNamesAPlace(t *testing.T) {
	a := desk(named("00000000000000000000000003"))
	for _, c := range []struct {
		name, api, id, text string
		want                bool
	}{
		{"nowhere", "", "a1", strings.Repeat("a", 30_000), false},
		{"all of it", "https://api.example", "a1", "short", false},
		{"a cut text", "https://api.example", "a1", strings.Repeat("a", 30_000), true},
		{"a cut id", "https://api.example", strings.Repeat("i", 5000), "short", true},
	} {
		got, err := shape{api: c.api}.render(&a, said(store.Message{Type: "chat", ID: c.id, Inner: []byte("<body>" + c.text + "</body>")}))
		if err != nil || strings.Contains(string(got), `"url":"https://api.example/v1/conversations/17/records/12"`) != c.want ||
			strings.Contains(string(got), `"url"`) != c.want {
			t.Errorf("%s: %s, %v", c.name, got, err)
		}
	}
}

func TestBodyOfOtherEvents(t *testing.T) {
	a := desk(named("00000000000000000000000003"))
	for _, c := range []struct{ name, in, want string }{
		{"an object", `{"agent": {"jid":"anna@desk.example"}, "n":1.50}`, `{"seq":12,"agent":{"jid":"anna@desk.example"},"n":1.50}`},
		{"an empty one", `{ }`, `{"seq":12}`},
		{"not an object", `[1]`, ""},
		{"not JSON", `{"a":`, ""},
		{"nothing", ``, ""},
	} {
		e := said(store.Message{})
		e.Kind, e.Data = store.KindAgentAvailable, []byte(c.in)
		got, err := Body(&a, e, "")
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: Body = %s, want an error", c.name, got)
			}
			continue
		}
		if err != nil || !strings.HasSuffix(string(got), `"account":"desk","data":`+c.want+"}") {
			t.Errorf("%s: Body = %s, %v; want data %s", c.name, got, err, c.want)
		}
	}
}

// I7: what cannot be read is not quoted.
func TestBodyErrorsQuoteNothing(t *testing.T) {
	a := desk(named("00000000000000000000000003"))
	e := said(store.Message{Type: "chat", Inner: []byte("<body>MARKER</MARKER>")})
	if _, err := Body(&a, e, ""); err == nil || strings.Contains(err.Error(), "MARKER") {
		t.Errorf("Body = %v", err)
	}
	e.Kind, e.Data = store.KindLoginFailed, []byte("MARKER")
	if _, err := Body(&a, e, ""); err == nil || strings.Contains(err.Error(), "MARKER") {
		t.Errorf("Body = %v", err)
	}
}

func TestDeliveryIDsSortByTime(t *testing.T) {
	at := time.UnixMilli(1469918176385)
	id := deliveryID(at)
	// The example of the ULID specification has this time.
	if !strings.HasPrefix(id, "dlv_01ARYZ6S41") || len(id) != len("dlv_")+26 {
		t.Errorf("deliveryID = %s", id)
	}
	if later := deliveryID(at.Add(time.Millisecond)); later <= id {
		t.Errorf("%s does not sort after %s", later, id)
	}
	if deliveryID(at) == id {
		t.Error("an id came twice")
	}
}
