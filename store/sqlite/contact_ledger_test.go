package sqlite_test

import (
	"strings"
	"testing"

	"parley.im/parley/store"
)

// An older state of a contact in the place of the newer one is noticed.
func TestOlderContactIsNoticed(t *testing.T) {
	f := newFiles(t)
	f.open()
	_, k := f.contact("aaaa", f.agent("anna"))
	f.sql("CREATE TABLE before AS SELECT * FROM contact")
	k.Version = 2
	f.changeContact(store.ContactChange{Contact: k, Was: 1})
	f.verify()
	f.sql("REPLACE INTO contact SELECT * FROM before")
	if err := f.store.Verify(t.Context(), true); err == nil || !strings.Contains(err.Error(), "visitors' contacts: a row was") {
		t.Errorf("Verify = %v", err)
	}
}
