package visit_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A stream reads server-sent events.
type stream struct {
	s     *shop
	resp  *http.Response
	lines *bufio.Scanner
	last  string
}

func (s *shop) streams(token, last string) *stream {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", s.https.URL+"/visit/desk/events", nil)
	s.must(err)
	req.Header.Set("Authorization", "Bearer "+token)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := s.https.Client().Do(req)
	s.must(err)
	s.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("there is %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	return &stream{s, resp, bufio.NewScanner(resp.Body), last}
}

// until reads to an event with a frame of that type.
func (e *stream) until(kind string) (f frame) {
	e.s.t.Helper()
	for e.lines.Scan() {
		name, value, _ := strings.Cut(e.lines.Text(), ": ")
		switch name {
		case "id":
			e.last = value
		case "data":
			f = frame{}
			e.s.must(json.Unmarshal([]byte(value), &f))
			if f.Type == kind {
				return f
			}
		}
	}
	e.s.t.Fatalf("the stream ends before %s: %v", kind, e.lines.Err())
	return f
}

// Without WebSockets: the same frames, as events and by POST.
func TestEventsAndFrames(t *testing.T) {
	eventsAndFrames(t, newShop(t))
}

// Browsers ask by HTTP/2, and a stream lasts longer than a request may.
func TestEventsOverHTTP2(t *testing.T) {
	s := newShop(t, func(s *shop) { s.http2, s.brief = true, 300*time.Millisecond })
	s.server.SetWriteTime(s.brief)
	resp, err := s.https.Client().Get(s.https.URL + "/visit/desk/config")
	s.must(err)
	resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Fatalf("it is %s", resp.Proto)
	}
	eventsAndFrames(t, s)
}

func TestEventsLast(t *testing.T) {
	eventsAndFrames(t, newShop(t, func(s *shop) { s.brief = 300 * time.Millisecond }))
}

func eventsAndFrames(t *testing.T, s *shop) {
	is := s.open(J{"text": "Hello"})
	auth := []string{"Authorization", "Bearer " + is.Token}
	mia := s.streams(is.Token, "")
	mia.until("welcome")
	if f := mia.until("message"); f.Text != "Hello" || fmt.Sprint(f.Seq) != mia.last {
		t.Errorf("%s: %+v", mia.last, f)
	}
	s.offered(is.Contact.ID)
	for began := time.Now(); time.Since(began) < 2*s.brief; {
		s.do("GET", "config", nil) // for longer than an answer may take, and a write
	}
	s.say("anna", is.Contact.ID, "a1", "Yes?")
	answer := mia.until("message")
	if answer.Text != "Yes?" {
		t.Errorf("the answer is %+v", answer)
	}
	post := func(f J) (int, frame) {
		t.Helper()
		is := s.do("POST", "frames", f, auth...)
		var got frame
		if len(is.Body) > 0 {
			s.must(json.Unmarshal(is.Body, &got))
		}
		return is.Status, got
	}
	status, said := post(J{"type": "say", "id": "m1", "text": "Blue?"})
	if status != http.StatusOK || said.Type != "said" || said.ID != "m1" || said.Seq <= answer.Seq || said.At.IsZero() {
		t.Errorf("what is said gets %d %+v", status, said)
	}
	if status, again := post(J{"type": "say", "id": "m1", "text": "Blue?"}); status != http.StatusOK || again != said {
		t.Errorf("said again it gets %d %+v", status, again)
	}
	if f := mia.until("message"); f.ID != "m1" || f.Seq != said.Seq || f.From.Kind != "visitor" {
		t.Errorf("the stream has %+v", f)
	}
	for _, f := range []J{{"type": "typing", "on": true}, {"type": "read", "seq": answer.Seq}, {"type": "ping"}} {
		if status, _ := post(f); status != http.StatusNoContent {
			t.Errorf("%v gets %d", f, status)
		}
	}
	if status, _ := post(J{"type": "submit"}); status != http.StatusConflict {
		t.Errorf("a form gets %d", status)
	}
	mia.resp.Body.Close()
	s.eventually("the visitor is gone", func() bool { return s.server.Stats.Connected.Load() == 0 })

	// And goes on where it was.
	s.say("anna", is.Contact.ID, "a2", "Also in green.")
	again := s.streams(is.Token, mia.last)
	if f := again.until("message"); f.Text != "Also in green." {
		t.Errorf("there is %+v", f)
	}
	for range 2 {
		if status, _ := post(J{"type": "close"}); status != http.StatusNoContent {
			t.Errorf("the end gets %d", status)
		}
	}
	again.until("state")
	if status, _ := post(J{"type": "say", "id": "m2", "text": "Oh"}); status != http.StatusConflict {
		t.Errorf("what is said too late gets %d", status)
	}
}
