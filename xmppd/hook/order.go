package hook

import (
	"context"
	"slices"
	"time"

	"parley.im/parley/store"
)

// parkAfter is how long an event may fail before those behind it go ahead of it.
const parkAfter = time.Hour

// An order has the events of a conversation sent one after the other, for an endpoint that
// wants them so; nil is no order. It knows every event that is not settled yet.
type order struct {
	lines map[store.ConversationID][]*job // by ordinal
}

func byOrdinal(a *job, o store.Ordinal) int { return int(a.ordinal - o) }

func (o *order) join(j *job) {
	if o == nil {
		return
	}
	line := o.lines[j.conversation]
	i, _ := slices.BinarySearchFunc(line, j.ordinal, byOrdinal)
	o.lines[j.conversation] = slices.Insert(line, i, j)
}

func (o *order) leave(j *job) {
	if o == nil {
		return
	}
	line := o.lines[j.conversation]
	i, found := slices.BinarySearchFunc(line, j.ordinal, byOrdinal)
	if !found {
		return
	}
	if line = slices.Delete(line, i, i+1); len(line) == 0 {
		delete(o.lines, j.conversation)
		return
	}
	o.lines[j.conversation] = line
}

// ready says whether it may be the event's turn: none of its conversation is on its way, and
// none before it is still to come.
func (o *order) ready(j *job, now time.Time) bool {
	if o == nil {
		return true
	}
	for _, other := range o.lines[j.conversation] {
		before := other.ordinal < j.ordinal
		if other.flying && other != j || before && !other.parked(now) {
			return false
		}
	}
	return true
}

// behind says whether an event stands behind one that failed, which may take long.
func (o *order) behind(j *job) bool {
	return o != nil && slices.ContainsFunc(o.lines[j.conversation], func(other *job) bool {
		return other.row && other.ordinal < j.ordinal
	})
}

// parked says that an event has failed for so long that it holds up nobody any more.
func (j *job) parked(now time.Time) bool {
	return j.row && !j.first.IsZero() && now.Sub(j.first) >= parkAfter
}

// putOff makes rows of the events in the window that stand behind one that failed, so that
// they do not keep others from being read.
func (w *worker) putOff(due time.Time) {
	if w.order == nil {
		return
	}
	for _, j := range w.window {
		if j.settled || j.flying || !w.order.behind(j) {
			continue
		}
		j.settled = true
		w.order.leave(j)
		w.addRow(&job{ordinal: j.ordinal, conversation: j.conversation, due: due, row: true})
		w.live++
		w.progress.Retries = append(w.progress.Retries, store.Retry{Endpoint: w.endpoint.ID, Ordinal: j.ordinal, Next: due})
		w.saveWithin(settleAfter)
	}
}

func (w *worker) addRow(j *job) {
	w.rows.add(j)
	w.order.join(j)
}

// lineUp finds out whose conversations rows belong to, which they do not say.
func (w *worker) lineUp(ctx context.Context, rows []*job) error {
	if w.order == nil || len(rows) == 0 {
		return nil
	}
	byOrdinal := make(map[store.Ordinal]*job, len(rows))
	var ordinals []store.Ordinal
	for _, j := range rows {
		byOrdinal[j.ordinal] = j
		ordinals = append(ordinals, j.ordinal)
	}
	err := w.store.Entries(ctx, ordinals, func(e *store.Entry) error {
		if j := byOrdinal[e.Ordinal]; j != nil {
			j.conversation = e.Conversation
		}
		return nil
	})
	if gone(err) {
		err = nil // what was destroyed is settled when its turn comes
	}
	return err
}
