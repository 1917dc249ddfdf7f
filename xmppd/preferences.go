package xmppd

import (
	"context"
	"encoding/json"
	"fmt"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// preferences are the agent's of her archive (XEP-0441): as long as she has said nothing
// it has everything.
func (g *agent) preferences(ctx context.Context) (*im.Preferences, error) {
	if p := g.archived.Load(); p != nil {
		return p, nil
	}
	p := im.Preferences{Default: "always"}
	err := g.account.store.OwnOf(ctx, g.id, store.OwnPreferences, func(_ string, value []byte) error {
		return json.Unmarshal(value, &p)
	})
	if err != nil {
		return nil, fmt.Errorf("read preferences: %w", err)
	}
	g.archived.CompareAndSwap(nil, &p)
	return g.archived.Load(), nil
}

// archivePreferences gives the preferences, or keeps others and says what they are now
// (XEP-0441 §2.1).
func (s *Session) archivePreferences(ctx context.Context, st *wire.Stanza, c *wire.Child, set bool) error {
	p, err := s.agent.preferences(ctx)
	if set {
		p, err = s.agent.changePreferences(st, c)
	}
	if err != nil {
		return err
	}
	s.answer(st, im.AppendPreferences(nil, p))
	return nil
}

func (g *agent) changePreferences(st *wire.Stanza, c *wire.Child) (*im.Preferences, error) {
	p, err := im.ParsePreferences(st, c)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("keep preferences: %w", err)
	}
	g.changing.Lock()
	defer g.changing.Unlock()
	if err := g.keep(store.Own{Agent: g.id, Part: store.OwnPreferences, Value: text}); err != nil {
		return nil, err
	}
	g.archived.Store(&p)
	return &p, nil
}

// hidden are the conversations that the agent does not want in her archive. They stay in
// the log, in webhooks and in the other's archive, and what waits for her still comes.
func (g *agent) hidden(ctx context.Context) (list []store.ConversationID, err error) {
	p, err := g.preferences(ctx)
	if err != nil || p.ShowAll() {
		return nil, err
	}
	err = g.account.store.Directs(ctx, g.id, func(peer string, id store.ConversationID) error {
		if !p.Shows(g.account.bare(peer), g.inRoster) {
			list = append(list, id)
		}
		return nil
	})
	return list, err
}

// inRoster says whether a bare JID is in the agent's roster: a colleague's is, and her
// own. She has sessions.
func (g *agent) inRoster(bare string) bool {
	v := g.view()
	return bare == g.bare || v.team.find(bare) != nil || v.roster.Contact(bare) != nil
}
