package xmppd

import (
	"errors"
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

// Whatever asks for a new password gives one or is refused with a sentence.
func FuzzNewPassword(f *testing.F) {
	for _, inner := range []string{
		"<username>anna</username><password>velvet-anvil-52</password>", "<password>x</password>", "<password/>", "<remove/>", "",
		"<username>bob</username><password>x</password>", "<username>ＡＮＮＡ</username><password><![CDATA[<x>]]></password>",
		"<password>a<b/>c</password>", "<password xmlns='urn:x'>x</password>", "<x xmlns='jabber:x:data' type='submit'><field var='password'><value>x</value></field></x>",
		"<username>anna</username><username>bob</username><password>x</password>", "<username>an&#x200B;na</username><password>x</password>",
	} {
		f.Add(inner)
	}
	s := &Session{agent: &agent{name: "anna"}}
	f.Fuzz(func(t *testing.T, inner string) {
		st, err := wire.Parse([]byte("<iq type='set' id='c1'><query xmlns='jabber:iq:register'>"+inner+"</query></iq>"), wire.Limits{})
		if err != nil || len(st.Children) != 1 {
			return
		}
		password, err := s.newPassword(st, &st.Children[0])
		var refused wire.StanzaError
		switch {
		case err != nil && (password != "" || !errors.As(err, &refused)):
			t.Errorf("%q: %q and %v", inner, password, err)
		case err == nil && password == "":
			t.Errorf("%q: no password, and no error", inner)
		}
	})
}
