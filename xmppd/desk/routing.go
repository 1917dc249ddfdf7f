package desk

import (
	"cmp"
	"slices"
	"time"

	"parley.im/parley/store"
)

// An Algorithm says who is asked before whom.
type Algorithm string

// The algorithms.
const (
	Broadcast   Algorithm = "broadcast"    // all at once
	SkillBased  Algorithm = "skill-based"  // who knows most of what is liked
	RoundRobin  Algorithm = "round-robin"  // one by one, who was given something longest ago
	LeastLoaded Algorithm = "least-loaded" // who has least to do
	Dynamic     Algorithm = "dynamic"      // by weights of all three
)

// Weights say what counts how much for Dynamic; any scale will do.
type Weights struct{ Load, Idle, Tags float64 }

// idleFull is after how long without a new contact an agent has waited long enough.
const idleFull = 10 * time.Minute

// score is how well it would be to ask her: 1 first of all, 0 last.
func (s *Settings) score(w *worker, wants *Wants, now time.Time) float64 {
	load := 1 - float64(w.busy())/float64(max(s.LimitOf(&w.Agent), 1))
	idle := min(float64(now.Sub(w.since))/float64(idleFull), 1)
	switch s.Algorithm {
	case SkillBased:
		return liked(w, wants)
	case RoundRobin:
		return idle
	case LeastLoaded:
		return max(load, 0)
	case Dynamic:
		sum := s.Weights.Load + s.Weights.Idle + s.Weights.Tags
		if sum <= 0 {
			return 1
		}
		return (s.Weights.Load*max(load, 0) + s.Weights.Idle*idle + s.Weights.Tags*liked(w, wants)) / sum
	}
	return 1
}

// liked is the share of the liked tags that she has.
func liked(w *worker, wants *Wants) float64 {
	if len(wants.Liked) == 0 {
		return 1
	}
	n := 0
	for _, t := range wants.Liked {
		if slices.Contains(w.Tags, t) {
			n++
		}
	}
	return float64(n) / float64(len(wants.Liked))
}

// LimitOf is how many conversations an agent has at a time.
func (s *Settings) LimitOf(a *Agent) int {
	if a.Limit > 0 {
		return a.Limit
	}
	return s.Limit
}

// exclusive says whether one agent is asked at a time.
func (s *Settings) exclusive() bool { return s.Exclusive || s.Algorithm == RoundRobin }

// first is the group of those who are to be asked first. The list is not empty.
func (s *Settings) first(list []*worker, wants *Wants, now time.Time) (asked []store.AgentID) {
	if s.exclusive() {
		best := slices.MinFunc(list, func(x, y *worker) int {
			return cmp.Or(cmp.Compare(s.score(y, wants, now), s.score(x, wants, now)), x.since.Compare(y.since), cmp.Compare(x.ID, y.ID))
		})
		return []store.AgentID{best.ID}
	}
	best := s.Steps
	for _, w := range list {
		switch step := s.step(s.score(w, wants, now)); {
		case step < best:
			best, asked = step, []store.AgentID{w.ID}
		case step == best:
			asked = append(asked, w.ID)
		}
	}
	return asked
}

// step is the group that a score is in, from 0.
func (s *Settings) step(score float64) int {
	return min(int((1-score)*float64(s.Steps)), s.Steps-1)
}
