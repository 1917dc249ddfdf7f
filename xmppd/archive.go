package xmppd

import (
	"context"
	"errors"
	"math"

	"mellium.im/xmpp/jid"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// archive answers an archive query of the agent's own archive (XEP-0313).
func (s *Session) archive(st *wire.Stanza, c *wire.Child, set bool) {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	switch name := string(c.Name); {
	case name == "query" && !set:
		s.answer(st, []byte(im.ArchiveForm))
	case name == "metadata" && !set:
		s.archiveMetadata(ctx, st)
	case name == "prefs":
		if err := s.archivePreferences(ctx, st, c, set); err != nil {
			s.answerError(st, s.asRefused(err))
		}
	case name == "query":
		p, err := s.parsePage(ctx, st, c)
		if err != nil {
			s.answerError(st, s.asRefused(err))
			return
		}
		s.pullLater(p)
	default:
		s.answerError(st, wire.StanzaError{Condition: wire.ServiceUnavailable})
	}
}

// An archivePage is a page of an archive on its way to a client.
type archivePage struct {
	session *Session
	query   im.Query
	all     store.Page // what the filters leave
	page    store.Page // the part of it that was asked for
	peer    string     // only what was said from or to this full JID
	none    bool       // nothing can match
	iq      *wire.Stanza
}

// parsePage looks up what a query names. Unknown ids are item-not-found, as are
// those of other archives (rules 40, 41).
func (s *Session) parsePage(ctx context.Context, st *wire.Stanza, c *wire.Child) (*archivePage, error) {
	q, err := im.ParseQuery(st, c)
	if err != nil {
		return nil, err
	}
	p := &archivePage{session: s, query: q, iq: &wire.Stanza{ID: clone(st.ID), To: clone(st.To)}}
	p.all = store.Page{Agent: s.agent.id, Start: q.Start, End: q.End, Max: math.MaxInt}
	if p.all.Except, err = s.agent.hidden(ctx); err != nil {
		return nil, err
	}
	if err := s.between(ctx, &p.all, q.AfterID, q.BeforeID); err != nil {
		return nil, err
	}
	if q.With != "" {
		if err := p.with(ctx, q.With); err != nil {
			return nil, err
		}
	}
	p.page = p.all
	p.page.Max, p.page.Backwards = s.server.config.ArchivePage, q.Last
	if q.Max >= 0 {
		p.page.Max = min(q.Max, p.page.Max)
	}
	return p, s.between(ctx, &p.page, q.After, q.Before)
}

// between narrows a page to what lies between two archive ids.
func (s *Session) between(ctx context.Context, p *store.Page, after, before string) error {
	if after != "" {
		o, err := s.ordinal(ctx, after)
		if err != nil {
			return err
		}
		p.After = max(p.After, o)
	}
	if before != "" {
		o, err := s.ordinal(ctx, before)
		if err != nil {
			return err
		}
		if p.Before == 0 || o < p.Before {
			p.Before = o
		}
	}
	return nil
}

var errNoMessage = wire.StanzaError{Condition: wire.ItemNotFound, Text: "no message with this id in this archive"}

// ordinal is the record behind an archive id that this agent may use.
func (s *Session) ordinal(ctx context.Context, id string) (store.Ordinal, error) {
	st := s.agent.account.store
	o, err := st.ParseArchiveID(s.agent.id, id)
	if err == nil {
		var visible bool
		if visible, err = st.Visible(ctx, s.agent.id, o); err == nil && !visible {
			err = store.ErrNotFound
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return 0, errNoMessage
	}
	return o, err
}

func (p *archivePage) with(ctx context.Context, with string) error {
	s := p.session
	j, err := jid.Parse(with)
	if err != nil {
		return wire.StanzaError{Condition: wire.JIDMalformed}
	}
	a := s.agent.account
	if a.support.serves(j.Domainpart()) {
		return p.withVisitor(ctx, j.Localpart())
	}
	peer := a.agent(j.Localpart())
	if j.Domainpart() != a.domain || peer == nil {
		p.none = true
		return nil
	}
	// A bare JID matches all its resources, a full one itself (XEP-0313 §4.1.1).
	if j.Resourcepart() != "" {
		p.peer = j.String()
	}
	p.all.With, err = a.store.FindDirect(ctx, s.agent.id, peer.id)
	if errors.Is(err, store.ErrNotFound) {
		p.none, err = true, nil
	}
	return err
}

// withVisitor narrows it to one contact. One that the agent does not see has nothing for her.
func (p *archivePage) withVisitor(ctx context.Context, local string) error {
	c, err := p.session.agent.account.store.ContactAt(ctx, local)
	if errors.Is(err, store.ErrNotFound) {
		p.none, err = true, nil
	}
	p.all.With = c.ID
	return err
}

// archiveMetadata tells the first and the last message (XEP-0313 §5).
func (s *Session) archiveMetadata(ctx context.Context, st *wire.Stanza) {
	m, err := s.metadata(ctx)
	if err != nil {
		s.answerError(st, s.storeError(err))
		return
	}
	s.answer(st, m)
}

func (s *Session) metadata(ctx context.Context) ([]byte, error) {
	hidden, err := s.agent.hidden(ctx)
	if err != nil {
		return nil, err
	}
	var ends [2]*store.Entry
	for i := range ends {
		_, err := s.agent.account.store.Page(ctx, store.Page{Agent: s.agent.id, Except: hidden, Max: 1, Backwards: i == 1},
			func(e *store.Entry) error {
				ends[i] = &store.Entry{Ordinal: e.Ordinal, At: e.At}
				return nil
			})
		if err != nil {
			return nil, err
		}
	}
	return im.AppendMetadata(nil, &s.agent.viewer, ends[0], ends[1]), nil
}
