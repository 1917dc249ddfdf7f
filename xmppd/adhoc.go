package xmppd

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"

	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// commands answers what a client with forms asks about the commands of a contact, or of the desk
// (XEP-0050); false if that was not the question. Each has one stage, so that nothing is to be
// remembered from one to the next.
func (s *Session) commands(st *wire.Stanza, child *wire.Child, table map[string]command, c *desk.Contact) bool {
	get, node := string(st.Type) == "get", string(st.ChildAttr(child, "node"))
	switch space := string(child.Space); {
	case get && space == im.NSDiscoItems && node == im.NSCommands:
		var list []im.CommandItem
		for _, name := range slices.Sorted(maps.Keys(table)) {
			list = append(list, im.CommandItem{Node: name, Name: table[name].about})
		}
		s.answer(st, im.AppendCommands(nil, string(st.To), list))
	case get && space == im.NSDiscoInfo && node == im.NSCommands:
		s.answer(st, im.CommandInfo("").Append(nil, node))
	case get && space == im.NSDiscoInfo && table[node].do != nil:
		s.answer(st, im.CommandInfo(table[node].about).Append(nil, node))
	case !get && space == im.NSCommands && string(child.Name) == "command":
		s.execute(st, child, table, c)
	default:
		return false
	}
	return true
}

// execute does a command, or asks for what it needs to know.
func (s *Session) execute(st *wire.Stanza, child *wire.Child, table map[string]command, c *desk.Contact) {
	r, err := im.ParseCommand(st, child)
	cmd, known := table[r.Node]
	switch {
	case err != nil:
		s.answerError(st, s.asRefused(err))
		return
	case !known:
		s.answerError(st, wire.StanzaError{Condition: wire.ItemNotFound, Text: "there is no such command"})
		return
	}
	if r.Session == "" {
		r.Session = rand.Text()[:12]
	}
	fields := cmd.fields()
	switch {
	case r.Cancel:
		s.answer(st, im.AppendCommandCanceled(nil, r.Node, r.Session))
		return
	case len(fields) > 0 && r.Filled == nil:
		s.answer(st, im.AppendCommandForm(nil, r.Node, r.Session, cmd.about, fields))
		return
	}
	o := &order{Session: s, support: s.agent.account.support, contact: c}
	for _, f := range fields {
		o.args = strings.TrimSpace(o.args + " " + r.Filled[f.Var])
	}
	reply, _, failed := o.run(table, r.Node)
	s.answer(st, im.AppendCommandDone(nil, r.Node, r.Session, reply, failed))
}

// fields are the lines of a command's form.
func (c command) fields() (list []im.CommandField) {
	for name := range strings.FieldsSeq(c.usage) {
		plain := strings.Trim(name, "[]")
		list = append(list, im.CommandField{Var: strings.Trim(strings.Split(plain, "|")[0], "@#"), Label: plain, Required: plain == name})
	}
	return list
}

// askDesk answers an iq to the desk itself.
func (s *Session) askDesk(st *wire.Stanza) {
	child := &st.Children[0]
	switch get := string(st.Type) == "get"; {
	case s.commands(st, child, controls, nil):
	case get && string(child.Space) == im.NSDiscoInfo:
		info := im.Info{Identities: []im.Identity{{Category: "client", Type: "bot", Name: "Desk"}}, Features: im.VisitorFeatures}
		s.answer(st, info.Append(nil, ""))
	case get && string(child.Space) == im.NSPing:
		s.answer(st, nil)
	default:
		s.answerError(st, wire.StanzaError{Condition: wire.ServiceUnavailable})
	}
}
