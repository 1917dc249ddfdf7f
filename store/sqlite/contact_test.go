package sqlite_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// contact makes a contact, with a message of its visitor's.
func (f *files) contact(address string, agents ...store.AgentID) (store.Conversation, store.Contact) {
	f.t.Helper()
	c, err := f.store.NewContact(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	now := time.Now()
	if f.now != nil {
		now = f.now()
	}
	k := store.Contact{ID: c.ID(), Address: address, Version: 1, State: 2, Live: true, Visitor: "v1", Created: now, Data: []byte(`{"Name":"Mia"}`)}
	f.changeContact(store.ContactChange{Contact: k, See: agents, From: 1},
		store.Op{Conversation: c, Kind: store.KindMessage, At: now, Data: []byte("hello from " + address)})
	return c, k
}

// tryChange appends a change of a contact.
func (f *files) tryChange(ch store.ContactChange, ops ...store.Op) *store.Batch {
	done := make(chan struct{})
	b := &store.Batch{Ops: ops, Contact: &ch, Done: func(*store.Batch) { close(done) }}
	f.store.Append(b)
	<-done
	return b
}

func (f *files) changeContact(ch store.ContactChange, ops ...store.Op) {
	f.t.Helper()
	if b := f.tryChange(ch, ops...); b.Err != nil {
		f.t.Fatal(b.Err)
	}
}

// end ends a contact now.
func (f *files) end(k store.Contact) store.Contact {
	f.t.Helper()
	was := k.Version
	k.Version, k.State, k.Live, k.Ended, k.Outcome = k.Version+1, 10, false, f.now(), "successful"
	f.changeContact(store.ContactChange{Contact: k, Was: was})
	return k
}

// VIV-8: a contact goes as a whole, when it ended longer ago than the account keeps
// records; how old what was said is does not matter. One that goes on does not, nor one
// that is held.
func TestContactExpiry(t *testing.T) {
	for _, sealed := range []bool{true, false} {
		t.Run(fmt.Sprint("sealed=", sealed), func(t *testing.T) {
			f, cal := keeping(t, 40*day)
			f.sealed = sealed
			f.open()
			anna := f.agent("anna")
			_, live := f.contact("live", anna)
			_, held := f.contact("held", anna)
			_, late := f.contact("late", anna)
			var old []store.Contact
			for i := range 40 { // more than go at a time
				_, k := f.contact(fmt.Sprint("old", i), anna)
				old = append(old, f.end(k))
			}
			held = f.end(held)
			if err := f.store.Hold(t.Context(), held.ID, cal.time().Add(50*day)); err != nil {
				t.Fatal(err)
			}
			cal.pass(20 * day)
			late = f.end(late)
			cal.pass(20 * day)
			if all, left := f.expire(); len(all) != 0 || !left.Next.Equal(old[0].Ended.Add(40*day+time.Millisecond)) {
				t.Errorf("at the limit %v went; the next is at %v", all, left.Next)
			}
			cal.pass(time.Millisecond)
			all, left := f.expire()
			if len(all) != len(old) || left.Held != 1 || left.Next.After(late.Ended.Add(40*day+time.Millisecond)) {
				t.Errorf("%d went, %d are held, the next goes at %v", len(all), left.Held, left.Next)
			}
			want := store.Shredding{Conversation: old[0].ID, Records: 1}
			if sealed {
				want.Secrets = 1
			}
			if len(all) > 0 && all[0] != want {
				t.Errorf("what went first is %+v, want %+v", all[0], want)
			}
			check := func(addresses ...string) {
				t.Helper()
				var texts, there []string
				for _, a := range addresses {
					texts = append(texts, "hello from "+a)
				}
				if got := f.page(anna); !slices.Equal(got, texts) {
					t.Errorf("Anna sees %q, want %q", got, texts)
				}
				list, err := f.store.Contacts(t.Context(), store.ContactQuery{Max: 100})
				for _, k := range list {
					there = append(there, k.Address)
				}
				slices.Reverse(there)
				if err != nil || !slices.Equal(there, addresses) {
					t.Errorf("there are %q, %v, want %q", there, err, addresses)
				}
				f.verify()
			}
			check("live", "held", "late")
			for _, mark := range []string{"old7", "hello from old7"} {
				if where := found(t, f.dir, mark); len(where) > 0 {
					t.Errorf("%q is in %v", mark, where)
				}
			}
			if told := f.events(store.KindKeyShredded); len(told) != len(old) || !strings.Contains(told[0], `"kind":"contact"}`) || !strings.Contains(told[0], `"records":1}`) {
				t.Errorf("told of it is %q", told)
			}
			cal.pass(10 * day) // the hold ends
			f.expire()
			check("live", "late")
			cal.pass(15 * day)
			f.expire()
			check("live")
			f.close()
			f.open()
			check("live")
			if c, err := f.store.OpenContact(t.Context(), live.ID); err != nil || c == nil {
				t.Error(err)
			}
		})
	}
}

// Where a crash comes after the tombstone of a contact, the next start does the rest, and
// tells of it once.
func TestContactIsShreddedByTheNextStart(t *testing.T) {
	f, cal := keeping(t, 40*day)
	f.open()
	_, k := f.contact("aaaa", f.agent("anna"))
	f.end(k)
	f.contact("bbbb", 1)
	f.close()
	for _, statement := range []string{
		"UPDATE conversation SET shredded = 1 WHERE id = ?", "DELETE FROM member WHERE conversation = ?", "DELETE FROM contact WHERE conversation = ?",
	} {
		f.sql(statement, int64(k.ID))
	}
	cal.pass(31 * day) // the journal has a new secret
	f.open()
	if err := f.store.Accept(t.Context()); err != nil { // what only this test has done outside
		t.Fatal(err)
	}
	f.close()
	for range 2 {
		f.open()
		f.verify()
		if got := f.page(1); len(got) != 1 || got[0] != "hello from bbbb" {
			t.Errorf("Anna sees %q", got)
		}
		want := fmt.Sprintf(`{"conversation":{"id":"%d","kind":"contact"},"generation":1,"records":1}`, k.ID)
		if told := f.events(store.KindKeyShredded); len(told) != 1 || told[0] != want {
			t.Errorf("told of it is %q", told)
		}
		if n := f.number("SELECT count(*) FROM log l JOIN conversation c ON c.id = l.conversation WHERE c.shredded <> 0"); n != 0 {
			t.Errorf("%d records are left", n)
		}
		f.close()
	}
}

// A contact that goes on for months has one secret.
func TestContactHasOneSecret(t *testing.T) {
	f, cal := keeping(t, 40*day)
	f.open()
	c, k := f.contact("aaaa")
	for range 5 {
		cal.pass(35 * day)
		f.sayNow(c, 0, "still here")
		f.expire()
		k.Version++
		f.changeContact(store.ContactChange{Contact: k, Was: k.Version - 1})
	}
	f.close()
	f.open()
	if n := f.number("SELECT max(generation) FROM generation WHERE conversation > 1"); n != 1 {
		t.Errorf("there are %d generations", n)
	}
	n := 0
	if err := f.store.Transcript(t.Context(), k.ID, func(*store.Entry) error { n++; return nil }); err != nil || n != 6 {
		t.Errorf("%d records are there, %v", n, err)
	}
	f.verify()
}

// Whatever of a contact is changed outside the server is noticed: what is sealed, what
// stands in clear beside it, and where it stands.
func TestTamperedContact(t *testing.T) {
	f := newFiles(t)
	f.open()
	_, other := f.contact("other")
	changed := make(map[store.ConversationID]string)
	for i, what := range []string{
		"data = zeroblob(length(data))", "data = x''", "state = state + 1", "version = version + 1", "live = 0", "owner = 7", "visitor = 'v2'",
		"created = created + 1", "ended = 5", "outcome = 'successful'", "address = 'cccc'",
		"data = (SELECT data FROM contact k WHERE k.address = 'other')",
	} {
		_, k := f.contact(fmt.Sprint("a", i))
		f.sql("UPDATE contact SET "+what+" WHERE conversation = ?", int64(k.ID))
		if c, err := f.store.Contact(t.Context(), k.ID); err != nil || !c.Locked || !c.Tampered || c.Data != nil {
			t.Errorf("%s: the contact is %+v, %v", what, c, err)
		}
		changed[k.ID] = what
	}
	list, err := f.store.Contacts(t.Context(), store.ContactQuery{Max: 100})
	if err != nil || len(list) != len(changed)+1 {
		t.Errorf("the list is %+v, %v", list, err)
	}
	for _, c := range list {
		if c.Tampered != (c.ID != other.ID) || c.Locked != c.Tampered {
			t.Errorf("%s: in the list it is %+v", changed[c.ID], c)
		}
	}
	if c, err := f.store.Contact(t.Context(), other.ID); err != nil || c.Locked || string(c.Data) != string(other.Data) {
		t.Errorf("the other contact is %+v, %v", c, err)
	}
	if err := f.store.Verify(t.Context(), true); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("contacts are not as they were written (%d): conversation ", len(changed))) {
		t.Errorf("Verify = %v", err)
	}
}

