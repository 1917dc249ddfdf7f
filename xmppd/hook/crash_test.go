package hook

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
)

// An event that has failed while one before it was on its way waits for its turn also after a
// crash: the cursor that was kept is before it, and the row tells that it was tried.
func TestWhatFailedAheadOfTheCursorIsNotSentTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, s *stage) {
		s.say(func(w http.ResponseWriter, r *http.Request) {
			b := make([]byte, 4096)
			n, _ := r.Body.Read(b)
			if strings.Contains(string(b[:n]), "one") {
				<-r.Context().Done()
			}
			w.WriteHeader(http.StatusInternalServerError)
		})
		s.c.Drain = time.Millisecond
		_, stop := start(t, s.c, desk(s.m))
		s.m.say("one", "two")
		pass(time.Second)
		if e, rows := s.m.get("wh_1"), s.m.rows("wh_1"); e.Cursor != 0 || len(rows) != 1 || rows[0].Ordinal != 2 {
			t.Fatalf("cursor %d, rows %+v", e.Cursor, rows)
		}
		s.m.refuse(store.ErrUnavailable) // as if it had been killed
		stop()
		s.m.refuse(nil)
		s.say(nil)
		_, stop = start(t, s.c, desk(s.m))
		defer stop()
		pass(time.Second)
		if got := s.all(); len(got) != 3 || got[2].header.Get("x-parley-attempt") != "1" {
			t.Fatalf("%d requests, want the first event again and the second not yet", len(got))
		}
		pass(10 * time.Second)
		if got := s.all(); len(got) != 4 || got[3].header.Get("x-parley-attempt") != "2" || s.m.get("wh_1").Cursor != 2 || len(s.m.rows("wh_1")) != 0 {
			t.Errorf("%d requests, cursor %d, rows %+v", len(got), s.m.get("wh_1").Cursor, s.m.rows("wh_1"))
		}
	})
}
