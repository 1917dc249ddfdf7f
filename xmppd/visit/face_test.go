package visit_test

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/jpeg"
	"image/png"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
)

// card keeps an agent's vCard, as her client sends it, and lets so much time pass that it is looked at.
func (s *shop) card(agent, inner string) {
	s.t.Helper()
	s.mu.Lock()
	id := s.agents[agent]
	s.mu.Unlock()
	s.must(s.store.KeepOwn(s.t.Context(), store.Own{Agent: id, Part: store.OwnCard, Value: []byte("<vCard xmlns='vcard-temp'>" + inner + "</vCard>")}))
	s.passes(time.Duration(s.passed.Load()) + 2*time.Minute)
}

func photo(data []byte) string {
	return "<PHOTO><TYPE>image/png</TYPE><BINVAL>\n" + base64.StdEncoding.EncodeToString(data) + "\n</BINVAL></PHOTO>"
}

// picture gets a path of the host.
func (s *shop) picture(path string) (*http.Response, []byte) {
	s.t.Helper()
	resp, err := s.https.Client().Get(s.https.URL + path)
	s.must(err)
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	s.must(err)
	return resp, b.Bytes()
}

// What visitors see of an agent is what she, or the account, has said; in all that tells of her.
func TestFaces(t *testing.T) {
	s := newShop(t, stopped, func(s *shop) { s.look.Names = map[string]string{"carl": "Carl from the shop"} })
	for _, name := range []string{"anna.rossi", "bob", "carl"} {
		s.agent(name)
	}
	is := s.open(J{"text": "Hello"})
	mia := s.comes(is.Token, 0)
	mia.until("message")
	s.offered(is.Contact.ID)
	says := func(agent, want string) frame {
		t.Helper()
		c, err := s.contacts.ByAddress(is.Contact.ID)
		s.must(err)
		if c.Owner != s.agents[agent] {
			s.contacts.Leave(c.ID, c.Owner, nil)
			s.offered(is.Contact.ID)
		}
		s.say(agent, is.Contact.ID, newID(), "It is me.")
		f := mia.state("active")
		if f.Contact.Agent == nil || f.Contact.Agent.Name != want {
			t.Errorf("%s has the chat as %+v, want %s", agent, f.Contact.Agent, want)
		}
		m := mia.until("message")
		if m.From.Name != want || m.From.Avatar != f.Contact.Agent.Avatar {
			t.Errorf("%s speaks as %+v, has the chat as %+v", agent, m.From, f.Contact.Agent)
		}
		return m
	}
	if f := says("anna.rossi", "Anna Rossi"); f.From.Avatar != "" {
		t.Errorf("who has no picture has %s", f.From.Avatar)
	}
	s.card("bob", "<FN>Robert \u202eTables</FN><NICKNAME> </NICKNAME>")
	says("bob", "Robert Tables")
	s.card("carl", "<FN>Karl K.</FN>")
	says("carl", "Carl from the shop")

	var drawn bytes.Buffer
	s.must(png.Encode(&drawn, image.NewGray(image.Rect(0, 0, 8, 8))))
	s.card("bob", "<FN>Robert Tables</FN><NICKNAME>Bobby</NICKNAME>"+photo(drawn.Bytes()))
	path := says("bob", "Bobby").From.Avatar
	resp, got := s.picture(path)
	if resp.StatusCode != http.StatusOK || !bytes.Equal(got, drawn.Bytes()) {
		t.Errorf("%s: %s with %d bytes", path, resp.Status, len(got))
	}
	for name, want := range map[string]string{"Content-Type": "image/png", "X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=604800, immutable",
		"Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	missing := func(path string) {
		t.Helper()
		if resp, _ := s.picture(path); resp.StatusCode != http.StatusNotFound || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s, %v", path, resp.Status, resp.Header)
		}
	}
	for _, name := range []string{"x", is.Token, path[strings.LastIndex(path, "/")+1:] + "AA"} {
		missing("/visit/desk/avatars/" + name)
	}
	if resp, _ := s.picture(path); resp.StatusCode != http.StatusOK {
		t.Errorf("again: %s", resp.Status)
	}
	var other bytes.Buffer
	s.must(jpeg.Encode(&other, image.NewGray(image.Rect(0, 0, 8, 8)), nil))
	s.card("bob", photo(other.Bytes()))
	missing(path) // it is another one, of another name
	again := s.comes(is.Token, 0)
	var last frame
	for range 12 {
		if f := again.next(); f.From.Name != "" {
			last = f
		}
	}
	if resp, _ := s.picture(last.From.Avatar); last.From.Name != "Bob" || resp.Header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("then it is %+v, %v", last.From, resp.Header)
	}
}

// A page may read that somebody has its chat before the server tells of it: it says who all the same.
func TestWhoHasItIsNamed(t *testing.T) {
	s := newShop(t)
	s.agent("anna.rossi")
	is := s.open(J{"text": "Hello"})
	mia := s.comes(is.Token, 0)
	mia.until("message")
	s.offered(is.Contact.ID)
	before, err := s.contacts.ByAddress(is.Contact.ID)
	s.must(err)
	s.say("anna.rossi", is.Contact.ID, "a1", "It is me.")
	mia.state("active")
	s.server.Behind("desk", before)
	again := s.comes(is.Token, 0)
	again.until("message")
	if f := again.state("active"); f.Contact.Agent == nil || f.Contact.Agent.Name != "Anna Rossi" {
		t.Errorf("the chat is with %+v", f.Contact.Agent)
	}
}

// What is no picture, or too large, or tells more than it shows, is not shown.
func TestPictures(t *testing.T) {
	s := newShop(t, stopped)
	is := s.open(J{"text": "Hello"})
	s.offered(is.Contact.ID)
	s.say("anna", is.Contact.ID, "a1", "Hello")
	shown := func() string {
		t.Helper()
		mia := s.comes(is.Token, 0)
		defer mia.ws.CloseNow()
		for {
			if f := mia.next(); f.From.Kind == "agent" {
				return f.From.Avatar
			}
		}
	}
	var plain bytes.Buffer
	s.must(jpeg.Encode(&plain, image.NewGray(image.Rect(0, 0, 8, 8)), nil))
	segment := func(marker byte, text string) string {
		return string([]byte{0xff, marker, 0, byte(len(text) + 2)}) + text
	}
	told := "\xff\xd8" + segment(0xe1, "Exif\x00\x00 at home") + segment(0xfe, "by me") + segment(0xe2, "ICC") + plain.String()[2:]
	s.card("anna", photo([]byte(told)))
	_, got := s.picture(shown())
	if want := "\xff\xd8" + segment(0xe2, "ICC") + plain.String()[2:]; string(got) != want {
		t.Errorf("a photo is shown as %q", got)
	}
	if _, err := jpeg.Decode(bytes.NewReader(got)); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]string{
		"markup": "<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "a page": "<!doctype html><p>hello", "a broken photo": told[:40],
		"too large": "GIF89a" + strings.Repeat("x", 64<<10), "nothing": "",
	} {
		s.card("anna", photo([]byte(bad)))
		if path := shown(); path != "" {
			t.Errorf("%s is shown as %s", name, path)
		}
	}
	s.card("anna", photo([]byte("GIF89a"+strings.Repeat("x", 64<<10-6))))
	if shown() == "" {
		t.Error("64 KiB are too much")
	}
	s.look.NoCards = true
	s.restart()
	if shown() != "" {
		t.Error("a card is shown where none are to be")
	}
}
