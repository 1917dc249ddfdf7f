package xmppd

import (
	"context"
	"errors"
	"slices"

	"mellium.im/xmpp/jid"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// pageBytes bounds one page of an archive, beside the number of its results.
const pageBytes = 1 << 20

// archive answers an archive query of the agent's own archive (XEP-0313).
func (s *Session) archive(st *wire.Stanza, c *wire.Child, set bool) {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	switch name := string(c.Name); {
	case name == "query" && !set:
		s.answer(st, []byte(im.ArchiveForm))
	case name == "metadata" && !set:
		s.archiveMetadata(ctx, st)
	case name == "query":
		p, err := s.parsePage(ctx, st, c)
		var refused wire.StanzaError
		switch {
		case errors.As(err, &refused):
			s.answerError(st, refused)
		case err != nil:
			s.answerError(st, s.storeError(err))
		default:
			s.pullLater(p)
		}
	default:
		s.answerError(st, wire.StanzaError{Condition: wire.ServiceUnavailable})
	}
}

// An archivePage is a page of an archive on its way to a client.
type archivePage struct {
	session *Session
	query   im.Query
	page    store.Page
	peer    string
	none    bool // nothing can match
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
	limit := s.server.config.ArchivePage
	if q.Max >= 0 {
		limit = min(q.Max, limit)
	}
	p.page = store.Page{Agent: s.agent.id, Start: q.Start, End: q.End, Max: limit, Backwards: q.Last}
	for _, id := range []struct {
		text  string
		set   *store.Ordinal
		later bool
	}{{q.After, &p.page.After, true}, {q.AfterID, &p.page.After, true}, {q.Before, &p.page.Before, false}, {q.BeforeID, &p.page.Before, false}} {
		if id.text == "" {
			continue
		}
		o, err := s.ordinal(ctx, id.text)
		if err != nil {
			return nil, err
		}
		if *id.set == 0 || id.later == (o > *id.set) {
			*id.set = o
		}
	}
	if q.With != "" {
		if err := p.with(ctx, q.With); err != nil {
			return nil, err
		}
	}
	return p, nil
}

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
		return 0, wire.StanzaError{Condition: wire.ItemNotFound, Text: "no message with this id in this archive"}
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
	peer := a.agent(j.Localpart())
	if j.Domainpart() != a.domain || peer == nil {
		p.none = true
		return nil
	}
	// A bare JID matches all its resources, a full one itself (XEP-0313 §4.1.1).
	if j.Resourcepart() != "" {
		p.peer = j.String()
	}
	p.page.With, err = a.store.FindDirect(ctx, s.agent.id, peer.id)
	if errors.Is(err, store.ErrNotFound) {
		p.none, err = true, nil
	}
	return err
}

// pull reads the page and writes it, the end of the answer last.
func (p *archivePage) pull() ([]item, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	items, fin, err := p.read(ctx)
	if err != nil {
		e := p.session.storeError(err)
		var refused wire.StanzaError
		if errors.As(err, &refused) {
			e = refused
		}
		b := wire.AppendOpen(nil, wire.IQ, wire.Attrs{Type: "error", ID: p.iq.ID, To: p.session.address, From: string(p.iq.To)})
		return []item{{data: wire.AppendClose(e.AppendTo(b), wire.IQ), stanza: true}}, true
	}
	end := item{data: p.session.result(p.iq, im.AppendFin(nil, fin)), stanza: true}
	end.seenFrom, end.ordinal = p.seen(items, fin)
	for i := range items {
		items[i].ordinal = 0
	}
	return append(items, end), true
}

// read collects one page.
func (p *archivePage) read(ctx context.Context) ([]item, im.Fin, error) {
	g, fin := p.session.agent, im.Fin{Count: -1}
	if p.none {
		return nil, im.Fin{Complete: true, Count: 0}, nil
	}
	st := g.account.store
	if p.page.Max == 0 {
		n, err := st.Count(ctx, p.page)
		fin.Count = n
		fin.Complete = n == 0
		return nil, fin, err
	}
	var items []item
	size := 0
	full := false
	add := func(e *store.Entry) error {
		if e.Locked || e.Kind != store.KindMessage {
			return nil
		}
		m, err := store.ParseMessage(e.Data)
		if err != nil || p.peer != "" && m.From != p.peer && m.To != p.peer {
			return err
		}
		data := im.AppendResult(make([]byte, 0, len(e.Data)+2*stanzaOverhead), &g.viewer, p.session.address, p.query.ID, e, &m)
		items = append(items, item{data: data, ordinal: e.Ordinal, stanza: true})
		if size += len(data); size <= pageBytes || len(items) == 1 {
			return nil
		}
		full = true
		if p.page.Backwards { // the newest ones are wanted
			size -= len(items[0].data)
			items = items[1:]
			return nil
		}
		return errEnough
	}
	var err error
	if len(p.query.IDs) > 0 {
		err = p.readIDs(ctx, add)
		fin.Complete = !full
	} else {
		fin.Complete, err = st.Page(ctx, p.page, add)
	}
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fin, err
	}
	fin.Complete = fin.Complete && !full
	if n := len(items); n > 0 {
		fin.First, fin.Last = g.viewer.ID(items[0].ordinal), g.viewer.ID(items[n-1].ordinal)
	}
	if fin.Complete && p.page.After == 0 && p.page.Before == 0 {
		fin.Count = len(items)
	}
	if p.query.Flip { // XEP-0313 §4.4: within the page only
		slices.Reverse(items)
	}
	return items, fin, nil
}

