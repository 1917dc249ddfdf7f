package visit_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"parley.im/parley/xmppd/visit"
)

// What is said again is kept once, in whatever order it comes, and on another connection, too.
func TestFramesAgainAndOutOfOrder(t *testing.T) {
	s := newShop(t)
	is := s.open(J{})
	mia := s.comes(is.Token, 0)
	seqs := make(map[string]int64)
	for _, ids := range []string{"213", "312"} {
		for _, id := range ids {
			mia.send(J{"type": "say", "id": string(id), "text": "this is " + string(id)})
		}
		for range 3 {
			f := mia.until("said")
			if before, ok := seqs[f.ID]; ok && before != f.Seq {
				t.Errorf("%s is answered by %d and by %d", f.ID, before, f.Seq)
			}
			seqs[f.ID] = f.Seq
		}
	}
	if !(seqs["2"] < seqs["1"] && seqs["1"] < seqs["3"]) {
		t.Errorf("they were kept as %v", seqs)
	}
	again := s.comes(is.Token, seqs["3"])
	again.send(J{"type": "say", "id": "1", "text": "this is 1"})
	if f := again.until("said"); f.Seq != seqs["1"] {
		t.Errorf("1 is answered by %d, want %d", f.Seq, seqs["1"])
	}
	again.send(J{"type": "say", "id": "4", "text": "this is 4"})
	f := again.until("said")
	if f.ID != "4" {
		t.Errorf("after what was said again there is %+v", f)
	}
	if other := mia.until("message"); other.Seq != f.Seq || other.ID != "4" || other.From.Kind != "visitor" {
		t.Errorf("the other connection gets %+v", other)
	}
}

// What is not a frame gets a sentence, and costs nothing else.
func TestFramesThatAreNone(t *testing.T) {
	s := newShop(t)
	mia := s.comes(s.open(J{"text": "Hello"}).Token, 0)
	mia.until("message")
	for _, c := range []struct{ frame, of, code string }{
		{`{"type":"dance"}`, "dance", "invalid"},
		{`{}`, "", "invalid"},
		{`[]`, "", "invalid"},
		{`null`, "", "invalid"},
		{`{"type":"say","id":"1","text":3}`, "", "invalid"},
		{`{"type":"say","id":"1","text":"a"} {}`, "", "invalid"},
		{"{\"type\":\"say\",\"id\":\"1\",\"text\":\"\xff\"}", "", "invalid"},
		{`{"type":"say","text":"a"}`, "say", "invalid"},
		{`{"type":"say","id":"<1>","text":"a"}`, "say", "invalid"},
		{`{"type":"say","id":"1","text":" \n\u0000"}`, "say", "empty"},
		{`{"type":"say","id":"1","text":"` + strings.Repeat("ä", 4001) + `"}`, "say", "too_long"},
		{`{"type":"submit","name":"` + strings.Repeat("ä", 101) + `"}`, "submit", "too_long"},
		{`{"type":"submit","fields":{"a":"` + strings.Repeat("ä", 1001) + `"}}`, "submit", "too_long"},
		{`{"type":"submit"}`, "submit", "not_now"},
		{`{"type":"rate","stars":6}`, "rate", "invalid"},
		{`{"type":"rate","stars":5}`, "rate", "not_now"},
		{`{"type":"read","seq":0}`, "read", "invalid"},
		{`{"type":"hello","token":"x"}`, "hello", "not_now"},
	} {
		mia.send([]byte(c.frame))
		if f := mia.until("error"); f.Of != c.of || f.Code != c.code || f.Text == "" {
			t.Errorf("%.60s gets %+v", c.frame, f)
		}
	}
	s.must(mia.ws.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)))
	if f := mia.until("error"); f.Code != "invalid" {
		t.Errorf("a binary frame gets %+v", f)
	}
	mia.send(J{"type": "say", "id": "1", "text": strings.Repeat("ä", 4000)})
	if f := mia.until("said"); f.ID != "1" {
		t.Errorf("a text that is as long as it may gets %+v", f)
	}
}

// Without a good hello there is nothing.
func TestHello(t *testing.T) {
	s := newShop(t)
	s.open(J{})
	for _, first := range []string{`{"type":"ping"}`, `{"type":"hello","after":-1}`, `hello`, `{"type":"hello","token":"` + strings.Repeat("a", 2000) + `"}`} {
		c, _, err := s.dial()
		s.must(err)
		c.send([]byte(first))
		if code := c.gone(); code != "invalid" {
			t.Errorf("%.40s gets the bye %q", first, code)
		}
	}
}

