package im

import (
	"bytes"

	"parley.im/parley/xmppd/wire"
)

// CanWait says whether a stanza can wait until somebody looks at the device that it
// goes to (XEP-0352 §3.2; rule 55). Presence can, chat states alone and headlines: they
// are about this moment, and nobody sees them in it. Of those with the same key only
// the newest means anything; each with the key "" does.
//
// Everything else is worth waking a phone for. So are receipts and displayed markers
// (XEP-0184, XEP-0333): they come once, soon after something was said, when the radio is
// awake anyway, and a marker from the owner's other device takes a notification away.
// Whoever calls need not ask about kept messages, which a device must not miss.
func CanWait(data []byte) (key string, ok bool) {
	if bytes.HasPrefix(data, []byte("<iq")) {
		return "", false
	}
	st, err := wire.Parse(data, wire.Unlimited)
	if err != nil {
		return "", false
	}
	if st.Kind == wire.Presence {
		// What somebody asks or grants with presence is no news of the moment.
		available := len(st.Type) == 0 || string(st.Type) == "unavailable"
		return "presence\x00" + string(st.From), available
	}
	if copied := carbonOf(st); copied != nil {
		st = copied
	}
	if string(st.Type) == "headline" {
		return "", true
	}
	if !onlyChatState(st) {
		return "", false
	}
	// XEP-0085 §3: a state is followed by another one of the same chat.
	thread := st.Text(st.Child(nsClient, "thread"))
	return "state\x00" + string(st.From) + "\x00" + string(st.To) + "\x00" + thread, true
}

// Delayed says whether a stanza tells its delay, which none does twice (XEP-0203 §2).
func Delayed(data []byte) bool {
	if !bytes.Contains(data, []byte(nsDelay)) {
		return false
	}
	st, err := wire.Parse(data, wire.Unlimited)
	return err != nil || st.Child(nsDelay, "delay") != nil
}

// carbonOf is the message in a carbon copy; nil if there is none.
func carbonOf(st *wire.Stanza) *wire.Stanza {
	c := st.Child(nsCarbons, string(ReceivedCopy))
	if c == nil {
		c = st.Child(nsCarbons, string(SentCopy))
	}
	for _, name := range []struct{ space, local string }{{nsForward, "forwarded"}, {nsClient, "message"}} {
		if c == nil {
			return nil
		}
		var err error
		if st, err = wire.Parse(st.Bytes(c), wire.Unlimited); err != nil {
			return nil
		}
		c = st.Child(name.space, name.local)
	}
	if c == nil {
		return nil
	}
	inner, err := wire.Parse(st.Bytes(c), wire.Unlimited)
	if err != nil {
		return nil
	}
	return inner
}

// onlyChatState says whether a message tells of nothing but a chat state: what
// XEP-0085 §2 calls a standalone notification. Hints and the sender's own id say
// nothing by themselves.
func onlyChatState(m *wire.Stanza) bool {
	found := false
	for i := range m.Children {
		c := &m.Children[i]
		switch string(c.Space) {
		case nsStates:
			found = true
		case nsHints:
			if string(c.Name) == "store" {
				return false
			}
		case nsStanzaID, nsMUCUser:
		case nsClient:
			if string(c.Name) != "thread" {
				return false
			}
		default:
			return false
		}
	}
	return found
}
