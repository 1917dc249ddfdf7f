package sqlite

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

const contactsBegan = 1_700_000_000_000

// manyContacts puts rows of contacts into an account, without conversations: few are
// live, some are an agent's, and each visitor has a few. Most are made a second after the
// one before.
func manyContacts(tb testing.TB, a *Account, count int, rnd *rand.Rand) (all []contactRow) {
	tb.Helper()
	outcomes := []string{"successful", "successful", "successful", "no_interaction", "abandoned"}
	for i := range count {
		r := contactRow{created: contactsBegan + int64(i)*1000}
		r.Contact = store.Contact{ID: store.ConversationID(i + 10), Address: strconv.Itoa(i), Version: 9, State: 10, Owner: store.AgentID(rnd.IntN(50)),
			Visitor: fmt.Sprint("v", rnd.IntN(1+count/5)), Outcome: outcomes[rnd.IntN(5)]}
		if rnd.IntN(4) == 0 {
			r.created += int64(rnd.IntN(7)-3) * 1000
		}
		if r.Live = rnd.IntN(count) < 30; r.Live {
			r.State, r.Outcome = uint8(1+rnd.IntN(9)), ""
		}
		if r.Created = fromMilli(r.created); !r.Live {
			r.Ended = r.Created.Add(time.Minute)
		}
		all = append(all, r)
	}
	insert := func(rows []contactRow) func(db *conn.Conn) error {
		return func(db *conn.Conn) error {
			for i := range rows {
				r := &rows[i]
				if err := db.Exec(insertContact, int64(r.ID), r.Address, r.Version, int(r.State), r.Live, int64(r.Owner), r.Visitor, r.created,
					toMilli(r.Ended), r.Outcome, 0, []byte("{}")); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for some := range slices.Chunk(all, 10_000) {
		if err := a.update(tb.Context(), insert(some)); err != nil {
			tb.Fatal(err)
		}
	}
	slices.SortFunc(all, func(x, y contactRow) int {
		if newer(&x, &y) {
			return -1
		}
		return 1
	})
	return all
}

// Lists of contacts are what going through all of them in the plainest way gives, however
// many there are of each kind, whichever index the engine takes.
func TestContactListsAgainstAll(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 0))
	a := openTest(t, nil)
	all := manyContacts(t, a, 4000, rnd)
	odd := func() bool { return rnd.IntN(3) == 0 }
	for range 300 {
		q := store.ContactQuery{Max: []int{1, 20, 700}[rnd.IntN(3)], Live: rnd.IntN(6) == 0}
		if odd() {
			q.States = [][]uint8{{10}, {1, 2, 3, 10}, {4, 9}}[rnd.IntN(3)]
		}
		if odd() {
			q.Owner = store.AgentID(rnd.IntN(52))
		}
		if odd() {
			q.Outcome = []string{"successful", "abandoned", "unheard"}[rnd.IntN(3)]
		}
		if rnd.IntN(6) == 0 {
			q.Visitor = all[rnd.IntN(len(all))].Visitor
		}
		if odd() {
			q.Since = fromMilli(contactsBegan + rnd.Int64N(4_000_000))
		}
		if odd() {
			q.Until = fromMilli(contactsBegan + rnd.Int64N(4_000_000))
		}
		if odd() {
			q.Before = all[rnd.IntN(len(all))].ID
		}
		var want, got []store.ConversationID
		behind := q.Before == 0
		for i := range all {
			r := &all[i]
			if behind && len(want) < q.Max && wantsContact(&q, &r.Contact) && (q.Since.IsZero() || !r.Created.Before(q.Since)) &&
				(q.Until.IsZero() || !r.Created.After(q.Until)) {
				want = append(want, r.ID)
			}
			behind = behind || r.ID == q.Before
		}
		list, err := a.Contacts(t.Context(), q)
		for _, k := range list {
			got = append(got, k.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("Contacts(%+v) = %v, %v, want %v", q, got, err, want)
		}
	}
}

// No condition of a list goes through all contacts, or sorts what it finds: of each index
// only what is wanted is read, in its order. So a page of one condition costs the same
// whatever there is.
func TestContactListsUseIndexes(t *testing.T) {
	a := openTest(t, nil)
	all := store.ContactQuery{Live: true, States: []uint8{4}, Owner: 1, Visitor: "v", Outcome: "x"}
	ways := append(contactWays(&all), contactWays(&store.ContactQuery{})...)
	if len(ways) != 6 {
		t.Fatalf("there are %d ways", len(ways))
	}
	for _, way := range ways {
		w := way[0]
		for _, query := range []string{w.read(), "SELECT count(*) FROM (SELECT 1 " + w.from() + " LIMIT +?)"} {
			plan := explain(t, a, query, w.args(nil, 0, 1)...)
			if !strings.Contains(plan, "SEARCH contact USING ") || !strings.Contains(plan, "INDEX "+w.index+" (") ||
				!strings.Contains(plan, "created>? AND created<?") || strings.Contains(plan, "SCAN contact") || strings.Contains(plan, "B-TREE") {
				t.Errorf("%s\nis done as\n%s", query, plan)
			}
			if w.value != nil && !strings.Contains(plan, "=? AND created") {
				t.Errorf("%s\nlooks at other rows:\n%s", query, plan)
			}
		}
	}
	for query, want := range map[string]string{
		selectEnded: "SEARCH k USING COVERING INDEX contact_ended (ended>? AND ended<?)\nSEARCH c USING INTEGER PRIMARY KEY (rowid=?)\n",
		"SELECT ended FROM contact WHERE live = 0 AND ended >= ? ORDER BY ended": "SEARCH contact USING COVERING INDEX contact_ended (ended>?)\n",
		"SELECT " + contactColumns + ", data FROM contact WHERE address = ?":     "SEARCH contact USING INDEX contact_address (address=?)\n",
	} {
		if plan := explain(t, a, query, make([]any, strings.Count(query, "?"))...); plan != want {
			t.Errorf("%s\nis done as\n%swant\n%s", query, plan, want)
		}
	}
}

func explain(t *testing.T, a *Account, query string, args ...any) (plan string) {
	t.Helper()
	if err := a.read(t.Context(), func(db *conn.Conn) error {
		return db.Query("EXPLAIN QUERY PLAN "+query, args, func(r conn.Row) error {
			plan += r.Text(3) + "\n"
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	return plan
}

// BenchmarkContacts is the cost of a page of fifty contacts, and of the last such page, for
// each condition, by how many there are; PARLEY_CONTACTS says other numbers.
func BenchmarkContacts(b *testing.B) {
	counts := []int{1000, 20_000}
	if n, err := strconv.Atoi(os.Getenv("PARLEY_CONTACTS")); err == nil {
		counts[1] = n
	}
	for _, count := range counts {
		a := openTest(b, nil)
		all := manyContacts(b, a, count, rand.New(rand.NewPCG(1, 0)))
		middle := all[len(all)/2]
		for _, test := range []struct {
			name string
			q    store.ContactQuery
		}{
			{"all", store.ContactQuery{}},
			{"middle", store.ContactQuery{Before: middle.ID}},
			{"live", store.ContactQuery{Live: true}},
			{"states", store.ContactQuery{States: []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}},
			{"owner", store.ContactQuery{Owner: 7}},
			{"visitor", store.ContactQuery{Visitor: middle.Visitor}},
			{"outcome", store.ContactQuery{Outcome: "abandoned", Before: middle.ID}},
			{"time", store.ContactQuery{Until: middle.Created}},
			{"liveAndOwner", store.ContactQuery{Live: true, Owner: 7}},
			{"ownerAndState", store.ContactQuery{Owner: 7, States: []uint8{10}}},
			{"ownerAndOutcome", store.ContactQuery{Owner: 7, Outcome: "abandoned"}},
			{"ownerAndNoOutcome", store.ContactQuery{Owner: 7, Outcome: "unheard"}},
		} {
			b.Run(fmt.Sprint(count, "/", test.name), func(b *testing.B) {
				test.q.Max = 50
				for b.Loop() {
					if _, err := a.Contacts(b.Context(), test.q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// A contact whose state changes while a long list is read does not come twice.
func TestContactListGoesOnWhileContactsChange(t *testing.T) {
	a := openTest(t, nil)
	all := manyContacts(t, a, 6, rand.New(rand.NewPCG(1, 0)))
	set := func(r *contactRow, state int) {
		t.Helper()
		if err := a.update(t.Context(), func(db *conn.Conn) error {
			return db.Exec("UPDATE contact SET state = ? WHERE conversation = ?", state, int64(r.ID))
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range all {
		set(&all[i], 1+i%2)
	}
	var l *listing
	var got, want []store.ConversationID
	for i := range all {
		if err := a.read(t.Context(), func(db *conn.Conn) (err error) {
			if l == nil {
				if l, err = beginListing(db, &store.ContactQuery{Max: 10, States: []uint8{1, 2}}); err != nil {
					return err
				}
			}
			r, err := l.next(db)
			if r != nil {
				got = append(got, r.ID)
			}
			l.rest()
			return err
		}); err != nil {
			t.Fatal(err)
		}
		set(&all[i], 2-i%2)
		want = append(want, all[i].ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the list is %v, want %v", got, want)
	}
}

// What a start has to end it finds without going through all conversations.
func TestUnfinishedIsFoundAtOnce(t *testing.T) {
	if plan := explain(t, openTest(t, nil), selectUnfinished); plan != "SEARCH conversation USING COVERING INDEX conversation_unfinished (shredded=?)\n" {
		t.Errorf("it is done as %s", plan)
	}
}