// A megabyte is refused before it has come, by each way.
func TestMegabyte(t *testing.T) {
	s := newShop(t)
	is := s.open(J{})
	big := `{"type":"say","id":"1","text":"` + strings.Repeat("a", 1<<20) + `"}`
	for _, path := range []string{"contacts", "frames"} {
		got := s.do("POST", path, big, "Authorization", "Bearer "+is.Token, "Expect", "100-continue")
		if got.Status != http.StatusRequestEntityTooLarge || got.Code != "too_long" {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
	mia := s.comes(is.Token, 0)
	mia.try([]byte(big)) // it may be cut before it is written
	for {
		if _, err := mia.read(); err != nil {
			if status := websocket.CloseStatus(err); status != websocket.StatusMessageTooBig && status != -1 {
				t.Errorf("the connection ends with %v", err)
			}
			break
		}
	}
	s.comes(is.Token, 0)
}

// What people write comes out as it went in; what is no text is left out.
func TestTextsStayWhatTheyAre(t *testing.T) {
	s := newShop(t, func(s *shop) { s.look = visit.Look{} })
	const odd = `<script>alert("1")</script> & </body><body>'x' ]]> <!-- {"type":"bye"} ` + "\u202eabc\u2066 👩‍👩‍👧 \n\t!close\n[anna] hi"
	is := s.open(J{"name": `<b>"Mia" & 'Zoe'</b>`, "fields": J{`<a>"`: odd}, "text": odd, "title": "<title>&amp;</title>", "page": "https://shop.example/?a=<b>&c='d'"})
	mia := s.comes(is.Token, 0)
	if f := mia.until("message"); f.Text != odd {
		t.Errorf("the first text is %q, want %q", f.Text, odd)
	}
	mia.send(J{"type": "say", "id": "1", "text": odd})
	if f := s.comes(is.Token, mia.until("said").Seq-1).until("message"); f.Text != odd {
		t.Errorf("the text is %q, want %q", f.Text, odd)
	}
	c, err := s.contacts.ByAddress(is.Contact.ID)
	s.must(err)
	if c.Name != `<b>"Mia" & 'Zoe'</b>` || c.Fields[`<a>"`] != odd || c.Subject != "<title>&amp;</title>" || c.Page != "https://shop.example/?a=<b>&c='d'" || c.Question != odd {
		t.Errorf("the contact is %+v", c)
	}

	mia.send(J{"type": "say", "id": "2", "text": "a\x00b\x1b[2Jc\r\nd\re\ufffff\u0085g"})
	if f := s.comes(is.Token, mia.until("said").Seq-1).until("message"); f.Text != "ab[2Jc\nd\nefg" {
		t.Errorf("controls become %q", f.Text)
	}
	is = s.open(J{"name": "  Mia\r\n* parley: \u202ehi\x07  ", "page": "javascript:alert(1)", "lang": "<b>", "title": strings.Repeat("a", 500)})
	c, err = s.contacts.ByAddress(is.Contact.ID)
	s.must(err)
	if c.Name != "Mia * parley: hi" || c.Page != "" || c.Lang != "" || len(c.Subject) != 200 {
		t.Errorf("the contact is %+v", c)
	}
}

func FuzzFrame(f *testing.F) {
	for _, seed := range []string{
		`{"type":"hello","token":"abc","after":17}`, `{"type":"say","id":"1","text":"Hello \u0000\ud800"}`, `{"type":"submit","name":"a","fields":{"b":"c"}}`,
		`{"type":"rate","stars":5,"comment":"x"}`, `{"type":"read","seq":21}`, `{"type":"typing","on":true}`, `[{"type":"ping"}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, id, text, err := visit.Parse(data)
		if err != nil {
			return
		}
		if kind == "say" && (id == "" || len(id) > 64 || strings.TrimSpace(text) == "" || len([]rune(text)) > 4000) {
			t.Errorf("%q is taken as %q %q", data, id, text)
		}
		if strings.ContainsAny(text, "\x00\r\x1b\x7f\ufffe\uffff") {
			t.Errorf("%q has what is no text: %q", data, text)
		}
	})
}
