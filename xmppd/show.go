package xmppd

import (
	"cmp"
	"crypto/tls"
	"net/netip"
	"slices"
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// A SessionInfo is a session as those are shown it who look after the agent.
type SessionInfo struct {
	ID, Resource string
	Since        time.Time // when it was bound; zero if before the server's start
	Connected    bool      // else it waits to be resumed
	From         netip.Addr
	TLS          string // version and cipher suite
	Credential   int64  // what it was signed in with; 0 is not known
	Agent        userAgent
}

// A userAgent is what a client says of itself (XEP-0388 §2.3): for people to recognize it by, and
// no more to be believed than a resource.
type userAgent struct{ Software, Device string }

// maxAgentWord is how much of that is kept of each, in bytes.
const maxAgentWord = 100

func parseUserAgent(st *wire.Stanza, c *wire.Child) userAgent {
	var said struct {
		Software string `xml:"software"`
		Device   string `xml:"device"`
	}
	if st.Decode(c, &said) != nil {
		return userAgent{} // nothing depends on it
	}
	return userAgent{agentWord(said.Software), agentWord(said.Device)}
}

func agentWord(text string) string {
	text = strings.TrimSpace(text)
	return strings.ToValidUTF8(text[:min(len(text), maxAgentWord)], "")
}

// Sessions shows an agent's sessions, by their ids.
func (s *Server) Sessions(accountID string, g store.Agent) (all []SessionInfo) {
	for _, session := range s.sessionsOf(accountID, g) {
		all = append(all, session.show())
	}
	slices.SortFunc(all, func(a, b SessionInfo) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (s *Session) show() SessionInfo {
	info := SessionInfo{ID: s.id, Resource: s.resource, Credential: s.credential.Load(), Agent: s.clientSays}
	if s.bound != 0 {
		info.Since = time.UnixMilli(s.bound).UTC()
	}
	s.mu.Lock()
	e := s.epoch
	s.mu.Unlock()
	if e == nil {
		return info
	}
	info.Connected, info.From = true, remoteIP(e.conn.RemoteAddr())
	if conn, ok := e.conn.(*tls.Conn); ok {
		state := conn.ConnectionState()
		info.TLS = tls.VersionName(state.Version) + ", " + tls.CipherSuiteName(state.CipherSuite)
	}
	return info
}

// EndSession ends one of an agent's sessions, for good, and says whether there was one. Nothing
// keeps its client from signing in again.
func (s *Server) EndSession(accountID string, g store.Agent, id string) bool {
	for _, session := range s.sessionsOf(accountID, g) {
		if session.id == id {
			session.end(endedSession)
			return true
		}
	}
	return false
}

// RFC 6120 §4.9.3.14: a client need not come back at once.
var endedSession = wire.StreamError{Condition: wire.PolicyViolation, Text: "this session was ended by whoever looks after the agent"}

func (s *Server) sessionsOf(accountID string, g store.Agent) []*Session {
	if a := s.accountByID(accountID); a != nil {
		if agent := a.agentOf(g); agent != nil {
			return agent.list()
		}
	}
	return nil
}
