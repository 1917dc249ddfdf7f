package xmppd

import (
	"slices"
	"time"

	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// capsNode names the server's software, for capabilities (XEP-0115 §4).
const capsNode = "https://parley.im/"

// accountInfo is what every account says of itself.
var accountInfo = im.Info{
	Identities: []im.Identity{{Category: "account", Type: "registered"}},
	Features:   im.AccountFeatures,
}

// newInfo is what a server says of itself. It is the same for all of its domains, and
// for as long as it runs.
func newInfo(c Config) im.Info {
	i := im.Info{
		Identities: []im.Identity{{Category: "server", Type: "im", Name: "Parley"}},
		Features:   slices.Clone(im.ServerFeatures),
		Forms:      im.ContactForm(c.Contact),
	}
	if c.PasswordChange {
		i.Features = append(i.Features, im.NSRegister) // XEP-0077 §10
	}
	return i
}

// discover answers what the server, or an account for which the server speaks, tells of
// itself to everybody who may see it; false if that was not the question.
func (s *Session) discover(st *wire.Stanza, c *wire.Child, t *target) bool {
	whose := t.agent
	if len(st.To) == 0 {
		whose = s.agent // RFC 6120 §10.3.3
	}
	switch space := string(c.Space); {
	case space == im.NSPing:
		s.answer(st, nil) // XEP-0199 §4.2
	case space == im.NSTime:
		s.answer(st, im.AppendTime(nil, time.Now()))
	case space == im.NSVersion:
		s.answer(st, []byte(im.Version))
	case space == im.NSLast && whose == nil:
		s.answer(st, im.AppendLast(nil, time.Since(s.server.started), "")) // XEP-0012 §5
	case space == im.NSDiscoInfo:
		s.discoInfo(st, string(st.ChildAttr(c, "node")), whose)
	case space == im.NSDiscoItems:
		s.discoItems(st, string(st.ChildAttr(c, "node")), whose)
	default:
		return false
	}
	return true
}

// discoInfo tells what the server (nil) or an agent's account can do (XEP-0030 §3).
func (s *Session) discoInfo(st *wire.Stanza, node string, whose *agent) {
	info, caps := &accountInfo, ""
	if whose == nil {
		info, caps = &s.server.info, capsNode+"#"+s.server.capsVer
	}
	if node != "" && node != caps { // XEP-0115 §6.2
		s.answerError(st, wire.StanzaError{Condition: wire.ItemNotFound}) // XEP-0030 §7
		return
	}
	s.answer(st, info.Append(nil, node))
}

// discoItems tells which devices of an agent are available (XEP-0030 §4.1). The server
// has nothing beneath it.
func (s *Session) discoItems(st *wire.Stanza, node string, whose *agent) {
	if node != "" {
		s.answerError(st, wire.StanzaError{Condition: wire.ItemNotFound}) // XEP-0030 §7
		return
	}
	var devices []string
	if whose != nil {
		for _, o := range whose.list() {
			if o.isAvailable() {
				devices = append(devices, o.address)
			}
		}
	}
	if slots := s.agent.account.slots(); whose == nil && slots != "" {
		devices = append(devices, slots) // XEP-0363 §3
	}
	s.answer(st, im.AppendItems(nil, "", devices))
}

// serveOther answers for another agent's account. One that must not be seen and one
// that is not there are the same (XEP-0030 §8; rules 18, 19 and 52).
func (s *Session) serveOther(st *wire.Stanza, t *target) {
	c, get := &st.Children[0], string(st.Type) == "get"
	switch {
	case s.forbidden(st, c):
	case get && t.agent != nil && s.sees(t.agent) && (s.discover(st, c, t) || s.othersRequest(st, c, t.agent)):
	case get && string(c.Space) == im.NSDiscoItems:
		s.answer(st, im.AppendItems(nil, string(st.ChildAttr(c, "node")), nil))
	default:
		s.answerError(st, wire.StanzaError{Condition: wire.ServiceUnavailable})
	}
}
