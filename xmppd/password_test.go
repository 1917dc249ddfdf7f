package xmppd

import (
	"slices"
	"strings"
	"testing"

	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// asks lets a session that has no connection ask something, and takes the answer out
// of its queue.
func (s *Session) asks(t *testing.T, text string) string {
	t.Helper()
	st, err := wire.Parse([]byte(text), wire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.iq(st); err != nil {
		t.Fatal(err)
	}
	answer := s.queued()
	s.mu.Lock()
	s.out = outbox{}
	s.mu.Unlock()
	return answer
}

// Who may not change a password: the account has no store here, so that nothing could
// be changed.
func TestPasswordChangeIsRefused(t *testing.T) { // XEP-0077 §3.3
	const change = "<iq type='set' id='c1' to='desk.example'><query xmlns='jabber:iq:register'><username>anna</username><password>velvet-anvil-52</password></query></iq>"
	const look = "<iq type='get' id='c1' to='desk.example'><query xmlns='jabber:iq:register'/></iq>"
	for _, c := range []struct {
		name    string
		prepare func(*Session)
		request string
		want    string
	}{
		{"switched off", func(s *Session) { s.server.config.PasswordChange = false }, change, wire.NotAllowed},
		{"switched off, looked at", func(s *Session) { s.server.config.PasswordChange = false }, look, wire.NotAllowed},
		{"signed in with a device's secret", func(s *Session) { s.password = 0 }, change, wire.NotAuthorized},
		{"signed in with an old password", func(s *Session) { s.agent.credentialsChanged() }, change, wire.NotAuthorized},
		{"removed meanwhile", func(s *Session) { s.agent.removed.Store(true) }, change, wire.NotAuthorized},
	} {
		s := newTestAgent(newTestServer(t, testLimits), "anna").away("laptop")
		s.server.config.PasswordChange, s.password = true, 7
		c.prepare(s)
		if got := s.asks(t, c.request); !strings.Contains(got, "<"+c.want+" ") || strings.Contains(got, "velvet") {
			t.Errorf("%s: %s, want %s and no password", c.name, got, c.want)
		}
	}
}

func TestPasswordChangeIsListedWhereItIsOn(t *testing.T) { // XEP-0077 §10
	for _, on := range []bool{false, true} {
		info := newInfo(Config{PasswordChange: on})
		if listed := slices.Contains(info.Features, im.NSRegister); listed != on {
			t.Errorf("with the option %t it is listed: %t", on, listed)
		}
	}
}
