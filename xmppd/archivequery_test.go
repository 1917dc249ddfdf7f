package xmppd

import (
	"fmt"
	"strings"
	"time"
)

// A modelQuery is a query as the model understands it.
type modelQuery struct {
	with             string
	start, end       time.Time
	afterID, before  string // the form's
	ids              []string
	form             string
	after, beforeRSM *string
	max              int // -1: not said
	flip             bool
}

func (m *archiveModel) someID() string { return m.all[m.rnd.IntN(len(m.all))].id }

// filters makes a random form.
func (m *archiveModel) filters() (q modelQuery) {
	q.max = -1
	var fields [][]string
	often := func(n int) bool { return m.rnd.IntN(n) == 0 }
	if often(2) {
		q.with = []string{"anna@desk.example", "anna@desk.example/a", "bob@desk.example", "bob@desk.example/a", "carol@desk.example/b", "dave@desk.example",
			"bob@desk.example/nowhere", "nobody@desk.example", "bob@shop.example", "desk.example"}[m.rnd.IntN(10)]
		fields = append(fields, []string{"with", strings.Replace(q.with, "bob@desk", "BOB@Desk", 1)})
	}
	at := func() time.Time {
		if often(2) {
			return m.all[m.rnd.IntN(len(m.all))].at
		}
		return modelStart.Add(time.Duration(m.rnd.IntN(32_000)-1000) * time.Millisecond)
	}
	if often(3) {
		q.start = at()
		fields = append(fields, []string{"start", q.start.Format(time.RFC3339Nano)})
	}
	if often(3) {
		q.end = at().Add(time.Duration(m.rnd.IntN(2)) * time.Microsecond)
		fields = append(fields, []string{"end", q.end.In(time.FixedZone("", -9000)).Format(time.RFC3339Nano)})
	}
	if often(4) {
		q.afterID = m.someID()
		fields = append(fields, []string{"after-id", q.afterID})
	}
	if often(4) {
		q.before = m.someID()
		fields = append(fields, []string{"before-id", q.before})
	}
	if often(4) {
		for range 1 + m.rnd.IntN(30) {
			if x := m.all[m.rnd.IntN(len(m.all))]; !x.shredded || often(100) {
				q.ids = append(q.ids, x.id)
			}
		}
		fields = append(fields, append([]string{"ids"}, q.ids...))
	}
	if len(fields) > 0 || often(2) {
		q.form = filter(fields...)
	}
	return q
}

// text is the query on the wire.
func (q *modelQuery) text() string {
	var b strings.Builder
	if q.max >= 0 {
		fmt.Fprintf(&b, "<max>%d</max>", q.max)
	}
	if q.after != nil {
		fmt.Fprintf(&b, "<after>%s</after>", *q.after)
	}
	if q.beforeRSM != nil {
		fmt.Fprintf(&b, "<before>%s</before>", *q.beforeRSM)
	}
	text := q.form
	if b.Len() > 0 {
		text += paged(b.String())
	}
	if q.flip {
		text += "<flip-page/>"
	}
	return text
}
