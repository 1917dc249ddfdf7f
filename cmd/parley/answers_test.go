package main

import (
	"testing"
	"testing/synctest"
	"time"

	"parley.im/parley/xmppd/xmpptest"
)

// What was answered under an idempotency key is known for a day, and forgotten in the hour after
// that; a clock that has jumped ahead makes no day of it.
func TestAnswersAreForgotten(t *testing.T) {
	t.Parallel()
	talk, err := xmpptest.Parse("answers.talk", `Nothing is said.

-- cast --
anna   agent   desk.example   "correct horse"

-- talk --
anna/laptop signs in
anna/laptop closes
`)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := newTalkServer(t, talk)
		talk.Play(t, s)
		a := s.server.inService()[0]
		known := func() bool {
			t.Helper()
			kept, err := a.store.ClaimAnswer(t.Context(), [32]byte{1}, []byte("the answer"))
			if err != nil {
				t.Fatal(err)
			}
			return kept != nil
		}
		if known() {
			t.Error("it is known before it was given")
		}
		var ahead time.Duration
		wrong := newSteadiness(func() time.Time { return time.Now().Add(ahead) })
		<-time.After(steadyFor + time.Hour)
		ahead = 2 * answersFor
		s.server.forgetAnswersBy(t.Context(), wrong)
		if !known() {
			t.Error("a clock that has jumped by two days made the server forget")
		}
		<-time.After(answersFor - steadyFor - 90*time.Minute)
		if !known() {
			t.Error("it is forgotten before the day is over")
		}
		<-time.After(2 * time.Hour)
		synctest.Wait()
		if known() {
			t.Error("it is known after the day")
		}
	})
}
