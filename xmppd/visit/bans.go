package visit

import (
	"net/netip"
	"slices"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
)

// banned says whether somebody is.
func (a *account) banned(kind contact.BanKind, value string) bool { return a.Bans.Has(kind, value) }

// Whence is where a contact was opened, if that is remembered, and where it is open now, as bans
// have it: IPv4 addresses, and the first 64 bits of those of IPv6.
func (s *Server) Whence(account string, id store.ConversationID) []netip.Prefix {
	a := s.account(account)
	if a == nil {
		return nil
	}
	where := a.lineAddresses(id)
	if from, ok := s.crowd.whence(opened{a, id}); ok && !slices.Contains(where, from) {
		where = append(where, from)
	}
	return where
}

// cutBanned ends the connections of all who are banned.
func (a *account) cutBanned() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.talks {
		for _, l := range t.lines {
			if a.banned(contact.BanVisitor, t.visitor) || a.banned(contact.BanAddress, l.from.String()) {
				l.end(byeBanned)
			}
		}
	}
}

// lineAddresses are where a contact is open.
func (a *account) lineAddresses(id store.ConversationID) (list []netip.Prefix) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.talks[id]; t != nil {
		for _, l := range t.lines {
			list = append(list, l.from)
		}
	}
	return list
}
