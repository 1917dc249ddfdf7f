package sqlite_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
)

// The marks that are put into everything, by whether only a sealed account hides them.
const (
	spoken = "MARK-of-what-was-said"
	secret = "MARK-of-a-secret"
)

// talkOfMarks goes every way that there is into the store.
func talkOfMarks(f *files) {
	ctx := f.t.Context()
	anna, ben := f.agent("anna"), f.agent("ben")
	c := f.direct(anna, ben)
	must := func(err error) {
		f.t.Helper()
		if err != nil {
			f.t.Fatal(err)
		}
	}
	k, err := f.store.NewContact(ctx)
	must(err)
	f.changeContact(store.ContactChange{Contact: store.Contact{ID: k.ID(), Address: "aaaa", Version: 1, Live: true, Data: []byte(spoken)}},
		store.Op{Conversation: k, Kind: store.KindContactCreated, At: time.Now(), Data: []byte(spoken)})
	o := f.say(c, anna, "<body>"+spoken+"</body>")
	for i := range 50 {
		f.say(c, ben, fmt.Sprint(spoken, i, strings.Repeat(" a long message", 1000)))
	}
	j, err := f.store.Journal(ctx)
	must(err)
	f.say(j, 0, `{"name":"`+spoken+`"}`)
	must(f.store.AddEndpoint(ctx, store.Endpoint{ID: "wh_1", URL: "https://shop.example/", Secret: secret,
		EndpointOptions: store.EndpointOptions{SignKey: store.SignKey(secret), PreviousKey: store.SignKey(secret)}}))
	must(f.store.Advance(ctx, store.Progress{Endpoint: "wh_1", Attempts: []store.Attempt{
		{ID: "dlv_1", Ordinal: o, Conversation: c.ID(), At: time.Now(), Answer: []byte("no: " + spoken)}}}))
	must(f.store.SetCredential(ctx, store.Credential{Agent: anna, Scope: "xmpp", Label: secret, Device: secret, Verifier: []byte(secret)}))
	must(f.store.KeepOwn(ctx, store.Own{Agent: anna, Part: store.OwnContacts, Name: secret, Value: []byte(secret)}))
	must(f.store.SaveResumes(ctx, []store.Resume{{ID: "r1", Agent: anna, Expires: time.Now().Add(time.Hour), State: []byte(secret)}}))
}

// found says whether any file below dir holds what, and which.
func found(t *testing.T, dir, what string) (where []string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(what)) {
			where = append(where, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return where
}

// I3, VIV-9, VIV-12, WCP-19: what is said in a sealed account is in no file, the
// write-ahead log included, neither while it runs nor afterwards. In one that is not
// sealed the same search finds it. Secrets are found in neither.
func TestI3NothingIsOnDiskInClear(t *testing.T) {
	for _, sealed := range []bool{true, false} {
		f := newFiles(t)
		f.sealed = sealed
		f.open()
		talkOfMarks(f)
		for _, when := range []string{"while it runs", "when it is closed"} {
			if where := found(t, f.dir, spoken); (len(where) == 0) != sealed {
				t.Errorf("%s, with sealed=%v, what was said is in %v", when, sealed, where)
			}
			if where := found(t, f.dir, secret); len(where) > 0 {
				t.Errorf("%s, with sealed=%v, a secret is in %v", when, sealed, where)
			}
			f.close()
		}
	}
}

// VIV-10: each conversation has a key of its own. Deleting one makes exactly that
// conversation unreadable.
func TestOneKeyForEachConversation(t *testing.T) {
	f := newFiles(t)
	f.open()
	anna, ben, cleo := f.agent("anna"), f.agent("ben"), f.agent("cleo")
	one, other := f.direct(anna, ben), f.direct(anna, cleo)
	f.say(one, anna, "to ben")
	f.say(other, anna, "to cleo")
	f.close()

	k, err := keys.Open(t.Context(), keys.Config{Dir: f.secrets(), Account: "desk", Root: f.root})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Destroy(t.Context(), keys.OfConversation, int64(one.ID())); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}

	f.open()
	if got := fmt.Sprint(f.page(anna)); got != "[locked to cleo]" {
		t.Errorf("she sees %s", got)
	}
	// The conversation goes on, with another key.
	f.say(f.direct(anna, ben), ben, "again")
	if got := fmt.Sprint(f.page(ben)); got != "[locked again]" {
		t.Errorf("he sees %s", got)
	}
	f.close()
	f.open()
	if told := f.events(store.KindKeyUnavailable); len(told) != 1 || told[0] != `{"conversation":{"id":"2","kind":"direct"},"generation":1}` {
		t.Errorf("told of the missing secret is %q", told)
	}
}

// VIV-11: keys beside the data are refused, and so are keys of other data.
func TestKeysApartFromData(t *testing.T) {
	dir := t.TempDir()
	root := seal.NewKey()
	open := func(data, secrets, account string) error {
		k, err := keys.Open(t.Context(), keys.Config{Dir: secrets, Account: account, Root: root})
		if err != nil {
			return err
		}
		defer k.Close()
		a, err := sqlite.Open(t.Context(), sqlite.Config{Dir: data, Account: account, Keys: k, Sealed: true})
		if err != nil {
			return err
		}
		if _, err := a.AddAgent(t.Context(), "anna", "", store.Credential{}); err != nil {
			return err
		}
		return a.Close()
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "a"), link); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, data, keys, account, want string }{
		{"the same folder", "a", "a", "desk", "must be kept apart"},
		{"the same by a link", "a", "link", "desk", "must be kept apart"},
		{"a folder within", "a", "a/keys", "desk", "must be kept apart"},
		{"apart", "a2", "k2", "desk", ""},
		{"another account's data", "a2", "k3", "shop", `it is account "desk"'s`},
		{"other keys", "a2", "k4", "desk", "are not those that belong to it"},
		{"new data, old keys", "a5", "k2", "desk", "holds keys of older data"},
	} {
		err := open(filepath.Join(dir, test.data), filepath.Join(dir, test.keys), test.account)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// KIS-1: an account's files are its own. While one is open nothing of another is.
func TestAccountsShareNoFile(t *testing.T) {
	f, other := newFiles(t), newFiles(t)
	other.open()
	other.agent("ben")
	other.close()
	f.open()
	f.say(f.direct(f.agent("anna"), f.agent("ben")), 1, "x")
	f.page(1)
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here to see open files in")
	}
	mine := 0
	for _, e := range entries {
		path, _ := os.Readlink("/proc/self/fd/" + e.Name())
		if strings.HasPrefix(path, other.dir) {
			t.Errorf("%s is open", path)
		}
		if strings.HasPrefix(path, f.dir) {
			mine++
		}
	}
	if mine == 0 {
		t.Error("no file of the open account is seen")
	}
}
