package auth

import (
	"errors"
	"strings"
	"testing"

	"parley.im/parley/store"
)

func TestChangePassword(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	o.store.add(t, o.Account, "anna", "phone", "dev-1", "a secret of the phone")
	x, err := o.signIn(t, "anna", password, home)
	if err != nil {
		t.Fatal(err)
	}
	anna, mine := x.Agent(), x.Credential().ID
	change := func(credential int64, password string) error {
		return o.ChangePassword(t.Context(), anna.ID, anna.Name, credential, password)
	}

	// KIS-7, RFC 4013: what the operator may not choose, she may not either.
	for chosen, want := range map[string]error{"short-1": ErrWeak, "anna-4711": ErrWeak, "bell\u0007-and-42": ErrPassword, "": ErrPassword} {
		err := change(mine, chosen)
		if !errors.Is(err, want) || chosen != "" && strings.Contains(err.Error(), chosen) {
			t.Errorf("ChangePassword to %q: %v, want %v and the password not in it", chosen, err, want)
		}
	}
	// A device's secret is no password, and what is not there can't be replaced.
	for _, other := range []int64{mine + 1, 99} {
		if err := change(other, "velvet-anvil-52"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("ChangePassword of credential %d: %v, want %v", other, err, store.ErrNotFound)
		}
	}
	if _, err := o.signIn(t, "anna", password, home); err != nil {
		t.Errorf("the password after changes that were refused: %v", err)
	}

	if err := change(mine, "velvet-anvil-52"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.signIn(t, "anna", password, home); !errors.Is(err, ErrDenied) {
		t.Errorf("the old password: %v, want %v", err, ErrDenied)
	}
	for _, secret := range []string{"velvet-anvil-52", "a secret of the phone"} {
		if _, err := o.signIn(t, "anna", secret, home); err != nil {
			t.Errorf("%q: %v", secret, err)
		}
	}
	// The one who changed it may do so again.
	if err := change(mine, "copper-lantern-64"); err != nil {
		t.Error(err)
	}
}
