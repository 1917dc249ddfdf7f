package auth

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley.im/parley/store"
)

// Rule 17: whether there is such a name, and whether it has tokens, makes no difference
// to what a stranger sees, nor to what the store is asked.
func TestWrongTokensLookTheSame(t *testing.T) {
	const m = "HT-SHA-256-NONE"
	o := newOfficeWithAnna(t, Config{})
	o.store.add(t, o.Account, "boris", "password", "", password)
	o.issue(t, laptop, m, 1)
	var said []string
	for i, name := range []string{"anna", "boris", "carla"} {
		o.store.asked = nil
		r := with("wrong", m)
		r.Message, r.From, r.Addr = []byte(name+"\x00"+hashed("wrong", "Initiator", "")), "", hostN(i)
		_, err := o.Redeem(t.Context(), r)
		said = append(said, fmt.Sprint(err, o.store.asked, o.last()))
	}
	if said[0] != said[1] || said[1] != said[2] {
		t.Errorf("three names, three answers: %q", said)
	}
	for _, f := range o.failures {
		if f.Known != (f.Name != "carla") || f.Mechanism != m {
			t.Errorf("failure %+v", f)
		}
	}
	o.store.broken = store.ErrUnavailable
	o.redeems(t, "with a broken store", with("wrong", m), store.ErrUnavailable)
}

// Wrong tokens count like wrong passwords. Devices' tokens pass, as their secrets do.
func TestTokensAndLocks(t *testing.T) {
	const m = "HT-SHA-256-EXPR"
	o := newOfficeWithAnna(t, Config{})
	o.store.add(t, o.Account, "anna", "phone", "device-1", "secret 1")
	token, device := o.issue(t, laptop, m, 1), o.issue(t, phone, m, 2)
	for range 5 {
		o.redeems(t, "wrong", with("wrong", m), ErrDenied)
	}
	r := with(token, m)
	r.Invalidate = true
	o.redeems(t, "right while locked", r, ErrLocked)
	o.want(t, ErrLocked, "anna", home)
	r = with(device, m)
	r.Client = phone
	o.redeems(t, "a device's while locked", r, nil)
	o.redeems(t, "right from a place that is known", with(token, m), nil)

	synctest.Test(t, func(t *testing.T) {
		r := with("wrong", m)
		for i := range 21 {
			r.Addr = hostN(i)
			o.redeems(t, "guess", r, ErrDenied)
		}
		start := time.Now()
		r.Addr = hostN(21)
		o.redeems(t, "guess", r, ErrDenied)
		wrong := time.Since(start)
		r = with(token, m)
		r.Addr = hostN(22)
		start = time.Now()
		o.redeems(t, "right from a new place", r, nil)
		if right := time.Since(start); wrong == 0 || right < wrong {
			t.Errorf("a wrong one took %v, then a right one %v", wrong, right)
		}
	})
}

// A token that is right and too old is no guess: clients that come back after a
// password's change don't lock their office out.
func TestExpiredTokensLockNobody(t *testing.T) {
	const m = "HT-SHA-256-EXPR"
	o := newOfficeWithAnna(t, Config{})
	var list []Redemption
	for i := range 10 {
		r := with(o.issue(t, fmt.Sprint("client-", i), m, 1), m)
		r.Client = fmt.Sprint("client-", i)
		list = append(list, r)
	}
	o.clock = o.clock.Add(30 * day)
	for _, r := range list {
		o.redeems(t, r.Client, r, ErrExpired)
	}
	o.want(t, nil, "anna", home)
}

// Whatever a client sends, only the right message signs in.
func FuzzRedeem(f *testing.F) {
	o := newOfficeWithAnna(f, Config{Lockout: Lockout{Off: true}})
	tokens := map[string]string{}
	for m := range bindings {
		token, err := o.IssueToken(f.Context(), "client for "+m[11:], m, held(f, o.Account, o.store.agents["anna"].ID, 1))
		if err == nil {
			f.Fatal("a client's id with a space passed")
		}
		if token, err = o.IssueToken(f.Context(), m, m, held(f, o.Account, o.store.agents["anna"].ID, 1)); err != nil {
			f.Fatal(err)
		}
		tokens[m] = token.Secret
	}
	mechanisms := o.FastMechanisms(cloud)
	for i, m := range mechanisms {
		f.Add(with(tokens[m], m).Message, uint8(i), m, "anna@desk.example")
		f.Add([]byte("anna\x00"+tokens[m]), uint8(i), laptop, "")
	}
	f.Add([]byte("\x00\x00"), uint8(3), "", "@")
	f.Fuzz(func(t *testing.T, msg []byte, mechanism uint8, client, from string) {
		m := mechanisms[int(mechanism)%len(mechanisms)]
		o.failures = o.failures[:0]
		got, err := o.Redeem(t.Context(), Redemption{Mechanism: m, Channel: cloud, Client: client, From: from, Message: msg, Addr: home})
		name, proof, _ := strings.Cut(string(msg), "\x00")
		prepared, _ := PrepareName(name)
		right := client == m && prepared == "anna" && proof == hashed(tokens[m], "Initiator", bindings[m]) && o.isSelf(from, "anna")
		switch {
		case right && (err != nil || got.Agent.Name != "anna"):
			t.Fatalf("the right message: %+v, %v", got, err)
		case !right && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrDenied):
			t.Fatalf("Redeem(%q) = %+v, %v", msg, got, err)
		case !right && len(o.failures) != 1:
			t.Fatalf("Redeem(%q) told of %d failures", msg, len(o.failures))
		}
	})
}

// Who comes with a token of the password before is told that it has expired, also when another
// client has got a new one meanwhile, and is not taken for somebody who guesses.
func TestExpiredTokensLockNobodyAfterANewOne(t *testing.T) {
	const m = "HT-SHA-256-EXPR"
	o := newOfficeWithAnna(t, Config{})
	var list []Redemption
	for i := range 6 {
		r := with(o.issue(t, fmt.Sprint("client-", i), m, 1), m)
		r.Client = fmt.Sprint("client-", i)
		list = append(list, r)
	}
	if err := o.ChangePassword(t.Context(), o.store.agents["anna"].ID, "anna", 1, "battery staple 43"); err != nil {
		t.Fatal(err)
	}
	o.issue(t, "new-client", m, 1)
	for _, r := range list {
		o.redeems(t, r.Client, r, ErrExpired)
	}
	if _, err := o.signIn(t, "anna", "battery staple 43", home); err != nil {
		t.Errorf("by the new password: %v", err)
	}
}
