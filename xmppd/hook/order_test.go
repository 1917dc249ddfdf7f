package hook

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
)

// A picky receiver refuses some texts for so many times, takes a while for each, and notes
// what it took, and what came while something else of that conversation was there.
type picky struct {
	mu      sync.Mutex
	refuses map[string]int // -1 is always
	took    []string
	there   map[string]int // by the first letter of the text, which is the conversation's
	crowded []string
}

func (p *picky) answer(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Data struct {
			Message struct{ Text string }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	text := body.Data.Message.Text
	p.mu.Lock()
	line := text[:1]
	if p.there[line]++; p.there[line] > 1 {
		p.crowded = append(p.crowded, text)
	}
	p.mu.Unlock()
	<-time.After(10 * time.Millisecond)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.there[line]--
	if p.refuses[text] != 0 {
		p.refuses[text]--
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	p.took = append(p.took, text)
	w.WriteHeader(http.StatusNoContent)
}

// of is what it took of a conversation.
func (p *picky) of(line string) (list []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, text := range p.took {
		if strings.HasPrefix(text, line) {
			list = append(list, text)
		}
	}
	return list
}

func inOrder(t *testing.T, f func(s *stage, p *picky, other store.Conversation)) {
	t.Helper()
	inBubble(t, func(t *testing.T, s *stage) {
		s.changed(func(e *store.Endpoint) { e.InOrder = true })
		p := &picky{refuses: make(map[string]int), there: make(map[string]int)}
		s.say(p.answer)
		f(s, p, s.m.between("carl", "dora"))
		if len(p.crowded) > 0 {
			t.Errorf("came while another of the conversation was there: %q", p.crowded)
		}
	})
}

func texts(line string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("%s%03d", line, i))
	}
	return list
}

// Where order is wanted the events of a conversation come one after the other, those behind
// one that failed after it; another conversation does not wait for them.
func TestOrderOfAConversation(t *testing.T) {
	inOrder(t, func(s *stage, p *picky, other store.Conversation) {
		p.refuses["a001"] = 2
		_, stop := start(t, s.c, desk(s.m))
		a, b := texts("a", 200), texts("b", 200)
		s.m.say(a...)
		s.m.sayIn(other, b...)
		pass(4 * time.Second)
		if got := p.of("a"); !slices.Equal(got, a[:1]) {
			t.Errorf("behind what failed came %q", got)
		}
		if got := p.of("b"); !slices.Equal(got, b) {
			t.Errorf("of the other conversation came %d of %d: %q", len(got), len(b), got)
		}
		// A restart changes nothing.
		stop()
		_, stop = start(t, s.c, desk(s.m))
		defer stop()
		pass(20 * time.Minute)
		if got := p.of("a"); !slices.Equal(got, a) {
			t.Errorf("in the end came %q", got)
		}
	})
}

// What is never taken holds up its conversation for an hour, and no longer.
func TestOrderParksWhatNobodyTakes(t *testing.T) {
	inOrder(t, func(s *stage, p *picky, _ store.Conversation) {
		p.refuses["a001"] = -1
		_, stop := start(t, s.c, desk(s.m))
		defer stop()
		a := texts("a", 150)
		s.m.say(a...)
		pass(50 * time.Minute)
		if got := p.of("a"); len(got) != 1 {
			t.Errorf("within an hour came %q", got)
		}
		pass(20 * time.Minute)
		if got, want := p.of("a"), slices.Concat(a[:1], a[2:]); !slices.Equal(got, want) {
			t.Errorf("after that came %q", got)
		}
	})
}

// However conversations mix and fail, and the sender is started again: nothing is lost, and
// each conversation's events are taken in their order.
func TestOrderHoldsAtRandom(t *testing.T) {
	for round := range 10 {
		inOrder(t, func(s *stage, p *picky, other store.Conversation) {
			lines := map[string]store.Conversation{"a": s.m.pair, "b": other, "c": s.m.between("emil", "fee")}
			said := make(map[string][]string)
			_, stop := start(t, s.c, desk(s.m))
			for range 30 {
				for line, c := range lines {
					n := rand.IntN(4)
					var list []string
					for range n {
						list = append(list, fmt.Sprintf("%s%03d", line, len(said[line])+len(list)))
					}
					p.mu.Lock()
					for _, text := range list {
						p.refuses[text] = max(0, rand.IntN(12)-9)
					}
					p.mu.Unlock()
					s.m.sayIn(c, list...)
					said[line] = append(said[line], list...)
				}
				pass(time.Duration(rand.IntN(2000)) * time.Millisecond)
				if rand.IntN(6) == 0 {
					stop()
					_, stop = start(t, s.c, desk(s.m))
				}
			}
			pass(4 * time.Hour)
			stop()
			for line := range lines {
				got := slices.Compact(p.of(line)) // what was taken just before a restart may come again
				if !slices.Equal(got, said[line]) {
					t.Errorf("round %d: %s: %d were said, and %q came", round, line, len(said[line]), got)
				}
			}
		})
	}
}