var errEnough = errors.New("page is full")

// readIDs reads single messages; one that is not there fails all (XEP-0313 §4.1.4).
func (p *archivePage) readIDs(ctx context.Context, add func(*store.Entry) error) error {
	var list []store.Ordinal
	for _, id := range p.query.IDs {
		o, err := p.session.ordinal(ctx, id)
		if err != nil {
			return err
		}
		list = append(list, o)
	}
	slices.Sort(list)
	return p.session.agent.account.store.Entries(ctx, slices.Compact(list), add)
}

// seen is the range of the log that this page shows without a gap, so that it need
// not be offered again as offline messages (rule 23); zero if there is none.
func (p *archivePage) seen(items []item, fin im.Fin) (from, to store.Ordinal) {
	q := &p.query
	if len(items) == 0 || q.With != "" || len(q.IDs) > 0 || !q.Start.IsZero() || !q.End.IsZero() {
		return 0, 0
	}
	first, last := items[0].ordinal, items[len(items)-1].ordinal
	if first > last {
		first, last = last, first
	}
	if !p.page.Backwards {
		first = p.page.After + 1
	}
	return first, last
}

// archiveMetadata tells the first and the last message (XEP-0313 §5).
func (s *Session) archiveMetadata(ctx context.Context, st *wire.Stanza) {
	var ends [2]*store.Entry
	for i := range ends {
		_, err := s.agent.account.store.Page(ctx, store.Page{Agent: s.agent.id, Max: 1, Backwards: i == 1},
			func(e *store.Entry) error {
				ends[i] = &store.Entry{Ordinal: e.Ordinal, At: e.At}
				return nil
			})
		if err != nil {
			s.answerError(st, s.storeError(err))
			return
		}
	}
	s.answer(st, im.AppendMetadata(nil, &s.agent.viewer, ends[0], ends[1]))
}

// A drain reads what was said to an agent while no device of hers took it, and
// hands it to one (XEP-0160; rule 23).
type drain struct {
	session *Session
	agent   *agent
	after   store.Ordinal // read up to here
	from    store.Ordinal // what is newer came while draining, and is for this device anyway
}

// drainPage is how many messages are read at a time.
const drainPage = 100

func (d *drain) pull() ([]item, bool) {
	g := d.agent
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	g.mu.Lock()
	if g.drainer != d.session {
		g.mu.Unlock()
		return nil, true
	}
	newest := g.delivery.Newest()
	g.mu.Unlock()

	var items []item
	read, size := 0, 0
	last := d.after
	err := g.account.store.Inbox(ctx, g.id, d.after, drainPage, func(e *store.Entry) error {
		// What is committed but not dispatched yet is the dispatcher's to hand out.
		if e.Ordinal > newest || size > pageBytes {
			return errEnough
		}
		read++
		last = e.Ordinal
		if e.Locked {
			return nil
		}
		m, err := store.ParseMessage(e.Data)
		if err != nil {
			return err
		}
		data := im.AppendOffline(make([]byte, 0, len(e.Data)+stanzaOverhead), &g.viewer, e, &m)
		size += len(data)
		items = append(items, item{data: data, ordinal: e.Ordinal, at: e.At.UnixMilli(), stanza: true})
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		d.session.log().Error("offline messages cannot be read", "err", err)
		g.mu.Lock()
		g.drainer = nil
		g.mu.Unlock()
		return nil, true
	}
	if read < drainPage && err == nil {
		last = newest // that was all
	}
	d.after = max(d.after, last)

	g.mu.Lock()
	defer g.mu.Unlock()
	kept := items[:0]
	for _, it := range items {
		if it.ordinal > d.from || g.delivery.Wanted(it.ordinal) {
			g.delivery.Held(it.ordinal)
			kept = append(kept, it)
		}
	}
	done := g.delivery.Drained(d.after)
	if done {
		g.drainer = nil
	}
	g.account.touched(g)
	return kept, done
}
