package storetest

import (
	"fmt"
	"strings"
	"testing"

	"parley.im/parley/store"
)

// own lists a part of what an agent has.
func (d *desk) own(agent store.AgentID, part store.Part) string {
	d.t.Helper()
	var got []string
	must(d.t, d.OwnOf(d.ctx, agent, part, func(name string, value []byte) error {
		got = append(got, fmt.Sprintf("%s=%s", name, value))
		return nil
	}))
	return strings.Join(got, " ")
}

func ownIsKept(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna, ben := d.agent("anna"), d.agent("ben")
	must(t, a.KeepOwn(d.ctx,
		store.Own{Agent: anna, Part: store.OwnContacts, Name: "b@x", Value: []byte("1")},
		store.Own{Agent: anna, Part: store.OwnContacts, Name: "a@x", Value: []byte("2")},
		store.Own{Agent: anna, Part: store.OwnBlocked, Name: "a@x", Value: []byte{}},
		store.Own{Agent: ben, Part: store.OwnContacts, Name: "b@x", Value: []byte("3")}))
	must(t, a.KeepOwn(d.ctx,
		store.Own{Agent: anna, Part: store.OwnContacts, Name: "b@x", Value: []byte("4")},
		store.Own{Agent: anna, Part: store.OwnContacts, Name: "nobody", Value: nil}))
	for range 2 {
		want(t, "Anna's contacts", d.own(anna, store.OwnContacts), "a@x=2 b@x=4")
		want(t, "Anna's block list", d.own(anna, store.OwnBlocked), "a@x=")
		want(t, "Anna's card", d.own(anna, store.OwnCard), "")
		want(t, "Ben's contacts", d.own(ben, store.OwnContacts), "b@x=3")
		for name, value := range map[string]string{"a@x": "2", "b@x": "4", "nobody": ""} {
			got, err := d.OwnNamed(d.ctx, anna, store.OwnContacts, name)
			must(t, err)
			want(t, "Anna's "+name, string(got), value)
		}
		d = newDesk(t, reopen())
	}
	must(t, d.KeepOwn(d.ctx, store.Own{Agent: anna, Part: store.OwnContacts, Name: "a@x"}))
	want(t, "Anna's contacts without a", d.own(anna, store.OwnContacts), "b@x=4")
	// All or nothing: there is no agent 99.
	wantErr(t, "what nobody has", d.KeepOwn(d.ctx,
		store.Own{Agent: anna, Part: store.OwnContacts, Name: "c@x", Value: []byte("5")},
		store.Own{Agent: 99, Part: store.OwnContacts, Name: "c@x", Value: []byte("5")}), store.ErrNotFound)
	want(t, "Anna's contacts after that", d.own(anna, store.OwnContacts), "b@x=4")
}

func ownIsKeptLater(t *testing.T, open Open) {
	a, reopen := open(t)
	d := newDesk(t, a)
	anna := d.agent("anna")
	a.KeepOwnLater(store.Own{Agent: anna, Part: store.OwnActivity, Value: []byte("1")})
	a.KeepOwnLater(store.Own{Agent: 99, Part: store.OwnActivity, Value: []byte("1")})
	a.KeepOwnLater(store.Own{Agent: anna, Part: store.OwnActivity, Value: []byte("2")})
	d = newDesk(t, reopen())
	want(t, "when she was here last", d.own(anna, store.OwnActivity), "=2")
}
