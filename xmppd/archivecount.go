package xmppd

import (
	"context"
	"errors"
	"slices"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
)

// position says where a page of n stands in all that matches, as far as that need not
// be counted by reading it (XEP-0059 §2.2).
func (p *archivePage) position(ctx context.Context, fin *im.Fin, n int) (err error) {
	begins := p.page.After == p.all.After && (!p.page.Backwards || fin.Complete)
	ends := p.page.Before == p.all.Before && (p.page.Backwards || fin.Complete)
	q := &p.query
	switch {
	case begins && ends:
		fin.Count = n
	case p.all.With != 0 && p.peer == "" && len(q.IDs) == 0 && q.Start.IsZero() && q.End.IsZero():
		fin.Count, err = p.count(ctx)
	}
	switch {
	case begins:
		fin.Index = 0
	case ends && fin.Count >= 0:
		fin.Index = fin.Count - n
	}
	return err
}

// count is how many messages the filters leave.
func (p *archivePage) count(ctx context.Context) (int, error) {
	st := p.session.agent.account.store
	if p.peer == "" && len(p.query.IDs) == 0 {
		return st.Count(ctx, p.all)
	}
	n := 0
	add := func(e *store.Entry) error {
		if e.Locked || e.Kind != store.KindMessage {
			return nil
		}
		m, err := store.ParseMessage(e.Data)
		if err == nil && p.matches(e, &m) {
			n++
		}
		return err
	}
	if len(p.query.IDs) > 0 {
		err := p.readIDs(ctx, p.all, add)
		return n, err
	}
	_, err := st.Page(ctx, p.all, add)
	return n, err
}

// readIDs reads single messages, those within a page's ends. One that is not there, or
// not there any more, or is hidden, fails all (XEP-0313 §4.1.3).
func (p *archivePage) readIDs(ctx context.Context, within store.Page, add func(*store.Entry) error) error {
	var list []store.Ordinal
	for _, id := range p.query.IDs {
		o, err := p.session.ordinal(ctx, id)
		if err != nil {
			return err
		}
		list = append(list, o)
	}
	slices.Sort(list)
	list = slices.Compact(list)
	found, full := 0, false
	err := p.session.agent.account.store.Entries(ctx, list, func(e *store.Entry) error {
		if e.Locked || slices.Contains(within.Except, e.Conversation) {
			return nil
		}
		found++
		if full || e.Ordinal <= within.After || within.Before != 0 && e.Ordinal >= within.Before {
			return nil
		}
		err := add(e)
		full = errors.Is(err, errEnough)
		if full {
			return nil
		}
		return err
	})
	if err == nil && found < len(list) {
		return errNoMessage
	}
	return err
}
