package sqlite

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// A sight is what one agent may see of one conversation, as the headers had it when they
// were read.
type sight struct {
	chain
	first     int64 // the conversation's first ordinal
	others    int64 // records that are no messages
	low, high int64 // n, inclusive: what she may see
	self      bool  // she talks to herself
}

// A view is all that an agent may see, as of some moment. It never changes.
type view struct {
	byFirst []*sight             // by their first ordinals
	byLast  []*sight             // by their last ones, the newest first
	records int64                // of these that she may see
	notes   store.ConversationID // where she talks to herself, if she does
}

func firstOf(x, y *sight) int { return cmp.Compare(x.first, y.first) }
func lastOf(x, y *sight) int  { return cmp.Compare(y.last, x.last) }

// with is a view that knows some conversations anew: those in stale are forgotten, and
// fresh are what they are now.
func (v *view) with(stale map[store.ConversationID]bool, fresh []*sight) *view {
	known := func(s *sight) bool { return stale[s.id] }
	w := &view{byFirst: slices.DeleteFunc(slices.Clone(v.byFirst), known), byLast: slices.DeleteFunc(slices.Clone(v.byLast), known)}
	if len(fresh) > freshMax {
		w.byFirst, w.byLast = append(w.byFirst, fresh...), append(w.byLast, fresh...)
		slices.SortFunc(w.byFirst, firstOf)
		slices.SortFunc(w.byLast, lastOf)
		fresh = nil
	}
	for _, s := range fresh {
		i, _ := slices.BinarySearchFunc(w.byFirst, s, firstOf)
		w.byFirst = slices.Insert(w.byFirst, i, s)
		i, _ = slices.BinarySearchFunc(w.byLast, s, lastOf)
		w.byLast = slices.Insert(w.byLast, i, s)
	}
	for _, s := range w.byFirst {
		w.records += s.high - s.low + 1
		if s.self {
			w.notes = s.id
		}
	}
	return w
}

// viewsMax is how many sights are kept for an account, some 5 MiB; more only where one
// agent alone has more. freshMax is how many are better read one by one than all anew.
const (
	viewsMax = 1 << 16
	freshMax = 64
)

// views keeps the views of agents who have read lately: the headers of ten thousand
// conversations take far longer to read than a page of them. The writer says which
// conversations have changed, and only those are read again.
type views struct {
	mu   sync.Mutex
	of   map[store.AgentID]*viewing
	size int // sights in all of them
}

// A viewing is one agent's view on its way from one state to the next.
type viewing struct {
	reading sync.Mutex // held while the headers are read; taken before views.mu

	// Guarded by views.mu.
	view  *view                         // nil if it must be read whole
	stale map[store.ConversationID]bool // what has changed since
}

// view is what an agent may see now: at least all that was committed before the call.
func (a *Account) view(ctx context.Context, agent store.AgentID) (*view, error) {
	w := a.views.viewing(agent)
	w.reading.Lock()
	defer w.reading.Unlock()
	v, stale := a.views.take(w)
	if v != nil && len(stale) == 0 {
		return v, nil
	}
	if v == nil || len(stale) > freshMax {
		v, stale = &view{}, nil
	}
	var fresh []*sight
	err := a.read(ctx, func(db *conn.Conn) (err error) {
		fresh, err = sights(db, agent, stale)
		return err
	})
	if err != nil {
		return nil, err // what was known is forgotten
	}
	v = v.with(stale, fresh)
	a.views.put(agent, w, v)
	return v, nil
}

// viewOf is what an agent may see of a few conversations.
func (a *Account) viewOf(ctx context.Context, agent store.AgentID, some ...store.ConversationID) (*view, error) {
	var found []*sight
	err := a.read(ctx, func(db *conn.Conn) (err error) {
		found, err = sights(db, agent, setOf(some))
		return err
	})
	if err != nil {
		return nil, err
	}
	return new(view).with(nil, found), nil
}

