package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fails tries wrong passwords and wants each refused like the first.
func (o *office) fails(t testing.TB, n int, name string, from netip.Addr) {
	t.Helper()
	for range n {
		if _, err := o.signIn(t, name, "wrong", from); !errors.Is(err, ErrDenied) {
			t.Fatalf("wrong password: %v, want %v", err, ErrDenied)
		}
	}
}

func (o *office) want(t testing.TB, want error, name string, from netip.Addr) {
	t.Helper()
	if _, err := o.signIn(t, name, password, from); !errors.Is(err, want) {
		t.Fatalf("right password of %s from %s: %v, want %v", name, from, err, want)
	}
}

func TestLockAfterFiveFailures(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	o.fails(t, 5, "anna", home)
	o.want(t, ErrLocked, "anna", home)
	if o.last() != Locked {
		t.Errorf("reason %q, want %q", o.last(), Locked)
	}
	o.want(t, nil, "anna", hostN(1)) // elsewhere there is no lock
	o.clock = o.clock.Add(5*time.Minute - time.Second)
	o.want(t, ErrLocked, "anna", home)
	o.clock = o.clock.Add(time.Second)
	o.want(t, nil, "anna", home)
}

func TestSuccessClearsFailures(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	o.fails(t, 4, "anna", home)
	o.want(t, nil, "anna", home)
	o.fails(t, 4, "anna", home)
	o.want(t, nil, "anna", home)
}

func TestOldFailuresAreForgotten(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	o.fails(t, 4, "anna", home)
	o.clock = o.clock.Add(time.Hour)
	o.fails(t, 4, "anna", home)
	o.want(t, nil, "anna", home)
}

func TestLocksGrow(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	for _, minutes := range []time.Duration{5, 10, 20, 40, 60, 60} {
		o.fails(t, 5, "anna", home)
		o.clock = o.clock.Add(minutes*time.Minute - time.Second)
		o.want(t, ErrLocked, "anna", home)
		o.clock = o.clock.Add(time.Second)
	}
	o.want(t, nil, "anna", home)
}

// During a lock the answer to a right proof is what a guesser is after. It is given
// for as many guesses as the lock took, and then no more.
func TestLockStopsTelling(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	o.fails(t, 5+4, "anna", home)
	o.want(t, ErrLocked, "anna", home)
	o.fails(t, 1, "anna", home)
	o.want(t, ErrDenied, "anna", home)
	if o.last() != Locked {
		t.Errorf("reason %q, want %q", o.last(), Locked)
	}
	o.clock = o.clock.Add(5 * time.Minute)
	o.want(t, nil, "anna", home)
}

// Names that don't exist fill the same tables.
func TestUnknownNamesCount(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	o.fails(t, 5, "boris", home)
	o.store.add(t, o.Account, "boris", "password", "", password)
	o.want(t, ErrLocked, "boris", home)
}

func TestBudgetOfAnAddress(t *testing.T) {
	o := newOfficeWithAnna(t, Config{Lockout: Lockout{Budget: 8}})
	o.store.add(t, o.Account, "boris", "password", "", password)
	o.want(t, nil, "boris", home)
	o.fails(t, 4, "carla", home)
	o.fails(t, 4, "dora", home)
	o.want(t, ErrLocked, "anna", home)
	o.want(t, nil, "boris", home) // has signed in from there before
	o.want(t, nil, "anna", hostN(1))
	o.clock = o.clock.Add(5 * time.Minute)
	o.want(t, nil, "anna", home)
}

// One client that goes on with an old password doesn't lock its whole office.
func TestLockedPairDoesNotUseUpTheBudget(t *testing.T) {
	o := newOfficeWithAnna(t, Config{Lockout: Lockout{Budget: 20, Slow: 1000}})
	o.fails(t, 50, "carla", home)
	o.want(t, nil, "anna", home)
}

func TestKnownDeviceHasMoreTries(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	o.want(t, nil, "anna", home)
	o.fails(t, 49, "anna", home)
	o.want(t, nil, "anna", home)
	o.fails(t, 50, "anna", home)
	o.want(t, ErrLocked, "anna", home)
}

