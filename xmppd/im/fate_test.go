package im

import "testing"

// xmppd.TestFates compares the table with RFC 6121; this is what hangs on it besides.

// A message that is kept is delivered as a chat message is, whatever its type, since it
// can't be refused any more. So an account must take those in any case.
func TestChatIsAlwaysWelcome(t *testing.T) {
	for k := range kinds {
		if got, want := k.Welcome(), k == Chat || k == Subscribe || k == Probe; got != want {
			t.Errorf("kind %d is welcome: %t, want %t", k, got, want)
		}
	}
}

func TestMessageKinds(t *testing.T) { // RFC 6121 §5.2.2
	for typ, want := range map[string]string{
		"chat": "chat", "normal": "normal", "headline": "headline", "groupchat": "groupchat", "error": "error",
		"": "normal", "shout": "normal", "Chat": "normal",
	} {
		if got := MessageKind([]byte(typ)).MessageType(); got != want {
			t.Errorf("a message of type %q is %s, want %s", typ, got, want)
		}
	}
}
