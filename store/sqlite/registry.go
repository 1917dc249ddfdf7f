package sqlite

import (
	"sync"
	"weak"

	"parley.im/parley/store"
)

// recentMax is how many conversations stay open though nobody holds them.
const recentMax = 512

// A pair is the two agents of a direct conversation, the lower id first. The journal's
// is zero.
type pair struct{ a, b store.AgentID }

func pairOf(x, y store.AgentID) pair { return pair{min(x, y), max(x, y)} }

// pairID stands for a conversation where a pair is wanted; no agent's id is negative.
func pairID(id store.ConversationID) pair { return pair{-1, store.AgentID(id)} }

// agents is how many the pair is.
func (p pair) agents() int64 {
	if p.a == p.b {
		return 1
	}
	return 2
}

// each calls do for each agent of the pair; the journal has none.
func (p pair) each(do func(store.AgentID) error) error {
	if p.a == 0 {
		return nil
	}
	if err := do(p.a); err != nil || p.a == p.b {
		return err
	}
	return do(p.b)
}

// A registry knows the open conversations, so that all who want one get the same. It
// holds the recent ones; others are open as long as somebody holds them.
type registry struct {
	mu      sync.Mutex
	byID    map[store.ConversationID]weak.Pointer[conversation]
	byPair  map[pair]weak.Pointer[conversation]
	swept   int // how many there were after the last sweep
	recent  []*conversation
	next    int
	opening map[pair]*opening
}

// An opening is under way; those who want the same wait for it.
type opening struct {
	done chan struct{}
	c    *conversation
	err  error
}

func (r *registry) pair(p pair) *conversation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return live(r.byPair[p])
}

func (r *registry) id(id store.ConversationID) *conversation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return live(r.byID[id])
}

// live is what a weak pointer points to, unless it is gone or shredded.
func live(w weak.Pointer[conversation]) *conversation {
	if c := w.Value(); c != nil && !c.shredded.Load() {
		return c
	}
	return nil
}

// add makes c the open conversation of its id, and answers it.
func (r *registry) add(c *conversation) *conversation {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = make(map[store.ConversationID]weak.Pointer[conversation])
		r.byPair = make(map[pair]weak.Pointer[conversation])
	}
	r.sweep()
	w := weak.Make(c)
	r.byID[c.id] = w
	if c.nature == store.Direct {
		r.byPair[pair{c.a, c.b}] = w
	}
	if len(r.recent) < recentMax {
		r.recent = append(r.recent, c)
		return c
	}
	r.recent[r.next] = c
	r.next = (r.next + 1) % recentMax
	return c
}

// sweep forgets conversations that are not open any more, now and then.
func (r *registry) sweep() {
	if len(r.byID) < 2*max(r.swept, recentMax) {
		return
	}
	for id, w := range r.byID {
		if w.Value() == nil {
			delete(r.byID, id)
		}
	}
	for p, w := range r.byPair {
		if w.Value() == nil {
			delete(r.byPair, p)
		}
	}
	r.swept = len(r.byID)
}

// leave forgets an agent's conversations as places to look them up. Who holds one
// goes on holding the only one.
func (r *registry) leave(agent store.AgentID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.byPair {
		if p.a == agent || p.b == agent {
			delete(r.byPair, p)
		}
	}
}

// unpair forgets a conversation as a place to look it up by its agents.
func (r *registry) unpair(p pair) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byPair, p)
}

// once runs open unless somebody does already for the same pair, whose result is
// then the answer.
func (r *registry) once(p pair, open func() (*conversation, error)) (*conversation, error) {
	r.mu.Lock()
	if o, ok := r.opening[p]; ok {
		r.mu.Unlock()
		<-o.done
		return o.c, o.err
	}
	if c := live(r.byPair[p]); c != nil {
		r.mu.Unlock()
		return c, nil
	}
	o := &opening{done: make(chan struct{})}
	if r.opening == nil {
		r.opening = make(map[pair]*opening)
	}
	r.opening[p] = o
	r.mu.Unlock()

	o.c, o.err = open()
	r.mu.Lock()
	delete(r.opening, p)
	r.mu.Unlock()
	close(o.done)
	return o.c, o.err
}

// rest lets go of the recent ones.
func (r *registry) rest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.recent)
	r.recent, r.next = r.recent[:0], 0
}
