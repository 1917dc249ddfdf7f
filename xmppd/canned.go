package xmppd

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// canned says an answer that is ready, as if the agent had typed it: in a chat that is hers.
func (o *order) canned() (string, error) {
	all := o.support.contacts.Settings().Canned
	text, known := all[strings.ToLower(o.args)]
	switch {
	case len(all) == 0:
		return "There are no answers yet: whoever runs the server can add some ([[account.desk.canned]]).", nil
	case o.args == "":
		lines := []string{"Answers:"}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			lines = append(lines, "!c "+name+": "+im.OneLine(all[name], maxField))
		}
		return strings.Join(lines, "\n"), nil
	case !known:
		return "There is no such answer. !c lists what there is.", nil
	case !o.contact.With(o.agent.id):
		return "", desk.ErrNotYours
	}
	m := &contact.Message{At: time.Now(), Message: store.Message{Type: "chat", From: o.address, To: o.support.jid(o.contact), ID: rand.Text()}}
	m.OriginID = m.ID
	m.Inner = append(wire.AppendText([]byte("<body>"), text), "</body>"...)
	if err := o.say(o.contact, m, true); err != nil {
		return "", err
	}
	return "Said: " + text, nil
}
