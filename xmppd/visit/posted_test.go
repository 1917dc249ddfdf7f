package visit

import (
	"crypto/sha256"
	"testing"
	"time"

	"parley.im/parley/store"
)

// An account sends so many transcripts in an hour, whoever they are for; what could not be sent does not count, and nothing is remembered
// for longer than a day.
func TestPostsPerHour(t *testing.T) {
	var p posted
	now := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	n := 0
	send := func(sent bool) error {
		n++
		id, to := store.ConversationID(n), sha256.Sum256([]byte{byte(n), byte(n >> 8)})
		err := p.begin(id, to, now)
		if err == nil {
			if p.begin(id, sha256.Sum256(nil), now) == nil {
				t.Error("a conversation is sent twice at a time")
			}
			p.end(id, to, sent)
		}
		return err
	}
	for range 1000 {
		if err := send(false); err != nil {
			t.Fatalf("what was not sent counts: %v", err)
		}
	}
	for hour := range 30 {
		for range postsPerHour {
			if err := send(true); err != nil {
				t.Fatalf("in hour %d: %v", hour, err)
			}
		}
		if err := send(true); err != error(errPosts) {
			t.Errorf("in hour %d one more: %v", hour, err)
		}
		now = now.Add(time.Hour)
	}
	if len(p.last) > 24*postsPerHour || len(p.now) > 0 {
		t.Errorf("%d and %d are remembered", len(p.last), len(p.now))
	}
}
