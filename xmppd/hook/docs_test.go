package hook

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
)

// What docs/webhooks.md shows is what is sent, and it shows every event.
func TestDocsShowRealBodies(t *testing.T) {
	a := desk(named("qzv4xk2m7ts3hbc5ndyw6rpgle"))
	hello := said(store.Message{Type: "chat", From: "anna@desk.example/phone", To: "ben@desk.example",
		ID: "a1", OriginID: "a1", Lang: "en", Inner: []byte("<body>Hello</body>")})
	long := said(store.Message{Type: "chat", From: "anna@desk.example/phone", To: "ben@desk.example",
		ID: "a1", Inner: []byte("<body>Hello " + strings.Repeat("a", maxBody) + "</body>")})
	event := func(kind store.Kind, data string) *store.Entry {
		e := *hello
		e.Kind, e.Data = kind, []byte(data)
		return &e
	}
	available := event(store.KindAgentAvailable, `{"agent":{"jid":"anna@desk.example"}}`)
	unavailable := event(store.KindAgentUnavailable, `{"agent":{"jid":"anna@desk.example"}}`)
	failed := event(store.KindLoginFailed,
		`{"login":{"name":"anna","known":true,"address":"192.0.2.7","mechanism":"SCRAM-SHA-256","reason":"proof"}}`)
	head := event(store.KindAuditHead, `{"head":{"account":"desk","at":"2026-11-21T09:30:00.250Z",`+
		`"hash":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","n":41,"ordinal":1207,`+
		`"key":"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",`+
		`"signature":"5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw=="}}`)
	disabled := event(store.KindWebhookDisabled, `{"endpoint":"wh_01arz3ndektsv4rrffq69g5fav","reason":"the receiver answered 410 Gone"}`)
	ailing := event(store.KindWebhookFailing, `{"endpoint":"wh_01arz3ndektsv4rrffq69g5fav","reason":"the receiver answered 503 Service Unavailable","since":"2026-11-21T08:29:00Z"}`)
	policy := event(store.KindPolicyChanged, `{"changes":[{"option":"auth.lockout","before":true,"after":false},{"option":"auth.lockout_for","before":"5m0s","after":"1m0s"}]}`)
	rotated := event(store.KindTokenRotated, `{"previous_until":"2026-11-22T09:30:00Z"}`)
	shredded := event(store.KindKeyShredded, `{"conversation":{"id":"7","kind":"direct"},"generation":3,"records":214}`)
	lost := event(store.KindKeyUnavailable, `{"conversation":{"id":"7","kind":"direct"},"generation":3}`)
	stale := event(store.KindBackupStale, `{"of":"data","age":601}`)
	expiring := event(store.KindCertificateExpiring, `{"certificate":{"names":["desk.example"],"expires":"2026-12-05T09:00:00Z","days":14}}`)
	test := event(store.KindWebhookTest, `{"endpoint":"wh_01arz3ndektsv4rrffq69g5fav"}`)

	asked := said(store.Message{Type: "chat", From: "mwq4xk2m7t@visitors.desk.example", To: "desk.example",
		ID: "m1", OriginID: "m1", Lang: "it", Inner: []byte("<body>Where is my order?</body>")})
	asked.Actor = 0 // no agent's
	// about is an event of a contact that began as others go on.
	about := func(kind store.Kind, state, rest string) *store.Entry {
		return event(kind, `{"contact":{"id":"mwq4xk2m7t","state":"`+state+`","visitor":"v_7hb3k2","priority":15,"created":"2026-11-21T09:29:40Z"},`+rest+`}`)
	}
	contacts := []*store.Entry{
		about(store.KindContactCreated, "queued", `"person":{"name":"Mia Rossi","subject":"Orders","page":"https://shop.example/orders","lang":"it","fields":{"order":"4711"}},"by":"visitor"`),
		about(store.KindContactQueued, "queued", `"by":"visitor"`),
		about(store.KindContactOffered, "offered", `"by":"system","agents":["anna","ben"]`),
		about(store.KindContactDeclined, "offered", `"by":"agent","agent":"ben","reason":"lunch"`),
		about(store.KindContactMissed, "offline", `"by":"system","reason":"timeout"`),
		about(store.KindOfflineMessage, "offline", `"person":{"name":"Mia Rossi","lang":"it","fields":{"email":"mia@home.example"}},"by":"visitor"`),
		about(store.KindContactAssigned, "active", `"by":"agent","agent":"anna"`),
		about(store.KindContactTransferred, "active", `"by":"agent","agent":"anna","agents":["ben"]`),
		about(store.KindContactUpdated, "active", `"by":"agent","agent":"ben","what":"note","note":"She wants her money back"`),
		about(store.KindMessageDelivered, "active", `"by":"agent","agent":"ben","up_to":11`),
		about(store.KindMessageRead, "active", `"by":"visitor","up_to":11`),
		about(store.KindAttachmentCreated, "active", `"by":"visitor","file":{"id":"7lrcc4iunxbmd2wgncwvjeqkqu","type":"application/pdf","size":48213},"name":"Invoice 4711.pdf"`),
		about(store.KindAttachmentRejected, "active", `"by":"visitor","file":{"id":"q3mm5vthy4xwsbk6cqpgnf2zoe","type":"image/png","size":913},"name":"cat.png","reason":"the file is not of the type that it says"`),
		about(store.KindContactClosed, "closed", `"by":"visitor","reason":"left"`),
		about(store.KindContactRated, "closed", `"by":"visitor","note":"Very kind"`),
		about(store.KindTranscriptSent, "closed", `"by":"visitor"`),
		about(store.KindContactFinalized, "finalized", `"person":{"name":"Mia Rossi","lang":"it"},"by":"system"`),
	}
	paused := event(store.KindAgentPaused, `{"agent":{"jid":"anna@desk.example"},"reason":"forced"}`)
	vouched := about(store.KindVisitorIdentified, "queued", `"by":"system"`)
	erased := event(store.KindVisitorErased, `{"visitor":"v_7hb3k2","contacts":["mwq4xk2m7t"],"by":"system"}`)
	banned := event(store.KindVisitorBanned, `{"visitor":"v_7hb3k2","contact":"mwq4xk2m7t","kinds":["visitor","address"],"until":"2026-11-22T09:30:00Z","by":"agent","agent":"anna"}`)
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := blocks(string(page), "json")
	type body struct {
		entry *store.Entry
		shape shape
	}
	want := []body{
		{hello, shape{}}, {hello, shape{thin: true}}, {hello, shape{vivocha: true}},
		{long, shape{api: "https://desk.example:8443"}},
		{available, shape{}}, {unavailable, shape{}}, {failed, shape{}}, {policy, shape{}}, {rotated, shape{}}, {head, shape{}}, {ailing, shape{}}, {disabled, shape{}}, {shredded, shape{}}, {lost, shape{}},
		{stale, shape{}}, {expiring, shape{}}, {test, shape{}},
	}
	want = append(want, body{asked, shape{}}, body{contacts[0], shape{thin: true}})
	for _, e := range contacts {
		want = append(want, body{e, shape{}})
	}
	want = append(want, body{paused, shape{}}, body{vouched, shape{}}, body{banned, shape{}}, body{erased, shape{}})
	if len(shown) != len(want) {
		t.Fatalf("the page shows %d bodies, want %d", len(shown), len(want))
	}
	missing := make(map[store.Kind]bool)
	for k := range 256 {
		missing[store.Kind(k)] = store.Kind(k).Event() != ""
	}
	for _, w := range want {
		missing[w.entry.Kind] = false
	}
	for k, is := range missing {
		if is {
			t.Errorf("the page shows no %s", k.Event())
		}
	}
	for i, w := range want {
		body, err := w.shape.render(&a, w.entry)
		if err != nil {
			t.Fatal(err)
		}
		// The page need not show all that a text has.
		body = regexp.MustCompile("a{100,}").ReplaceAll(body, []byte("…"))
		var b bytes.Buffer
		if err := json.Compact(&b, []byte(shown[i])); err != nil || b.String() != string(body) {
			t.Errorf("the page shows (%v)\n%s\nand what is sent is\n%s", err, b.Bytes(), body)
		}
	}
}

