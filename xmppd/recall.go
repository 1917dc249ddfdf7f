package xmppd

import (
	"context"
	"slices"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// recallMax is how many messages an agent is shown of what was said before she came.
const recallMax = 20

// recall shows an agent who has come into a contact with this change what was said before and she has not heard: with
// the ids that it has, and as of then (XEP-0203), so that neither her client nor her archive has it twice.
func (p *support) recall(ch *desk.Change, id store.AgentID) {
	if !ch.Is.With(id) || ch.Was == nil || ch.Was.With(id) {
		return
	}
	g, kept := p.account.byID(id), ch.Kept.(contact.Records)
	if g == nil || len(kept) == 0 {
		return
	}
	page := store.Page{Agent: id, With: ch.Is.ID, Before: kept[0].Ordinal, Max: recallMax, Backwards: true}
	if ch.Was.OfferedTo(id) {
		page.End = ch.Was.Offer.Since // from then on she has read along
	} else if since := p.since(id); !since.IsZero() && len(ch.Was.Legs) > 0 { // and so has she who watches all chats, while she is here
		g.mu.Lock()
		if g.came.After(since) {
			since = g.came
		}
		g.mu.Unlock()
		if page.End = since; ch.Was.Legs[0].From.After(since) {
			page.End = ch.Was.Legs[0].From
		}
	}
	for _, leg := range slices.Backward(ch.Was.Legs) {
		if leg.Agent == id { // it was hers before
			page.Start = leg.To
			break
		}
	}
	question := ""
	if len(ch.Was.Legs) == 0 {
		question = ch.Was.Question // which the offer has begun with
	}
	p.account.server.aside(func() { // or not at all, where the server ends
		ctx, cancel := context.WithTimeout(context.Background(), storeWait)
		defer cancel()
		if err := p.recalled(ctx, g, page, question); err != nil {
			p.account.log.Warn("an agent is not shown what was said before", "agent", g.name, "err", err)
		}
	})
}

func (p *support) recalled(ctx context.Context, g *agent, page store.Page, question string) error {
	var list [][]byte
	_, err := p.account.store.Page(ctx, page, func(e *store.Entry) error {
		if e.Kind != store.KindMessage || e.Locked {
			return nil
		}
		m, err := store.ParseMessage(e.Data)
		if err != nil {
			return nil // it is told where it is verified
		}
		if question != "" && im.MessageText(&m) == question {
			question = ""
			return nil
		}
		list = append(list, g.recalled(&m, e))
		return nil
	})
	for _, data := range list {
		g.hear(data)
	}
	return err
}

// recalled is a record as it was said, for an agent who was not there.
func (g *agent) recalled(m *store.Message, e *store.Entry) []byte {
	seen := g.viewer.Seen(e.Actor, m)
	b := im.AppendStanzaID(inside(&seen, g.bare), g.bare, g.viewer.ID(e.Ordinal))
	return wire.AppendClose(im.AppendDelay(b, g.account.support.host, e.At), wire.Message)
}
