package xmppd

import (
	"context"
	"errors"
	"slices"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
)

// roomResults is how many results share memory, which is held until the last of them is
// acknowledged.
const roomResults = 32

// pageBytes bounds one page of an archive, beside the number of its results.
const pageBytes = 1 << 20

// pull reads the page and writes it, the end of the answer last.
func (p *archivePage) pull() (done bool) {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	items, fin, err := p.read(ctx)
	if err != nil {
		p.session.queuePulled([]item{p.refusal(err)})
		return true
	}
	end := item{data: p.session.result(p.iq, im.AppendFin(nil, fin)), stanza: true}
	end.seenFrom, end.ordinal = p.seen(items)
	for i := range items {
		items[i].ordinal = 0
	}
	p.session.queuePulled(append(items, end))
	return true
}

// refusal is the answer where there is no page.
func (p *archivePage) refusal(err error) item { return p.session.failed(p.iq, err) }

// read collects one page.
func (p *archivePage) read(ctx context.Context) (items []item, fin im.Fin, err error) {
	fin.Index, fin.Count = -1, -1
	switch {
	case p.none:
		fin.Complete, fin.Count = true, 0
		return nil, fin, nil
	case p.page.Max == 0:
		fin.Count, err = p.count(ctx)
		fin.Complete = fin.Count == 0
		return nil, fin, err
	}
	c := newCollector(p, p.page.Max)
	if fin.Complete, err = p.find(ctx, c); err != nil {
		return nil, fin, err
	}
	items = c.items
	v := &p.session.agent.viewer
	if n := len(items); n > 0 {
		fin.First, fin.Last = v.ID(items[0].ordinal), v.ID(items[n-1].ordinal)
	}
	if err := p.position(ctx, &fin, len(items)); err != nil {
		return nil, fin, err
	}
	if p.query.Flip { // XEP-0313 §4.3.4: within the page only
		slices.Reverse(items)
	}
	return items, fin, nil
}

// find collects what belongs on the page and says whether nothing more follows in its
// direction.
func (p *archivePage) find(ctx context.Context, c *collector) (complete bool, err error) {
	if p.peer != "" {
		c.max++ // the store does not know whether anything that follows matches
	}
	if len(p.query.IDs) > 0 {
		complete, err = true, p.readIDs(ctx, p.page, c.add)
	} else {
		complete, err = p.collect(ctx, c)
	}
	cut := c.cut(p.page.Max)
	return complete && !cut && !c.full, err
}

// A collector gathers the results of one page.
type collector struct {
	page    *archivePage
	results *im.Results
	max     int
	items   []item
	room    []byte // where results are written, some beside one another
	size    int
	full    bool // there was more than the page can hold
}

func newCollector(p *archivePage, max int) *collector {
	s := p.session
	return &collector{page: p, max: max, results: im.NewResults(&s.agent.viewer, s.address, p.query.ID)}
}

// collect reads until the page is full or there is no more: records that are not
// shown (another device's, or destroyed) make it no shorter.
func (p *archivePage) collect(ctx context.Context, c *collector) (complete bool, err error) {
	part := p.page
	part.Max = c.max
	for {
		var first, last store.Ordinal
		sub := newCollector(p, part.Max)
		complete, err = p.session.agent.account.store.Page(ctx, part, func(e *store.Entry) error {
			if first == 0 {
				first = e.Ordinal
			}
			last = e.Ordinal
			return sub.add(e)
		})
		if err != nil && !errors.Is(err, errEnough) {
			return false, err
		}
		c.join(sub, part.Backwards)
		switch {
		case c.full:
			return false, nil
		case complete || len(c.items) >= c.max || last == 0:
			return complete, nil
		case part.Backwards:
			part.Before = first
		default:
			part.After = last
		}
		part.Max = c.max - len(c.items)
	}
}

// join takes over what was found before (backwards) or behind what c has.
func (c *collector) join(o *collector, backwards bool) {
	switch {
	case len(c.items) == 0:
		c.items = o.items
	case backwards:
		c.items = append(o.items, c.items...)
	default:
		c.items = append(c.items, o.items...)
	}
	c.size += o.size
	c.full = c.full || o.full
	c.trim(backwards)
}

// add takes an entry, if it belongs to what was asked.
func (c *collector) add(e *store.Entry) error {
	if e.Locked || e.Kind != store.KindMessage {
		return nil
	}
	m, err := store.ParseMessage(e.Data)
	if err != nil || !c.page.matches(e, &m) {
		return err
	}
	if need := len(e.Data) + 2*stanzaOverhead; cap(c.room)-len(c.room) < need {
		c.room = make([]byte, 0, need*max(1, min(c.max-len(c.items), roomResults)))
	}
	begin := len(c.room)
	m = c.page.session.agent.viewer.Seen(e.Actor, &m)
	c.room = c.results.Append(c.room, e, &m)
	data := c.room[begin:len(c.room):len(c.room)]
	c.items = append(c.items, item{data: data, ordinal: e.Ordinal, stanza: true})
	c.size += len(data)
	backwards := c.page.page.Backwards
	c.trim(backwards)
	if c.full && !backwards {
		return errEnough
	}
	return nil
}

// trim drops what is over the page's size, but never all. Backwards, the newest are
// wanted.
func (c *collector) trim(backwards bool) {
	for c.size > pageBytes && len(c.items) > 1 {
		c.full = true
		drop := len(c.items) - 1
		if backwards {
			drop = 0
		}
		c.size -= len(c.items[drop].data)
		c.items = slices.Delete(c.items, drop, drop+1)
	}
}

// cut drops what is more than a page of max holds, and says whether there was any.
func (c *collector) cut(max int) bool {
	more := len(c.items) - max
	switch {
	case more <= 0:
		return false
	case c.page.page.Backwards:
		c.items = c.items[more:]
	default:
		c.items = c.items[:max]
	}
	return true
}

// matches says whether the query's filters let a message through that the store
// does not filter.
func (p *archivePage) matches(e *store.Entry, m *store.Message) bool {
	switch {
	case p.peer != "" && m.From != p.peer && m.To != p.peer:
		return false
	case len(p.query.IDs) == 0:
		return true
	}
	return (p.all.With == 0 || e.Conversation == p.all.With) &&
		(p.query.Start.IsZero() || !e.At.Before(p.query.Start)) && (p.query.End.IsZero() || !e.At.After(p.query.End))
}

var errEnough = errors.New("page is full")

// seen is the range of the log that this page shows without a gap, so that it need
// not be offered again as offline messages (rule 23); zero if there is none.
func (p *archivePage) seen(items []item) (from, to store.Ordinal) {
	q := &p.query
	if len(items) == 0 || len(p.page.Except) > 0 || q.With != "" || len(q.IDs) > 0 || !q.Start.IsZero() || !q.End.IsZero() {
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
