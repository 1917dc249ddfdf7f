package xmppd

import (
	"context"
	"strings"

	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
)

// banVisitor bans the visitor of a contact that the agent has, or had last, and closes it (WCP-8).
func (o *order) banVisitor() (string, error) {
	text, why, _ := strings.Cut(o.args, " ")
	term, ok := contact.ParseTerm(strings.ToLower(text))
	switch {
	case !ok:
		return "For how long? !ban 1h, 1d, 1w or 1mo, and why if you like", nil
	case o.support.ban == nil:
		return "Nobody can be banned here.", nil
	case o.contact.Owner != o.agent.id || !o.contact.State.Owned() && o.contact.State != desk.Closed:
		return "", desk.ErrNotYours
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	// While the contact is open it is known where the visitor writes from.
	if err := o.support.ban(ctx, o.agent.id, o.show().From, o.contact.Address, term); err != nil {
		o.log().Error("a visitor is not banned", "err", err)
		return "That did not work: the visitor is not banned.", nil
	}
	reply := "Banned for " + text + ". A supervisor can end that."
	if o.contact.State == desk.Closed {
		return reply, nil
	}
	return reply, wait(func(done desk.Done) { o.support.contacts.Close(o.contact.ID, o.agent.id, strings.TrimSpace(why), done) })
}
