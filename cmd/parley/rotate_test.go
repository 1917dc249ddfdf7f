package main

import (
	"testing"
	"testing/synctest"
	"time"

	"parley.im/parley/xmppd/xmpptest"
)

// After a week the account's key is another one, and what was said before can still
// be read.
func TestAccountKeyIsReplacedWeekly(t *testing.T) {
	t.Parallel()
	talk, err := xmpptest.Parse("week.talk", `A week passes.

-- cast --
anna   agent   desk.example   "correct horse"

-- talk --
anna/laptop signs in
anna/laptop > <message to='anna@desk.example' type='chat' id='m1'><body>a note to myself</body></message>
anna/laptop < nothing
anna/laptop closes
wait 169h
anna/phone signs in
anna/phone > <iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'/></iq>
anna/phone < <message from='anna@desk.example' to='anna@desk.example/phone'><result xmlns='urn:xmpp:mam:2' id='*'>
               <forwarded xmlns='urn:xmpp:forward:0'>...<message xmlns='jabber:client' id='m1'><body>a note to myself</body>...</message></forwarded>
             </result></message>
anna/phone < <iq type='result' id='q1' to='anna@desk.example/phone'>...</iq>
`)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := newTalkServer(t, talk)
		var before, after time.Time
		made := func() time.Time {
			for _, a := range s.server.inService() {
				return a.keys.Made()
			}
			return time.Time{}
		}
		before = made()
		talk.Play(t, s)
		after = made()
		if week := after.Sub(before); week < keyAge || week > keyAge+2*keyLook {
			t.Errorf("the account's key was replaced after %v, want after %v", week, keyAge)
		}
	})
}
