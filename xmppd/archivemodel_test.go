package xmppd

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// Random queries of a random archive, answered as going through all of it in the
// plainest way does. XEP-0313 §4, XEP-0059 §2; rule 40.
func TestArchiveAgainstModel(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m := newArchiveModel(t, rand.New(rand.NewPCG(seed, 0)))
			for range 400 {
				m.ask()
			}
			for range 15 {
				m.askForAll()
			}
		})
	}
}

// An archiveModel is an archive, and what is known of each message in it.
type archiveModel struct {
	t    *testing.T
	rnd  *rand.Rand
	anna *Session
	all  []modelMessage // in the order of the log
}

type modelMessage struct {
	id         string // the archive's
	name, peer string
	from, to   string
	at         time.Time
	shredded   bool
}

var modelStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newArchiveModel: Anna talks with two others and with herself, and with one whose
// conversation is shredded; others talk, too. Clocks went back now and then.
func newArchiveModel(t *testing.T, rnd *rand.Rand) *archiveModel {
	d := newOffice(t, "anna", "bob", "carol", "dave")
	m := &archiveModel{t: t, rnd: rnd, anna: d.device("anna", "laptop", "")}
	m.anna.server.config.ArchivePage = 7
	for i := range 120 {
		one, other := "anna", []string{"anna", "bob", "carol", "dave"}[rnd.IntN(4)]
		if rnd.IntN(6) == 0 {
			one = "bob"
		}
		if rnd.IntN(2) == 0 {
			one, other = other, one
		}
		device := func() string { return "/" + string("ab"[rnd.IntN(2)]) }
		x := modelMessage{name: fmt.Sprint("m", i), from: d.bare(one) + device(), to: d.bare(other), at: modelStart.Add(time.Duration(rnd.IntN(300)) * 100 * time.Millisecond)}
		if rnd.IntN(2) == 0 {
			x.to += device()
		}
		o := d.keep(one, other, store.Message{Type: "chat", From: x.from, To: x.to, ID: x.name, Inner: []byte("<body>Hello</body>")}, x.at)
		x.id, x.peer, x.shredded = m.anna.agent.viewer.ID(o), other, one == "dave" || other == "dave"
		if other == "anna" {
			x.peer = one
		}
		if one == "anna" || other == "anna" {
			m.all = append(m.all, x)
		}
	}
	dave, err := d.store.FindDirect(t.Context(), d.agent("anna").id, d.agent("dave").id)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.store.Shred(t.Context(), dave); err != nil {
		t.Fatal(err)
	}
	return m
}

// keep puts a message into the log as it is.
func (d *office) keep(one, other string, msg store.Message, at time.Time) store.Ordinal {
	d.t.Helper()
	c, err := d.store.Direct(d.t.Context(), d.agent(one).id, d.agent(other).id)
	if err != nil {
		d.t.Fatal(err)
	}
	done := make(chan struct{})
	b := &store.Batch{Done: func(*store.Batch) { close(done) }, Ops: []store.Op{{
		Conversation: c, Kind: store.KindMessage, Actor: d.agent(one).id, At: at, Data: store.AppendMessage(nil, &msg),
	}}}
	d.store.Append(b)
	if <-done; b.Err != nil {
		d.t.Fatal(b.Err)
	}
	return b.Ops[0].Ordinal
}

// index is where a message stands in the archive.
func (m *archiveModel) index(id string) int {
	return slices.IndexFunc(m.all, func(x modelMessage) bool { return x.id == id })
}

// matches is the plain rule.
func (m *archiveModel) matches(q *modelQuery, i int) bool {
	x := &m.all[i]
	bare, device, _ := strings.Cut(q.with, "/")
	switch {
	case x.shredded, q.with != "" && bare != x.peer+"@desk.example", device != "" && x.from != q.with && x.to != q.with:
		return false
	case !q.start.IsZero() && x.at.Before(q.start), !q.end.IsZero() && x.at.After(q.end):
		return false
	case q.afterID != "" && i <= m.index(q.afterID), q.before != "" && i >= m.index(q.before):
		return false
	}
	return len(q.ids) == 0 || slices.Contains(q.ids, x.id)
}

// want is what the archive must answer: the page's places among all that match.
func (m *archiveModel) want(q *modelQuery) (set, page []int, complete bool) {
	for i := range m.all {
		if m.matches(q, i) {
			set = append(set, i)
		}
	}
	rest := slices.Clone(set)
	if q.after != nil && *q.after != "" {
		rest = slices.DeleteFunc(rest, func(i int) bool { return i <= m.index(*q.after) })
	}
	if q.beforeRSM != nil && *q.beforeRSM != "" {
		rest = slices.DeleteFunc(rest, func(i int) bool { return i >= m.index(*q.beforeRSM) })
	}
	limit := m.anna.server.config.ArchivePage
	if q.max >= 0 {
		limit = min(limit, q.max)
	}
	page = rest[:min(limit, len(rest))]
	if q.beforeRSM != nil {
		page = rest[len(rest)-len(page):]
	}
	if limit == 0 { // only counted
		return set, page, len(set) == 0
	}
	return set, page, len(page) == len(rest)
}