// One whose secret is gone is locked, and goes on with another one.
func TestContactWithoutSecret(t *testing.T) {
	f := newFiles(t)
	f.open()
	_, k := f.contact("aaaa")
	f.close()
	f.keySQL(fmt.Sprint("DELETE FROM secret WHERE owner = 1 AND number = ", k.ID))
	f.open()
	c, err := f.store.Contact(t.Context(), k.ID)
	if err != nil || !c.Locked || c.Tampered || c.Address != "aaaa" {
		t.Errorf("the contact is %+v, %v", c, err)
	}
	if _, err := f.store.OpenContact(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	k.Version = 2
	f.changeContact(store.ContactChange{Contact: k, Was: 1})
	if c, err := f.store.Contact(t.Context(), k.ID); err != nil || c.Locked || string(c.Data) != string(k.Data) {
		t.Errorf("after a change the contact is %+v, %v", c, err)
	}
}

// A contact whose rows lie in an account that is not sealed yet gets a secret when it is.
func TestContactInAnAccountThatChanges(t *testing.T) {
	f := newFiles(t)
	f.sealed = false
	f.open()
	_, k := f.contact("aaaa", f.agent("anna"))
	for _, sealed := range []bool{true, false} {
		f.close()
		f.sealed = sealed
		f.open()
		c, err := f.store.OpenContact(t.Context(), k.ID)
		if err != nil {
			t.Fatal(err)
		}
		k.Version++
		k.Data = fmt.Appendf(nil, "MARK sealed=%v", sealed)
		f.changeContact(store.ContactChange{Contact: k, Was: k.Version - 1},
			store.Op{Conversation: c, Kind: store.KindMessage, At: time.Now(), Data: []byte("more")})
		got, err := f.store.Contact(t.Context(), k.ID)
		if err != nil || string(got.Data) != string(k.Data) {
			t.Errorf("the contact is %+v, %v", got, err)
		}
		if where := found(t, f.dir, "MARK sealed="); (len(where) == 0) != sealed {
			t.Errorf("sealed=%v: the mark is in %v", sealed, where)
		}
		f.verify()
	}
	if got := f.page(1); len(got) != 3 || got[1] != "more" {
		t.Errorf("Anna sees %q", got)
	}
}

// A change that is not kept, whatever the reason, leaves nothing: not its records, not who
// sees it, nor anything in what is known of these.
func TestContactChangeFails(t *testing.T) {
	f := newFiles(t)
	f.open()
	anna, ben := f.agent("anna"), f.agent("ben")
	c, k := f.contact("aaaa", anna)
	f.page(anna)
	f.page(ben)
	// The file refuses to see Ben, as a full disk may refuse anything.
	f.sql(fmt.Sprintf("CREATE TRIGGER no BEFORE INSERT ON member WHEN NEW.agent = %d BEGIN SELECT RAISE(ABORT, 'no'); END", ben))
	ch := store.ContactChange{Contact: k, Was: 1, See: []store.AgentID{ben}, Hide: []store.AgentID{anna}, From: 1}
	ch.Version, ch.Owner = 2, ben
	said := store.Op{Conversation: c, Kind: store.KindMessage, Actor: ben, At: time.Now(), Data: []byte("hi")}
	if b := f.tryChange(ch, said); !errors.Is(b.Err, store.ErrUnavailable) {
		t.Errorf("the change answers %v", b.Err)
	}
	if got, err := f.store.Contact(t.Context(), k.ID); err != nil || got.Version != 1 || got.Owner != 0 {
		t.Errorf("the contact is %+v, %v", got, err)
	}
	if a, b := f.page(anna), f.page(ben); len(a) != 1 || len(b) != 0 {
		t.Errorf("Anna sees %q, Ben %q", a, b)
	}
	f.sql("DROP TRIGGER no")
	f.changeContact(ch, said)
	if a, b := f.page(anna), f.page(ben); len(a) != 0 || len(b) != 2 {
		t.Errorf("then Anna sees %q, Ben %q", a, b)
	}
	f.verify()
}

// An account that the program before contacts has left has contacts from then on.
func TestContactsInEarlierFiles(t *testing.T) {
	f := earlierFiles(t, 5)
	f.open()
	_, k := f.contact("aaaa", 2)
	f.close()
	f.open()
	if got := f.page(2); len(got) != 21 || got[20] != "hello from aaaa" {
		t.Errorf("Ben sees %q", got)
	}
	if got, err := f.store.ContactAt(t.Context(), "aaaa"); err != nil || got.ID != k.ID || string(got.Data) != string(k.Data) {
		t.Errorf("the contact is %+v, %v", got, err)
	}
	f.verify()
	if copies, err := conn.Copies(f.data() + "/data.db"); err != nil || len(copies) != 1 {
		t.Errorf("copies are %v, %v", copies, err)
	}
}
