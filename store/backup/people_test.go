package backup_test

import (
	"errors"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/people"
)

// people opens who the account's visitors are.
func (p *place) people() *people.People {
	p.t.Helper()
	who, err := people.Open(p.t.Context(), people.Config{Dir: p.path("data", "accounts", "desk"), Account: "desk", Keys: p.keys, Now: p.clock})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if err := who.Close(); err != nil {
			p.t.Error(err)
		}
	})
	return who
}

func (p *place) know(who *people.People, subject string) string {
	p.t.Helper()
	p.later(time.Second)
	id, err := who.Know(p.t.Context(), people.Said{Subject: subject, Email: subject + "@home.example"})
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

// People come back with the data that knows them by their ids. Who was erased since the copy does not, and what is left of
// them is to be destroyed; nor does who was just forgotten.
func TestPeopleComeBack(t *testing.T) {
	p := newPlace(t, true)
	p.mustCopy(true) // of before there were any
	none := p.clock()
	who := p.people()
	mia, zoe, lea := p.know(who, "mia"), p.know(who, "zoe"), p.know(who, "lea")
	p.mustCopy(false)
	before := p.clock()
	ida := p.know(who, "ida")
	if err := who.Erase(t.Context(), zoe); err != nil {
		t.Fatal(err)
	}
	if gone, err := who.Forget(t.Context(), lea, p.clock().Add(time.Hour)); err != nil || !gone {
		t.Fatalf("forgotten: %v, %v", gone, err)
	}
	p.mustCopy(false)

	for _, test := range []struct {
		at   time.Time
		want []string
	}{{time.Time{}, []string{mia, ida}}, {before, []string{mia}}, {none, nil}} {
		q, _ := p.restore(test.at)
		again := q.people()
		for name, id := range map[string]string{"mia": mia, "zoe": zoe, "lea": lea, "ida": ida} {
			want := false
			for _, w := range test.want {
				want = want || w == id
			}
			shown, err := again.Show(t.Context(), id)
			if want && (err != nil || shown.Subject != name) || !want && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("at %s %s is %+v, %v", test.at, name, shown, err)
			}
		}
		if test.want != nil {
			if left, err := again.Unfinished(); err != nil || len(left) != 1 || left[0].ID != zoe || left[0].Told {
				t.Errorf("at %s there is left to be destroyed: %v, %v", test.at, left, err)
			}
			if id := q.know(again, "mia"); id != mia {
				t.Errorf("at %s who comes again is %s, want %s", test.at, id, mia)
			}
		}
		if id := q.know(again, "zoe"); id == zoe {
			t.Errorf("at %s who was erased has the id of before", test.at)
		}
		if err := again.Verify(t.Context(), true); err != nil {
			t.Errorf("at %s: %v", test.at, err)
		}
	}
}
