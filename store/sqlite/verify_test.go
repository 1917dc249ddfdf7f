package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// everything puts something into each table of an account, and closes it: two agents,
// 40 records between them, and some of each with herself.
func everything(f *files) {
	f.t.Helper()
	f.open()
	ctx := f.t.Context()
	anna, ben := f.agent("anna"), f.agent("ben")
	c, notes := f.direct(anna, ben), f.direct(anna, anna)
	var o store.Ordinal
	for i := range 40 {
		o = f.say(c, anna, fmt.Sprint("message ", i))
		if i < 5 {
			f.say(notes, anna, fmt.Sprint("note ", i))
		}
	}
	k, err := f.store.NewContact(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	f.changeContact(store.ContactChange{See: []store.AgentID{ben}, From: 1,
		Contact: store.Contact{ID: k.ID(), Address: "aaaa", Version: 1, Live: true, Created: time.Now(), Data: []byte("{}")}})
	j, err := f.store.Journal(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	f.say(j, 0, `{}`)
	for _, err := range []error{
		f.store.AddEndpoint(ctx, store.Endpoint{ID: "wh_1", URL: "https://shop.example/", Secret: "s", Cursor: 3,
			EndpointOptions: store.EndpointOptions{Thin: true}}),
		f.store.Advance(ctx, store.Progress{Endpoint: "wh_1", Attempts: []store.Attempt{
			{ID: "dlv_1", Ordinal: o, Conversation: c.ID(), At: time.Now(), Answer: []byte("no")}}}),
		f.store.AddAPIKey(ctx, store.APIKey{ID: "ak_desk_x", Role: "admin", Created: time.Now(), Secret: []byte("s")}),
		f.store.KeepOwn(ctx, store.Own{Agent: anna, Part: store.OwnContacts, Name: "ben", Value: []byte("v")}),
		f.store.KeepOwn(ctx, store.Own{Agent: ben, Part: store.OwnContacts, Name: "anna", Value: []byte("v")}),
		f.store.SaveResumes(ctx, []store.Resume{{ID: "r1", Agent: anna, Expires: time.Now().Add(time.Hour), State: []byte("s")}}),
	} {
		if err != nil {
			f.t.Fatal(err)
		}
	}
	f.close()
}

// keySQL changes the key database behind the server's back.
func (f *files) keySQL(statement string) {
	f.t.Helper()
	c, err := conn.Open(conn.Config{Path: f.secrets() + "/desk.db"})
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exec(statement); err != nil {
		f.t.Fatal(err)
	}
}

// Whatever is changed, moved, swapped, cut or removed outside the server, verify says
// what is affected, and of everything else nothing. The journal is conversation 1, Anna
// and Ben talk in 2, Anna's notes are 3, a visitor's contact is 4.
func TestVerifyTellsWhatIsAffected(t *testing.T) {
	for _, test := range []struct {
		name, sql, keys string
		want            []string // each in an error of its own, and no others
	}{
		{name: "nothing", sql: "SELECT 1"},
		{name: "a changed record", sql: "UPDATE log SET sealed = zeroblob(length(sealed)) WHERE conversation = 3 AND n = 2",
			want: []string{"conversation 3: records [2] don't open"}},
		{name: "a record moved to another conversation", sql: "UPDATE log SET conversation = 2 WHERE conversation = 3 AND n = 5",
			want: []string{"conversation 3: 1 of 5 records are missing", "other numbers of records than their headers say (2): "}},
		{name: "a record moved to no conversation", sql: "UPDATE log SET conversation = 77 WHERE conversation = 3 AND n = 5",
			want: []string{"conversation 3: 1 of 5", "belong to no conversation that there is (1): record 10, as number 5 of conversation 77", "conversation 3 has 4 instead of 5"}},
		{name: "a record twice", sql: `INSERT INTO log SELECT 1000, conversation, n, prev, at, kind, actor, generation, repeat, sealed
			FROM log WHERE conversation = 3 AND n = 2`,
			want: []string{"conversation 3 has 6 instead of 5", "of 1000 records that were ever written 0 were destroyed"}},
		{name: "a record swapped with another", sql: `UPDATE log SET sealed = o.sealed
			FROM (SELECT n, sealed FROM log WHERE conversation = 3 AND n IN (3, 4)) o
			WHERE conversation = 3 AND log.n = 7 - o.n`, want: []string{"conversation 3: records [3 4] don't open"}},
		{name: "a cut tail, with its header", sql: "DELETE FROM log WHERE conversation = 2 AND n > 35",
			want: []string{"conversation 2: 5 of 40 records are missing", "conversation 2 has 35 instead of 40", "of 46 records"}},
		{name: "a header of before", sql: "UPDATE conversation SET n = 39 WHERE id = 2",
			want: []string{"conversation 2: ", "as number 40 of conversation 2"}},
		{name: "a header whose hash is another", sql: "UPDATE conversation SET hash = zeroblob(32) WHERE id = 2",
			want: []string{"conversation 2: its records are not those that its header knows"}},
		{name: "a conversation removed", sql: "DELETE FROM conversation WHERE id = 3",
			want: []string{"belong to no conversation that there is (5)"}},
		{name: "a place", sql: "UPDATE place SET ordinal = ordinal + 1 WHERE conversation = 2 AND block = 1",
			want: []string{"places of records are not where the records are (1): number 16 of conversation 2"}},
		{name: "a secret removed", keys: "DELETE FROM secret WHERE owner = 1 AND number = 3",
			want: []string{"conversation 3: records [1 2 3 4 5] don't open", "secrets are missing, so that what they sealed cannot be read (1): generation 1 of conversation 3"}},
		{name: "secrets swapped", keys: `UPDATE secret SET wrapped = o.wrapped
			FROM (SELECT number, wrapped FROM secret WHERE owner = 1 AND number IN (2, 3)) o
			WHERE owner = 1 AND secret.number = 5 - o.number`,
			want: []string{"conversation 2: 40 records don't open", "conversation 3: records", "secrets are others than those that sealed the records (2)"}},
		{name: "a commitment", sql: "UPDATE generation SET commitment = zeroblob(32) WHERE conversation = 3",
			want: []string{"conversation 3: records", "(1): generation 1 of conversation 3"}},
		{name: "an agent's secret removed", keys: "DELETE FROM secret WHERE owner = 3 AND number = 2",
			want: []string{"the secret of agent ben is missing"}},
		{name: "a credential", sql: "UPDATE credential SET sealed = (SELECT sealed FROM credential WHERE agent = 2) WHERE agent = 1",
			want: []string{"agent anna: credential 1"}},
		{name: "a credential moved", sql: "UPDATE credential SET agent = 1 WHERE agent = 2", want: []string{"agent anna: credential 2", "credentials of agent ben: a row was changed"}},
		{name: "a contact", sql: "UPDATE own SET sealed = zeroblob(60) WHERE agent = 2", want: []string{"agent ben: 1 of her contacts"}},
		{name: "a contact moved", sql: "UPDATE own SET agent = 2 WHERE agent = 1",
			want: []string{"agent ben: 1 of her contacts", "contacts, tokens or preferences of agent anna: a row was changed"}},
		{name: "a session", sql: "UPDATE resume SET expires = expires + 60000", want: []string{"agent anna: a session"}},
		{name: "a webhook's secret", sql: "UPDATE endpoint SET secret = zeroblob(60)", want: []string{"the secret of webhook wh_1"}},
		{name: "a webhook's options", sql: "UPDATE endpoint SET options = zeroblob(60)", want: []string{`options of endpoint "wh_1"`}},
		{name: "a webhook's cursor", sql: "UPDATE endpoint SET cursor = 1000", want: []string{"webhook wh_1: it was told of all up to record 1000"}},
		{name: "a key of the API", sql: "UPDATE api_key SET sealed = zeroblob(60)", want: []string{"ak_desk_x"}},
		{name: "a visitor's contact", sql: "UPDATE contact SET data = zeroblob(60)", want: []string{"contacts are not as they were written (1): conversation 4"}},
		{name: "whose a visitor's contact is", sql: "UPDATE contact SET owner = 1", want: []string{"contacts are not as they were written (1): conversation 4"}},
		{name: "a visitor's contact moved", sql: "UPDATE contact SET conversation = 3",
			want: []string{"contacts are not as they were written (1): conversation 3", "contacts have no conversation (1): conversation 3", "conversations of visitors have no contact (1): conversation 4"}},
		{name: "a visitor's contact removed", sql: "DELETE FROM contact", want: []string{"conversations of visitors have no contact (1): conversation 4"}},
		{name: "an answer", sql: "UPDATE attempt SET answer = zeroblob(60)", want: []string{"delivery log of webhook wh_1 (1): dlv_1"}},
		{name: "a secret of the account", sql: "UPDATE secret SET sealed = zeroblob(60) WHERE name = 'token'", want: []string{`secret "token" of the account`}},
		{name: "the anchor", keys: "UPDATE meta SET value = 'AAAA' WHERE name = 'anchor'", want: []string{"knows of the log"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFiles(t)
			everything(f)
			f.open()
			if _, err := f.store.Secret(t.Context(), "token", 48); err != nil {
				t.Fatal(err)
			}
			f.close()
			if test.sql != "" {
				f.sql(test.sql)
			}
			if test.keys != "" {
				f.keySQL(test.keys)
			}
			f.open()
			err := f.store.Verify(t.Context(), true)
			if len(test.want) == 0 {
				if err != nil {
					t.Errorf("Verify = %v, want nothing", err)
				}
				return
			}
			var faults []error
			if several, ok := err.(interface{ Unwrap() []error }); ok {
				faults = several.Unwrap()
			}
			for _, fault := range faults {
				if !errors.Is(fault, store.ErrTampered) {
					t.Errorf("%v counts as something else", fault)
				}
			}
			if len(faults) != len(test.want) {
				t.Errorf("there are %d faults, want %d: %v", len(faults), len(test.want), err)
			}
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Verify = %v, want %q", err, want)
				}
			}
		})
	}
}