// A device's secret can't be guessed, so no lock holds it up.
func TestDeviceSecretIsNeverLocked(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	o.store.add(t, o.Account, "anna", "phone", "device-1", "secret 1")
	o.fails(t, 5, "anna", home)
	if _, err := o.signIn(t, "anna", "secret 1", home); err != nil {
		t.Errorf("device's secret during a lock: %v", err)
	}
}

func TestAddressesThatAreOne(t *testing.T) {
	tests := []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	}
	for _, test := range tests {
		a, b := network(netip.MustParseAddr(test.a)), network(netip.MustParseAddr(test.b))
		if (a == b) != test.same {
			t.Errorf("network(%s) = %s, network(%s) = %s, want same: %v", test.a, a, test.b, b, test.same)
		}
	}
	if network(netip.Addr{}) != (netip.Addr{}) {
		t.Error("no address became one")
	}
}

func TestLockoutOff(t *testing.T) {
	o := newOfficeWithAnna(t, Config{Lockout: Lockout{Off: true}})
	o.fails(t, 30, "anna", home)
	o.want(t, nil, "anna", home)
}

// Guesses from everywhere make a name's answers slow, right ones as well, and lock
// nobody.
func TestSlowDown(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	o.want(t, nil, "anna", home)
	synctest.Test(t, func(t *testing.T) {
		took := func(f func()) time.Duration {
			start := time.Now()
			f()
			return time.Since(start)
		}
		for i := range 20 {
			if d := took(func() { o.fails(t, 1, "anna", hostN(i)) }); d != 0 {
				t.Fatalf("failure %d took %v", i+1, d)
			}
		}
		o.fails(t, 1, "anna", hostN(20))
		if d := took(func() { o.fails(t, 1, "anna", hostN(21)) }); d != 100*time.Millisecond {
			t.Errorf("failure 22 took %v, want 100ms", d)
		}
		if d := took(func() { o.want(t, nil, "anna", hostN(22)) }); d != 200*time.Millisecond {
			t.Errorf("right password from a new place took %v, want 200ms", d)
		}
		if d := took(func() { o.want(t, nil, "anna", home) }); d != 0 {
			t.Errorf("right password from a known place took %v", d)
		}
		for i := range 100 {
			o.fails(t, 1, "anna", hostN(30+i))
		}
		if d := took(func() { o.fails(t, 1, "anna", hostN(200)) }); d != 5*time.Second {
			t.Errorf("failure 123 took %v, want 5s", d)
		}
		o.clock = o.clock.Add(time.Hour)
		if d := took(func() { o.want(t, nil, "anna", hostN(201)) }); d != 0 {
			t.Errorf("an hour later it took %v", d)
		}
	})
}

func TestSlowDownEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("wait = %v, want %v", err, context.Canceled)
	}
}

// Of many proofs at once none slips past the lock.
func TestLockHoldsAtOnce(t *testing.T) {
	g := newGuard(Lockout{}.withDefaults())
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { g.settle("anna", home, proof{}, now) })
	}
	wg.Wait()
	if v, _ := g.settle("anna", home, proof{right: true}, now); v != denied {
		t.Errorf("right proof after 100 wrong ones at once: verdict %d, want %d", v, denied)
	}
}

func TestTablesAreBounded(t *testing.T) {
	g := newGuard(Lockout{Entries: 16}.withDefaults())
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for i := range 1000 {
		g.settle(fmt.Sprint("name", i), hostN(i), proof{right: i%3 == 0}, now)
	}
	for name, n := range map[string]int{
		"pairs": g.pairs.order.Len(), "addrs": g.addrs.order.Len(),
		"names": g.names.order.Len(), "known": g.known.order.Len(),
	} {
		if n != 16 {
			t.Errorf("%s has %d entries, want 16", name, n)
		}
	}
}

func TestTableForgetsTheLongestUntouched(t *testing.T) {
	table := newTable[int](2)
	*table.put(1), *table.put(2) = 10, 20
	table.get(1)
	*table.put(3) = 30
	if table.get(2) != nil || *table.get(1) != 10 || *table.get(3) != 30 || len(table.at) != 2 {
		t.Error("the wrong entry was forgotten")
	}
	table.drop(1)
	table.drop(9)
	if table.get(1) != nil || table.order.Len() != 1 {
		t.Error("drop left the entry")
	}
}
