package storetest

import (
	"fmt"
	"testing"
	"time"

	"parley.im/parley/store"
)

// What is old of an endpoint's dead letters and delivery log goes; what still waits, and what is
// newer, stays.
func oldDeliveriesAreForgotten(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	const days = 1200 // more than are deleted at a time
	at := func(day int) time.Time { return start.Add(time.Duration(day) * 24 * time.Hour) }
	for _, id := range []string{"wh_1", "wh_2"} {
		must(t, a.AddEndpoint(d.ctx, store.Endpoint{ID: id, Created: start}))
		p := store.Progress{Endpoint: id}
		for day := range days {
			o := store.Ordinal(day + 1)
			p.Attempts = append(p.Attempts, store.Attempt{ID: fmt.Sprint("dlv_", id, day), Ordinal: o, At: at(day)})
			p.Retries = append(p.Retries, store.Retry{Ordinal: o, Attempt: 10, First: at(day)})
		}
		p.Retries = append(p.Retries, store.Retry{Ordinal: days + 1, Attempt: 1, First: start, Next: start})
		must(t, a.Advance(d.ctx, p))
	}
	const left = 10
	n, err := d.ForgetDeliveries(d.ctx, at(days-left))
	must(t, err)
	want(t, "how much was forgotten", n, 2*2*(days-left))
	d = newDesk(t, reopen())
	for _, id := range []string{"wh_1", "wh_2"} {
		dead, err := d.DeadLetters(d.ctx, id, time.Time{})
		must(t, err)
		log, err := d.Attempts(d.ctx, id, 2*days)
		must(t, err)
		waiting, err := d.Retries(d.ctx, id)
		must(t, err)
		want(t, "dead letters, attempts and rows that wait", fmt.Sprint(len(dead), len(log), len(waiting)), fmt.Sprint(left, left, 1))
		want(t, "the oldest dead letter", dead[0], store.Ordinal(days-left+1))
	}
	n, err = d.ForgetDeliveries(d.ctx, at(days-left))
	must(t, err)
	want(t, "how much is forgotten then", n, 0)
}
