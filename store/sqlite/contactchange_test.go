package sqlite

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// takes are batches of some agents who all take the same contact; one at most gets it.
func takes(t testing.TB, a *Account, k store.Contact, c store.Conversation, agents int, told *sync.WaitGroup) []*store.Batch {
	t.Helper()
	batches := make([]*store.Batch, agents)
	for i := range batches {
		ch := store.ContactChange{Contact: k, Was: k.Version}
		ch.Version, ch.Owner = k.Version+1, store.AgentID(i+1)
		told.Add(1)
		batches[i] = &store.Batch{Contact: &ch, Done: func(*store.Batch) { told.Done() },
			Ops: []store.Op{{Conversation: c, Kind: store.KindMessage, Actor: ch.Owner, At: time.Now(), Data: fmt.Append(nil, i+1)}}}
		a.Append(batches[i])
	}
	return batches
}

// newTestContact is a contact of version 1.
func newTestContact(t testing.TB, a *Account) (store.Conversation, store.Contact) {
	t.Helper()
	c, err := a.NewContact(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k := store.Contact{ID: c.ID(), Address: fmt.Sprint("a", c.ID()), Version: 1, Live: true, Created: time.Now(), Data: []byte("{}")}
	done := make(chan error, 1)
	a.Append(&store.Batch{Contact: &store.ContactChange{Contact: k}, Done: func(b *store.Batch) { done <- b.Err }})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return c, k
}

// Who comes too late in a group fails nobody else in it, and has lost only if the one who
// came first was kept: where a transaction fails, and then what was the first of it alone,
// the next one gets the contact.
func TestTooLateInAGroup(t *testing.T) {
	for name, fault := range map[string]func(*conn.Conn) error{
		"":                func(*conn.Conn) error { return nil },
		"the transaction": func(db *conn.Conn) error { return db.Exec("ROLLBACK") },
		"and the first": func(db *conn.Conn) error {
			return errors.Join(db.Exec("ROLLBACK"), db.Script(`CREATE TEMP TRIGGER IF NOT EXISTS no BEFORE UPDATE ON main.contact
				WHEN NEW.owner = 1
				BEGIN SELECT RAISE(ABORT, 'no'); END`))
		},
	} {
		t.Run("fails "+name, func(t *testing.T) {
			a := openTest(t, nil)
			notes := selfTalk(t, a, "anna")
			c, k := newTestContact(t, a)
			first := a.Newest()
			release := hold(t, a)
			var told sync.WaitGroup
			batches := takes(t, a, k, c, 3, &told)
			a.queue.put(item{write: &write{do: fault, done: make(chan error, 1)}})
			told.Add(1)
			other := &store.Batch{Ops: []store.Op{message(notes, "x")}, Done: func(*store.Batch) { told.Done() }}
			a.Append(other)
			release()
			told.Wait()
			winner := 0
			if name == "and the first" {
				winner = 1
				if !errors.Is(batches[0].Err, store.ErrUnavailable) {
					t.Errorf("the first answers %v", batches[0].Err)
				}
				batches[0].Err = store.ErrConflict
			}
			for i, b := range batches {
				if i == winner && b.Err != nil || i != winner && !errors.Is(b.Err, store.ErrConflict) {
					t.Errorf("batch %d answers %v", i, b.Err)
				}
			}
			if other.Err != nil || other.Ops[0].Ordinal != first+2 {
				t.Errorf("another message answers %v, ordinal %d", other.Err, other.Ops[0].Ordinal)
			}
			if now, err := a.Contact(t.Context(), k.ID); err != nil || now.Version != 2 || int(now.Owner) != winner+1 {
				t.Errorf("the contact is %+v, %v", now, err)
			}
			if err := a.Verify(t.Context(), true); err != nil {
				t.Error(err)
			}
		})
	}
}

// BenchmarkContactChange is the cost of a message with a change of its contact, of which
// as many are committed together.
func BenchmarkContactChange(b *testing.B) {
	for _, group := range []int{1, 100} {
		b.Run(fmt.Sprint("group=", group), func(b *testing.B) {
			a := openTest(b, nil)
			agent := selfTalk(b, a, "anna").a
			open, contacts := make([]store.Conversation, group), make([]store.Contact, group)
			for i := range open {
				open[i], contacts[i] = newTestContact(b, a)
			}
			data := make([]byte, 500)
			before := cpuTime(b)
			for b.Loop() {
				var wg sync.WaitGroup
				wg.Add(group)
				for i := range contacts {
					k := &contacts[i]
					was := k.Version
					k.Version, k.State, k.Data = was+1, uint8(1+was%5), data
					a.Append(&store.Batch{Contact: &store.ContactChange{Contact: *k, Was: was, See: []store.AgentID{agent}, From: 1}, Done: func(*store.Batch) { wg.Done() },
						Ops: []store.Op{{Conversation: open[i], Kind: store.KindMessage, At: time.Now(), Data: data[:250]}}})
				}
				wg.Wait()
			}
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N*group), "cpu-ns/change")
		})
	}
}