const selectSights = `SELECT c.id, m.first_n, m.last_n, c.n, c.first, c.last, c.others, c.a = c.b, c.gone
FROM member m
JOIN conversation c ON c.id = m.conversation
WHERE m.agent = +? AND NOT m.hidden AND c.shredded = 0 AND c.last > 0 AND c.nature >= +?`

// sights reads what an agent may see of some conversations; of all if some is nil.
func sights(db *conn.Conn, agent store.AgentID, some map[store.ConversationID]bool) (all []*sight, err error) {
	add := func(r conn.Row) error {
		s := &sight{chain: chain{id: store.ConversationID(r.Int(0)), n: r.Int(3), last: r.Int(5), gone: r.Int(8)},
			low: max(r.Int(1), r.Int(8)+1), high: r.Int(3), first: r.Int(4), others: r.Int(6), self: r.Int(7) != 0}
		if to := r.Int(2); to != 0 {
			s.high = min(s.high, to)
		}
		if s.low <= s.high {
			all = append(all, s)
		}
		return nil
	}
	if some == nil {
		err = db.Query(selectSights, []any{int64(agent), int(store.Direct)}, add)
		return all, err
	}
	for id := range some {
		if err := db.Query(selectSights+" AND m.conversation = +?", []any{int64(agent), int(store.Direct), int64(id)}, add); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// viewing is where an agent's view is kept.
func (v *views) viewing(agent store.AgentID) *viewing {
	v.mu.Lock()
	defer v.mu.Unlock()
	w := v.of[agent]
	if w == nil {
		w = new(viewing)
		if v.of == nil {
			v.of = make(map[store.AgentID]*viewing)
		}
		v.of[agent] = w
	}
	return w
}

// take answers what is known, and what of that is out of date. If anything is, it is
// taken away, to be put back when it is up to date; what changes from here on is noted
// for the next time.
func (v *views) take(w *viewing) (known *view, stale map[store.ConversationID]bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	known, stale = w.view, w.stale
	if known != nil && len(stale) > 0 {
		v.size -= known.size()
		w.view = nil
	}
	w.stale = nil
	return known, stale
}

// put keeps a view, unless views were forgotten meanwhile. Any others make room.
func (v *views) put(agent store.AgentID, w *viewing, known *view) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of[agent] != w {
		return
	}
	w.view = known
	v.size += known.size()
	for agent, other := range v.of {
		if v.size <= viewsMax {
			break
		}
		if other != w && other.view != nil {
			v.size -= other.view.size()
			delete(v.of, agent)
		}
	}
}

// size is about how much a view takes, in sights.
func (v *view) size() int { return len(v.byFirst) + 4 }

// changed notes that the headers of conversations have changed. The commit is done, and
// nobody has been told of it yet.
func (v *views) changed(all ...*conversation) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range all {
		if c.nature != store.Support {
			v.stale(c.id, c.a, c.b)
			continue
		}
		v.stale(c.id, c.seers...)
	}
}

// stale notes that agents see something else of a conversation; v.mu is held.
func (v *views) stale(id store.ConversationID, agents ...store.AgentID) {
	for _, agent := range agents {
		w := v.of[agent]
		if w == nil {
			continue
		}
		if w.stale == nil {
			w.stale = make(map[store.ConversationID]bool)
		}
		w.stale[id] = true
	}
}

// admitted notes who sees contacts from here on, and who does no more.
func (v *views) admitted(all []*contactChange) {
	if len(all) == 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, ch := range all {
		for _, agent := range ch.See {
			if !slices.Contains(ch.c.seers, agent) {
				ch.c.seers = append(ch.c.seers, agent)
			}
		}
		for _, agents := range [...][]store.AgentID{ch.See, ch.Stop, ch.Hide} {
			v.stale(ch.ID, agents...)
		}
	}
}

// leave forgets an agent's view.
func (v *views) leave(agent store.AgentID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if w := v.of[agent]; w != nil && w.view != nil {
		v.size -= w.view.size()
	}
	delete(v.of, agent)
}

// forget empties the cache.
func (v *views) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.of, v.size = nil, 0
}
