package auth

import (
	"errors"
	"fmt"
	"sync"
	"testing"
)

// Before there is a credential the option holds, whatever was kept.
func TestCostFollowsTheOptionWithoutCredentials(t *testing.T) {
	st := newMemory()
	newOffice(t, st, Config{Iterations: 100_000})
	if len(st.settings) != 0 {
		t.Errorf("opening the account wrote settings: %v", st.settings)
	}
	first := newOffice(t, st, Config{Iterations: 20_000})
	if _, err := first.Verifier(t.Context(), "anna", password); err != nil {
		t.Fatal(err) // made, but never stored
	}
	second := newOffice(t, st, Config{Iterations: 10_000})
	if holds, wanted := second.Cost(); holds != 10_000 || wanted != 10_000 {
		t.Errorf("Cost = %d, %d, want 10000, 10000", holds, wanted)
	}
	second.store.add(t, second.Account, "anna", "password", "", password)
	if _, err := second.signIn(t, "anna", password, home); err != nil {
		t.Errorf("sign-in: %v", err)
	}
}

// A restart with another option locks nobody out, and says so.
func TestCostIsKept(t *testing.T) {
	st := newMemory()
	first := newOffice(t, st, Config{Iterations: 10_000})
	st.add(t, first.Account, "anna", "password", "", password)
	for _, option := range []int{20_000, 10_000} {
		o := newOffice(t, st, Config{Iterations: option})
		if holds, configured := o.Cost(); holds != 10_000 || configured != option {
			t.Errorf("Cost = %d, %d, want 10000, %d", holds, configured, option)
		}
		if _, err := o.signIn(t, "anna", password, home); err != nil {
			t.Errorf("sign-in with option %d: %v", option, err)
		}
		if n, err := o.Stale(t.Context()); n != 0 || err != nil {
			t.Errorf("Stale = %d, %v, want 0", n, err)
		}
	}
}

// HAP-5: a raised cost comes with the next password, after the account was told to.
func TestReissueHAP5(t *testing.T) {
	st := newMemory()
	first := newOffice(t, st, Config{Iterations: 10_000})
	st.add(t, first.Account, "anna", "password", "", password)
	o := newOffice(t, st, Config{Iterations: 20_000})
	if err := o.Reissue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := o.signIn(t, "anna", password, home); !errors.Is(err, ErrDenied) {
		t.Errorf("sign-in with an old verifier = %v, want %v", err, ErrDenied)
	}
	if n, err := o.Stale(t.Context()); n != 1 || err != nil {
		t.Errorf("Stale = %d, %v, want 1", n, err)
	}
	st.credentials = nil
	st.add(t, o.Account, "anna", "password", "", password)
	v, err := parseVerifier(st.credentials[0].Verifier)
	if err != nil || v.iterations != 20_000 || v.generation != 2 {
		t.Errorf("verifier has %d iterations, generation %d, %v, want 20000, 2", v.iterations, v.generation, err)
	}
	again := newOffice(t, st, Config{Iterations: 20_000})
	if _, err := again.signIn(t, "anna", password, home); err != nil {
		t.Errorf("sign-in after the new password: %v", err)
	}
}

func TestStaleNamesABrokenVerifier(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	o.store.credentials[0].Verifier = []byte{9}
	if _, err := o.Stale(t.Context()); !errors.Is(err, errVerifier) {
		t.Errorf("Stale = %v, want %v", err, errVerifier)
	}
}

// Many are hashed at once, as an import does.
func TestVerifiersAtOnce(t *testing.T) {
	o := newOffice(t, newMemory(), Config{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			b, err := o.Verifier(t.Context(), fmt.Sprint("agent", i), password)
			if err != nil {
				t.Error(err)
				return
			}
			if v, err := parseVerifier(b); err != nil || v.generation != 1 {
				t.Errorf("verifier of generation %d, %v, want 1", v.generation, err)
			}
		})
	}
	wg.Wait()
	written := 0
	for _, what := range o.store.asked {
		if what == "set" {
			written++
		}
	}
	if written != 1 {
		t.Errorf("the setting was written %d times, want once", written)
	}
}
