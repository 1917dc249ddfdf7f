package xmppd

import (
	"strconv"
	"testing"
)

func TestWhichMessagesWereCopied(t *testing.T) { // rule 37; XEP-0280 §6.1
	s := newTestAgent(newTestServer(t, testLimits), "anna").away("laptop")
	if s.wasCopied("1", "bob@desk.example") || s.copied != nil {
		t.Error("a session that never had anything copied knows something, or pays for it")
	}
	s.rememberCopied("", "bob@desk.example")
	if s.copied != nil {
		t.Error("a message without an id is remembered, which no error can name")
	}
	for i := range maxCopied + 1 {
		s.rememberCopied(strconv.Itoa(i), "bob@desk.example")
	}
	for _, c := range []struct {
		id, to string
		want   bool
	}{
		{"1", "bob@desk.example", true},
		{strconv.Itoa(maxCopied), "bob@desk.example", true},
		{"0", "bob@desk.example", false}, // too long ago
		{"1", "carol@desk.example", false},
		{"1bob", "@desk.example", false},
		{"", "bob@desk.example", false},
	} {
		if got := s.wasCopied(c.id, c.to); got != c.want {
			t.Errorf("wasCopied(%q, %q) = %t, want %t", c.id, c.to, got, c.want)
		}
	}
}
