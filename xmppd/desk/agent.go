package desk

import (
	"slices"
	"time"

	"parley.im/parley/store"
)

// An Agent is what the desk is told of one.
type Agent struct {
	ID    store.AgentID
	Name  string
	Tags  []string // what she knows; Settings.Agents comes before that ...
	Limit int      // ... and before this: conversations at a time; 0 is as many as the account says
	Here  bool     // she has a client that is connected, or may come back in a moment
	Takes bool     // ... and it says that she is available
}

// A Standing is what the desk knows of an agent's work.
type Standing struct {
	Agent
	Paused string // why she takes nothing, if she said so or was made to; else ""
	Has    []store.ConversationID
	Load   float64 // 1 is as many as she may have
}

// A worker is an agent at the desk.
type worker struct {
	Agent         // with what is set for her
	told    Agent // ... and without
	paused  string
	readied time.Time // when it began that she can be asked
	since   time.Time // when she was given something last; before that, when she came
	gone    time.Time // when she left, while she has something
	has     map[store.ConversationID]*live
	asked   map[store.ConversationID]*live
	removed bool // she is no more, and so is this once she has nothing
}

// busy is how many conversations count: those in which somebody talks, and what she
// alone is asked.
func (w *worker) busy() (n int) {
	for _, l := range w.has {
		if l.placed.State != Idle {
			n++
		}
	}
	for _, l := range w.asked {
		if l.placed.Offer.Exclusive {
			n++
		}
	}
	return n
}

// ready says whether she can be asked at all.
func (w *worker) ready() bool { return w.Here && w.Takes && w.paused == "" }

// can says whether she has all that is wanted.
func (w *worker) can(wants *Wants) bool {
	if wants.Agent != 0 && wants.Agent != w.ID {
		return false
	}
	for _, t := range wants.Tags {
		if !slices.Contains(w.Tags, t) {
			return false
		}
	}
	return true
}
