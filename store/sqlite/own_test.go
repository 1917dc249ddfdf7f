package sqlite_test

import (
	"errors"
	"fmt"
	"testing"

	"parley.im/parley/store"
)

// What an agent has of her own is sealed to her, its part and its name, in every
// profile: a row that was changed, or put where another belongs, is reported and opens
// nothing, and nobody else's is lost with it.
func TestTamperedOwnIsReported(t *testing.T) {
	for _, test := range []struct{ name, sql string }{
		{"nothing", ""},
		{"a changed value", "UPDATE own SET sealed = zeroblob(length(sealed)) WHERE agent = 1 AND part = 3"},
		{"a cut value", "UPDATE own SET sealed = substr(sealed, 1, 10) WHERE agent = 1 AND part = 3"},
		{"another name", "UPDATE own SET slot = zeroblob(16) WHERE agent = 1 AND part = 3 AND slot = (SELECT max(slot) FROM own WHERE agent = 1 AND part = 3)"},
		{"one name's value under another", "UPDATE own SET sealed = (SELECT max(sealed) FROM own WHERE agent = 1 AND part = 3) WHERE agent = 1 AND part = 3"},
		{"moved from another part", "UPDATE OR REPLACE own SET part = 3 WHERE agent = 1 AND part = 4"},
		{"moved from another agent", "UPDATE OR REPLACE own SET agent = 1 WHERE agent = 2 AND part = 3"},
		{"copied over from another agent", "UPDATE own SET sealed = (SELECT max(sealed) FROM own WHERE agent = 2 AND part = 3) WHERE agent = 1 AND part = 3"},
	} {
		for _, sealed := range []bool{true, false} {
			t.Run(fmt.Sprint(test.name, "/sealed=", sealed), func(t *testing.T) {
				f := newFiles(t)
				f.sealed = sealed
				f.open()
				anna, ben, cleo := f.agent("anna"), f.agent("ben"), f.agent("cleo")
				var list []store.Own
				for _, g := range []store.AgentID{anna, ben, cleo} {
					for _, part := range []store.Part{store.OwnBlocked, store.OwnCard} {
						list = append(list, store.Own{Agent: g, Part: part, Name: "a", Value: []byte("1")}, store.Own{Agent: g, Part: part, Name: "b", Value: []byte("2")})
					}
				}
				if err := f.store.KeepOwn(t.Context(), list...); err != nil {
					t.Fatal(err)
				}
				if test.sql != "" {
					f.sql(test.sql)
				}
				got, err := f.own(anna)
				if test.sql == "" && (err != nil || got != "a=1 b=2 ") {
					t.Errorf("untouched: %q, %v", got, err)
				}
				if test.sql != "" && (!errors.Is(err, store.ErrTampered) || got != "") {
					t.Errorf("it says %q, %v; want %v", got, err, store.ErrTampered)
				}
				if got, err := f.own(cleo); err != nil || got != "a=1 b=2 " {
					t.Errorf("Cleo's list is %q, %v", got, err)
				}
			})
		}
	}
}

// own lists whom an agent has blocked.
func (f *files) own(agent store.AgentID) (got string, err error) {
	err = f.store.OwnOf(f.t.Context(), agent, store.OwnBlocked, func(name string, value []byte) error {
		got += fmt.Sprintf("%s=%s ", name, value)
		return nil
	})
	return got, err
}
