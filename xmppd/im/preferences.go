package im

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mellium.im/xmpp/jid"

	"parley.im/parley/xmppd/wire"
)

// Preferences say which conversations an agent's archive has (XEP-0441). They concern
// her own view: what is hidden stays in the log, and is shown again when they change.
type Preferences struct {
	Default string   // "always", "never" or "roster"
	Always  []string // bare JIDs, prepared, in order; none of them in Never
	Never   []string
}

// maxPreferred is how many JIDs preferences can name.
const maxPreferred = 1000

// ShowAll says that nothing is hidden.
func (p *Preferences) ShowAll() bool {
	return (p.Default == "" || p.Default == "always") && len(p.Never) == 0
}

// Shows says whether the archive has the conversation with a bare JID; inRoster tells who
// is in the agent's roster.
func (p *Preferences) Shows(bare string, inRoster func(bare string) bool) bool {
	if _, never := slices.BinarySearch(p.Never, bare); never {
		return false
	}
	if _, always := slices.BinarySearch(p.Always, bare); always {
		return true
	}
	return p.Default == "always" || p.Default == "roster" && inRoster(bare)
}

// ParsePreferences reads preferences as a client wants them. Conversations are shown or
// hidden whole, so that of each JID its bare form counts; of one that is to be always
// and never shown, the latter. The answer says so. What it refuses is a
// wire.StanzaError.
func ParsePreferences(st *wire.Stanza, c *wire.Child) (p Preferences, err error) {
	prefs, err := st.Open(c)
	if err != nil {
		return p, wire.StanzaError{Condition: wire.BadRequest}
	}
	p.Default = string(prefs.Attr("default"))
	switch p.Default {
	case "always", "never", "roster":
	default:
		return p, wire.StanzaError{Condition: wire.BadRequest, Text: "default is always, never or roster"} // XEP-0441 §2.1.1
	}
	always, never := make(map[string]bool), make(map[string]bool)
	for k := range prefs.Children {
		e := &prefs.Children[k]
		switch {
		case string(e.Space) != NSArchive:
		case string(e.Name) == "always":
			err = bares(always, prefs, e)
		case string(e.Name) == "never":
			err = bares(never, prefs, e)
		}
		if err != nil {
			return p, err
		}
	}
	maps.DeleteFunc(always, func(j string, _ bool) bool { return never[j] })
	if len(always)+len(never) > maxPreferred {
		return p, wire.StanzaError{Condition: wire.PolicyViolation, Text: fmt.Sprintf("no more than %d addresses can be named", maxPreferred)}
	}
	p.Always, p.Never = slices.Sorted(maps.Keys(always)), slices.Sorted(maps.Keys(never))
	return p, nil
}

// bares adds the JIDs of a list to a set.
func bares(set map[string]bool, prefs *wire.Stanza, c *wire.Child) error {
	list, err := prefs.Open(c)
	if err != nil {
		return wire.StanzaError{Condition: wire.BadRequest}
	}
	for k := range list.Children {
		e := &list.Children[k]
		if string(e.Name) != "jid" || string(e.Space) != NSArchive {
			continue
		}
		j, err := jid.Parse(strings.TrimSpace(list.Text(e)))
		if err != nil {
			return wire.StanzaError{Condition: wire.JIDMalformed}
		}
		set[j.Bare().String()] = true
	}
	return nil
}

// AppendPreferences writes preferences (XEP-0441 §2.1).
func AppendPreferences(b []byte, p *Preferences) []byte {
	b = append(b, "<prefs xmlns='"+NSArchive+"'"...)
	b = wire.AppendAttr(b, "default", p.Default)
	b = append(b, "><always>"...)
	b = appendJIDs(b, p.Always)
	b = append(b, "</always><never>"...)
	b = appendJIDs(b, p.Never)
	return append(b, "</never></prefs>"...)
}

func appendJIDs(b []byte, jids []string) []byte {
	for _, j := range jids {
		b = append(b, "<jid>"...)
		b = wire.AppendText(b, j)
		b = append(b, "</jid>"...)
	}
	return b
}
