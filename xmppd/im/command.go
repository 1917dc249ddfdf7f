package im

import (
	"strings"

	"parley.im/parley/xmppd/wire"
)

// NSCommands is XEP-0050 §2's, and the node under which commands are listed.
const NSCommands = "http://jabber.org/protocol/commands"

// A CommandRequest is what a client asks of a command (XEP-0050 §2.4).
type CommandRequest struct {
	Node, Session string
	Cancel        bool
	Filled        map[string]string // the form that was sent; nil if there is none
}

type commandXML struct {
	Node    string   `xml:"node,attr"`
	Session string   `xml:"sessionid,attr"`
	Action  string   `xml:"action,attr"`
	Form    *formXML `xml:"jabber:x:data x"`
}

// maxCommandSession bounds what is repeated in the answer, in bytes.
const maxCommandSession = 64

// ParseCommand reads one. What it refuses is a wire.StanzaError.
func ParseCommand(st *wire.Stanza, c *wire.Child) (r CommandRequest, err error) {
	var x commandXML
	if err := st.Decode(c, &x); err != nil || len(x.Session) > maxCommandSession {
		return r, wire.StanzaError{Condition: wire.BadRequest}
	}
	r.Node, r.Session = x.Node, x.Session
	switch x.Action {
	case "", "execute", "next", "complete":
	case "cancel":
		r.Cancel = true
	case "prev": // each has one stage
		return r, wire.StanzaError{Condition: wire.BadRequest, App: "<bad-action xmlns='" + NSCommands + "'/>"}
	default:
		return r, wire.StanzaError{Condition: wire.BadRequest, App: "<malformed-action xmlns='" + NSCommands + "'/>"}
	}
	if x.Form != nil { // XEP-0050 §3.5: whatever its type
		r.Filled = make(map[string]string)
		for _, f := range x.Form.Fields {
			r.Filled[f.Var] = strings.TrimSpace(strings.Join(f.Values, "\n"))
		}
	}
	return r, nil
}

// A CommandField is one line of a command's form.
type CommandField struct {
	Var, Label string
	Required   bool
}

// AppendCommandForm asks for what a command needs to know (XEP-0050 §2.4.2).
func AppendCommandForm(b []byte, node, session, title string, fields []CommandField) []byte {
	b = openCommand(b, node, session, "executing")
	b = append(b, "<actions execute='complete'><complete/></actions><x xmlns='"+nsForm+"' type='form'><title>"...)
	b = append(wire.AppendText(b, title), "</title>"...)
	for _, f := range fields {
		b = wire.AppendAttr(append(b, "<field type='text-single'"...), "var", f.Var)
		b = append(wire.AppendAttr(b, "label", f.Label), '>')
		if f.Required {
			b = append(b, "<required/>"...)
		}
		b = append(b, "</field>"...)
	}
	return append(b, "</x></command>"...)
}

// AppendCommandDone says how it went. Failed says that it did not.
func AppendCommandDone(b []byte, node, session, text string, failed bool) []byte {
	b = openCommand(b, node, session, "completed")
	if text != "" {
		kind := "info"
		if failed {
			kind = "error"
		}
		b = append(b, "<note type='"+kind+"'>"...)
		b = append(wire.AppendText(b, text), "</note>"...)
	}
	return append(b, "</command>"...)
}

// AppendCommandCanceled is the answer to a cancellation.
func AppendCommandCanceled(b []byte, node, session string) []byte {
	return append(openCommand(b, node, session, "canceled"), "</command>"...)
}

func openCommand(b []byte, node, session, status string) []byte {
	b = append(b, "<command xmlns='"+NSCommands+"'"...)
	b = wire.AppendAttr(b, "node", node)
	b = wire.AppendAttr(b, "sessionid", session)
	return append(wire.AppendAttr(b, "status", status), '>')
}

// A CommandItem is a command in the list of them.
type CommandItem struct{ Node, Name string }

// AppendCommands lists an entity's commands (XEP-0050 §2.2).
func AppendCommands(b []byte, jid string, list []CommandItem) []byte {
	b = append(b, "<query xmlns='"+NSDiscoItems+"' node='"+NSCommands+"'>"...)
	for _, c := range list {
		b = wire.AppendAttr(append(b, "<item"...), "jid", jid)
		b = wire.AppendAttr(b, "node", c.Node)
		b = append(wire.AppendAttr(b, "name", c.Name), "/>"...)
	}
	return append(b, "</query>"...)
}

// CommandInfo is what a command says of itself (XEP-0050 §2.3); the empty name is the list's.
func CommandInfo(name string) *Info {
	id := Identity{Category: "automation", Type: "command-node", Name: name}
	if name == "" {
		id.Type, id.Name = "command-list", "Commands"
	}
	return &Info{Identities: []Identity{id}, Features: []string{NSCommands, nsForm}}
}