// A file that was put back to an older state is noticed, when it is opened and ever
// after, until that is accepted. A crash is nothing of the kind.
func TestOlderFilesAreNoticed(t *testing.T) {
	f := newFiles(t)
	everything(f)
	before, err := os.ReadFile(f.data() + "/data.db")
	if err != nil {
		t.Fatal(err)
	}
	f.open()
	c := f.direct(1, 2)
	for range 10 {
		f.say(c, 1, "and then")
	}
	f.close()
	if err := os.WriteFile(f.data()+"/data.db", before, 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(when, want string) {
		t.Helper()
		err := f.store.Verify(t.Context(), true)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s, Verify = %v, want %q", when, err, want)
		}
	}
	f.open()
	check("put back", "the log ends with record 46, but it had record 56")
	for range 8 {
		f.say(f.direct(1, 2), 1, "something else")
	}
	check("put back and gone on", "put back to an older state")
	f.close()
	f.open()
	for range 8 {
		f.say(f.direct(1, 2), 1, "something else")
	}
	check("gone on from there", "record 56 is another one")
	f.close()
	f.open()
	check("after another start", "record 56 is another one")
	if err := f.store.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("accepted", "")
	f.close()
	f.open()
	check("accepted, after another start", "")
}

// A key database that was put back gives no secret back that was destroyed.
func TestOlderKeysAreNoticed(t *testing.T) {
	f, cal := keeping(t, 4*day)
	f.open()
	anna := f.agent("anna")
	c := f.direct(anna, anna)
	f.sayNow(c, anna, "old")
	f.close()
	before, err := os.ReadFile(f.secrets() + "/desk.db")
	if err != nil {
		t.Fatal(err)
	}
	f.open()
	cal.pass(5 * day)
	f.expire()
	f.close()
	if err := os.WriteFile(f.secrets()+"/desk.db", before, 0o600); err != nil {
		t.Fatal(err)
	}
	f.open()
	if err := f.store.Verify(t.Context(), true); err == nil || !strings.Contains(err.Error(), "the key database was put back to an older state") {
		t.Errorf("Verify = %v", err)
	}
	if _, err := f.keys.Get(t.Context(), conversationSecret(c, 1)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the secret that was destroyed: %v", err)
	}
}

// A file with damaged pages is said to be so.
func TestDamagedFile(t *testing.T) {
	f := newFiles(t)
	everything(f)
	file, err := os.OpenFile(f.data()+"/data.db", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	page := f.number("SELECT rootpage FROM sqlite_schema WHERE name = 'attempt'")
	if _, err := file.WriteAt([]byte("damaged pages are not shown"), (page-1)*4096); err != nil || info.Size() < page*4096 {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	f.open()
	if err := f.store.Verify(t.Context(), true); !errors.Is(err, store.ErrTampered) || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("Verify = %v", err)
	}
}