// blocks are the code blocks of a language in a page.
func blocks(page, lang string) []string {
	var list []string
	for _, part := range strings.Split(page, "```"+lang+"\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		list = append(list, text)
	}
	return list
}

// testdata/webhook is for receivers' developers; what it says must be so.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob("../../testdata/webhook/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("vectors: %d files, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		v := vector(string(text))
		at, err := strconv.ParseInt(v["webhook-timestamp"], 10, 64)
		if err != nil {
			t.Errorf("%s: %v", f, err)
		}
		body := []byte(v["body"])
		key := store.SignKey(v["private-key"])
		signer := &poster{secret: v["secret"], key: key}
		if got := signer.signatures(&event{id: v["webhook-id"], body: body}, time.Unix(at, 0)); got != v["webhook-signature"] {
			t.Errorf("%s: signed %s, want %s", f, got, v["webhook-signature"])
		}
		if key.Public() != v["public-key"] {
			t.Errorf("%s: the public key is %s, want %s", f, key.Public(), v["public-key"])
		}
		if got := HMAC(v["token"], body); got != v["x-vvc-hmac"] {
			t.Errorf("%s: HMAC = %s, want %s", f, got, v["x-vvc-hmac"])
		}
		if hub := v["x-hub-signature"]; hub != "" && hub != "sha1="+v["x-vvc-hmac"] {
			t.Errorf("%s: x-hub-signature = %s", f, hub)
		}
		if name := filepath.Base(f); name != "message.txt" && name != "vivocha.txt" {
			continue // not bodies of ours
		}
		a := desk(named(strings.TrimPrefix(v["webhook-id"], "evt_")))
		shape := shape{vivocha: v["format"] == "vivocha"}
		if got, err := shape.render(&a, said(store.Message{Type: "chat", From: "anna@desk.example/phone", To: "ben@desk.example",
			ID: "a1", Inner: []byte("<body>Hello</body>")})); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: the body that is sent is (%v)\n%s", f, err, got)
		}
	}
}

func vector(text string) map[string]string {
	v := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok && name != "#" {
			v[name] = strings.TrimLeft(value, " ")
		}
	}
	return v
}
