package storetest

import (
	"fmt"
	"testing"

	"parley.im/parley/store"
)

// Of two who replace a password at the same time, one by its label and one by its id,
// the one by the id must notice that it came too late.
func credentialIsReplaced(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	set := func(c store.Credential, verifier string) error {
		c.Scope, c.Label, c.Verifier = "xmpp", "password", []byte(verifier)
		return d.SetCredential(d.ctx, c)
	}
	only := func() store.Credential {
		t.Helper()
		all, err := d.Credentials(d.ctx, anna)
		must(t, err)
		if len(all) != 1 {
			t.Fatalf("credentials are %v, want one", all)
		}
		return all[0]
	}
	must(t, set(store.Credential{Agent: anna}, "p1"))
	first := only()
	must(t, set(store.Credential{ID: first.ID, Agent: anna, Created: start}, "p2"))
	d = newDesk(t, reopen())
	got := only()
	want(t, "replaced by its id", fmt.Sprintln(got.ID == first.ID, got.Label, got.Created.Equal(start), string(got.Verifier)), "true password true p2\n")
	wantErr(t, "with another agent's", set(store.Credential{ID: first.ID, Agent: ben}, "p3"), store.ErrNotFound)
	must(t, set(store.Credential{Agent: anna}, "p4"))
	wantErr(t, "after it was replaced by its label", set(store.Credential{ID: first.ID, Agent: anna}, "p5"), store.ErrNotFound)
	want(t, "what holds", string(only().Verifier), "p4")
}
