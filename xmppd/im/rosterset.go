package im

import (
	"fmt"
	"strings"

	"mellium.im/xmpp/jid"

	"parley.im/parley/xmppd/wire"
)

// What an item can hold.
const (
	maxGroups = 50
	maxLabel  = 1023 // bytes of a name or group, as of a JID's parts
)

// A RosterSet is what a client wants of one item of its roster (RFC 6121 §2.3, §2.4,
// §2.5).
type RosterSet struct {
	JID    string // bare, prepared
	Remove bool
	Name   string
	Groups []string
}

// ParseRosterSet reads the query of a roster set and says what is wrong with it, if
// something is (RFC 6121 §2.3.3; rule 24). What only the server decides ('ask',
// 'approved', and 'subscription' unless it says "remove") is not looked at.
func ParseRosterSet(st *wire.Stanza, query *wire.Child) (RosterSet, error) {
	var q struct {
		Items []struct {
			JID          string   `xml:"jid,attr"`
			Name         string   `xml:"name,attr"`
			Subscription string   `xml:"subscription,attr"`
			Groups       []string `xml:"jabber:iq:roster group"`
		} `xml:"jabber:iq:roster item"`
	}
	if err := st.Decode(query, &q); err != nil {
		return RosterSet{}, wire.StanzaError{Condition: wire.BadRequest}
	}
	if len(q.Items) != 1 {
		return RosterSet{}, wire.StanzaError{Condition: wire.BadRequest, Text: "a roster is changed one item at a time"}
	}
	item := q.Items[0]
	j, err := jid.Parse(item.JID)
	switch {
	case err != nil:
		return RosterSet{}, wire.StanzaError{Condition: wire.JIDMalformed}
	case j.Resourcepart() != "":
		return RosterSet{}, wire.StanzaError{Condition: wire.BadRequest, Text: "a contact's address has no resource"}
	}
	set := RosterSet{JID: j.String(), Remove: item.Subscription == "remove", Name: item.Name, Groups: item.Groups}
	if set.Remove {
		return set, nil
	}
	return set, set.check()
}

func (s *RosterSet) check() error {
	if len(s.Name) > maxLabel {
		return wire.StanzaError{Condition: wire.NotAcceptable, Text: fmt.Sprintf("a name is at most %d bytes long", maxLabel)}
	}
	if len(s.Groups) > maxGroups {
		return wire.StanzaError{Condition: wire.NotAcceptable, Text: fmt.Sprintf("a contact is in at most %d groups", maxGroups)}
	}
	seen := make(map[string]bool, len(s.Groups))
	for _, g := range s.Groups {
		switch {
		case strings.TrimSpace(g) == "":
			return wire.StanzaError{Condition: wire.NotAcceptable, Text: "a group has a name"}
		case len(g) > maxLabel:
			return wire.StanzaError{Condition: wire.NotAcceptable, Text: fmt.Sprintf("a group's name is at most %d bytes long", maxLabel)}
		case seen[g]:
			return wire.StanzaError{Condition: wire.BadRequest, Text: "a group is named twice"}
		}
		seen[g] = true
	}
	return nil
}