// ask asks one random question and compares.
func (m *archiveModel) ask() {
	m.t.Helper()
	q := m.filters()
	pick := func() *string {
		id := []string{"", m.someID()}[m.rnd.IntN(2)]
		return &id
	}
	if m.rnd.IntN(3) == 0 {
		q.after = pick()
	}
	if m.rnd.IntN(3) == 0 {
		q.beforeRSM = pick()
	}
	if m.rnd.IntN(2) == 0 {
		q.max = m.rnd.IntN(10)
	}
	q.flip = m.rnd.IntN(4) == 0
	m.compare(&q)
}

// compare asks q, and says what is not as it should be.
func (m *archiveModel) compare(q *modelQuery) answer {
	m.t.Helper()
	got := m.anna.queries(m.t, q.text())
	set, page, complete := m.want(q)
	nobody := q.with != "" && !slices.ContainsFunc(m.all, func(x modelMessage) bool {
		return !x.shredded && strings.HasPrefix(q.with+"/", x.peer+"@desk.example/")
	})
	if m.asksForShredded(q) && !nobody {
		if got.refused != wire.ItemNotFound {
			m.t.Fatalf("%s: %q, want %s", q.text(), got.refused, wire.ItemNotFound)
		}
		return got
	}
	var ids, names, stamps []string
	for _, i := range page {
		ids, names, stamps = append(ids, m.all[i].id), append(names, m.all[i].name), append(stamps, m.all[i].at.Format("2006-01-02T15:04:05.000Z"))
	}
	first, last := "", ""
	if len(ids) > 0 {
		first, last = ids[0], ids[len(ids)-1]
	}
	if q.flip {
		slices.Reverse(ids)
		slices.Reverse(names)
		slices.Reverse(stamps)
	}
	if got.refused != "" || !slices.Equal(got.ids, ids) || !slices.Equal(got.messages, names) || !slices.Equal(got.stamps, stamps) {
		m.t.Fatalf("%s: %v %s, want %v of %d", q.text(), got.messages, got.refused, names, len(set))
	}
	if f := &got.fin; (f.Complete == "true") != complete || f.First.ID != first || f.Last != last {
		m.t.Fatalf("%s: fin %+v, want complete %t, from %q to %q", q.text(), *f, complete, first, last)
	}
	m.position(q, &got, set, page)
	return got
}

// asksForShredded says whether one of the ids is of a message that is there no more.
func (m *archiveModel) asksForShredded(q *modelQuery) bool {
	return slices.ContainsFunc(q.ids, func(id string) bool { return m.all[m.index(id)].shredded })
}

// position compares index and count, which may be left out where they would have to be
// counted.
func (m *archiveModel) position(q *modelQuery, got *answer, set, page []int) {
	m.t.Helper()
	f := &got.fin
	if f.Count != "" && f.Count != strconv.Itoa(len(set)) {
		m.t.Fatalf("%s: count %s, want %d", q.text(), f.Count, len(set))
	}
	whole := q.max == 0 || len(page) == len(set) && q.after == nil && q.beforeRSM == nil
	if whole && f.Count == "" {
		m.t.Fatalf("%s: no count, want %d", q.text(), len(set))
	}
	if len(page) == 0 {
		return
	}
	index := slices.Index(set, page[0])
	if f.First.Index != "" && f.First.Index != strconv.Itoa(index) {
		m.t.Fatalf("%s: index %s, want %d", q.text(), f.First.Index, index)
	}
	if q.after == nil && q.beforeRSM == nil && f.First.Index == "" {
		m.t.Fatalf("%s: no index, want %d", q.text(), index)
	}
}

// askForAll pages through all that matches, in both directions: each message comes
// once.
func (m *archiveModel) askForAll() {
	m.t.Helper()
	q := m.filters()
	if m.asksForShredded(&q) {
		return
	}
	set, _, _ := m.want(&q)
	var want, forwards, backwards []string
	for _, i := range set {
		want = append(want, m.all[i].id)
	}
	q.max = 1 + m.rnd.IntN(5)
	for after := ""; ; {
		q.after = &after
		a := m.compare(&q)
		forwards = append(forwards, a.ids...)
		if after = a.fin.Last; a.fin.Complete == "true" {
			break
		}
	}
	q.after = nil
	for before := ""; ; {
		q.beforeRSM = &before
		a := m.compare(&q)
		backwards = append(slices.Clone(a.ids), backwards...)
		if before = a.fin.First.ID; a.fin.Complete == "true" {
			break
		}
	}
	if !slices.Equal(forwards, want) || !slices.Equal(backwards, want) {
		m.t.Fatalf("%s: forwards %d, backwards %d, want %d", q.form, len(forwards), len(backwards), len(want))
	}
}
