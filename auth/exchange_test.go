package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley.im/parley/auth/scram"
	"parley.im/parley/store"
)

func TestSignIn(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	for _, h := range scram.Hashes {
		for gs2, binding := range map[string]string{
			"n,,": "", "p=tls-exporter,,": "exported", "p=tls-server-end-point,,": "leaf",
		} {
			c := client{mechanism: h.Mechanism(binding != ""), gs2: gs2, binding: binding, name: "anna", password: password}
			t.Run(c.mechanism+" "+gs2, func(t *testing.T) {
				x, err := o.exchange(t, c, home)
				if err != nil {
					t.Fatal(err)
				}
				if x.Agent().Name != "anna" || x.Credential().Label != "password" {
					t.Errorf("signed in %+v with %+v", x.Agent(), x.Credential())
				}
			})
		}
	}
	if len(o.failures) != 0 {
		t.Errorf("failures: %+v", o.failures)
	}
}

// Rules 11 and 12 among others.
func TestDenied(t *testing.T) {
	o := newOfficeWithAnna(t, Config{Lockout: Lockout{Off: true}})
	base := client{mechanism: "SCRAM-SHA-256", gs2: "n,,", name: "anna", password: password}
	with := func(change func(*client)) client { c := base; change(&c); return c }
	tests := []struct {
		name   string
		client client
		want   error
		reason Reason
	}{
		{"wrong password", with(func(c *client) { c.password = "x" }), ErrDenied, BadProof},
		{"unknown name", with(func(c *client) { c.name = "boris" }), ErrDenied, BadProof},
		{"no name at all", with(func(c *client) { c.name = "a b" }), ErrDenied, BadName},
		{"whole JID as name", with(func(c *client) { c.name = "anna@desk.example" }), ErrDenied, BadName},
		{"another's authzid", with(func(c *client) { c.gs2 = "n,a=boris@desk.example," }), ErrAuthzid, BadAuthzid},
		{"another domain", with(func(c *client) { c.gs2 = "n,a=anna@shop.example," }), ErrAuthzid, BadAuthzid},
		{"authzid with resource", with(func(c *client) { c.gs2 = "n,a=anna@desk.example/x," }), ErrAuthzid, BadAuthzid},
		{"authzid not a JID", with(func(c *client) { c.gs2 = "n,a=@," }), ErrAuthzid, BadAuthzid},
		{"downgrade", with(func(c *client) { c.gs2 = "y,," }), ErrDenied, BadBinding},
		{"wrong binding", with(func(c *client) {
			c.mechanism, c.gs2, c.binding = "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", "x"
		}), ErrDenied, BadBinding},
		{"grammar", with(func(c *client) { c.gs2 = "x,," }), ErrMalformed, BadMessage},
		{"no such mechanism", with(func(c *client) { c.mechanism = "PLAIN" }), ErrMechanism, BadMechanism},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := o.exchange(t, test.client, home); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if got := o.last(); got != test.reason {
				t.Errorf("reason %q, want %q", got, test.reason)
			}
		})
	}
	if _, err := o.exchange(t, with(func(c *client) { c.gs2 = "n,a=Anna@DESK.example," }), home); err != nil {
		t.Errorf("own authzid: %v", err)
	}
}

// Rule 17: a name that doesn't exist gets the same challenge as one that does, always
// the same one, and asks the same of the store.
func TestUnknownNameLooksTheSame(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	challenge := func(name string) map[string]string {
		x, err := o.Begin(Attempt{Mechanism: "SCRAM-SHA-256", Channel: cloud, Offer: o.Offer(cloud), Addr: home})
		if err != nil {
			t.Fatal(err)
		}
		reply, _, err := x.Step(t.Context(), []byte("n,,n="+name+",r="+clientNonce))
		if err != nil {
			t.Fatal(err)
		}
		return parseChallenge(t, string(reply))
	}
	anna, boris, again := challenge("anna"), challenge("boris"), challenge("Boris")
	if boris["s"] != again["s"] {
		t.Errorf("salts of one unknown name differ: %s and %s", boris["s"], again["s"])
	}
	if boris["s"] == anna["s"] {
		t.Error("two names have one salt")
	}
	for attr := range anna {
		if len(anna[attr]) != len(boris[attr]) {
			t.Errorf("%s=%s and %s=%s differ in length", attr, anna[attr], attr, boris[attr])
		}
	}
	for _, attr := range []string{"i", "h", "t"} {
		if anna[attr] == "" || anna[attr] != boris[attr] {
			t.Errorf("%s=%s, and %s for an unknown name", attr, anna[attr], boris[attr])
		}
	}

	asked := func(name string) []string {
		o.store.asked = nil
		if _, err := o.signIn(t, name, "wrong", home); !errors.Is(err, ErrDenied) {
			t.Fatalf("%s: %v, want %v", name, err, ErrDenied)
		}
		return o.store.asked
	}
	if a, b := asked("anna"), asked("boris"); !slices.Equal(a, b) {
		t.Errorf("the store was asked %v for a known and %v for an unknown name", a, b)
	}

	// Nor does deleting change what a stranger sees.
	delete(o.store.agents, "anna")
	if gone := challenge("anna"); gone["s"] != anna["s"] || gone["i"] != anna["i"] {
		t.Errorf("challenge changed with the deletion: %v, was %v", gone, anna)
	}
}

func TestSeveralCredentials(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	for i := range MaxCredentials - 1 {
		o.store.add(t, o.Account, "anna", fmt.Sprint("phone ", i), fmt.Sprint("device-", i), fmt.Sprint("secret ", i))
	}
	for i := range MaxCredentials - 1 {
		x, err := o.signIn(t, "anna", fmt.Sprint("secret ", i), home)
		if err != nil || x.Credential().Device != fmt.Sprint("device-", i) {
			t.Fatalf("secret %d: signed in with %+v, %v", i, x.Credential(), err)
		}
	}
	// A revoked one is tried no more.
	o.store.credentials = slices.DeleteFunc(o.store.credentials, func(c store.Credential) bool {
		return c.Device == "device-3"
	})
	if _, err := o.signIn(t, "anna", "secret 3", home); !errors.Is(err, ErrDenied) {
		t.Errorf("revoked secret: %v, want %v", err, ErrDenied)
	}
}

func TestScopes(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	o.store.credentials[0].Scope = "console"
	if _, err := o.signIn(t, "anna", password, home); !errors.Is(err, ErrDenied) {
		t.Errorf("password for the console: %v, want %v", err, ErrDenied)
	}

	o = newOffice(t, newMemory(), Config{DevicesOnly: true})
	o.store.add(t, o.Account, "anna", "password", "", password)
	o.store.add(t, o.Account, "anna", "phone", "device-1", "secret 1")
	if _, err := o.signIn(t, "anna", password, home); !errors.Is(err, ErrDenied) {
		t.Errorf("password where only devices sign in: %v, want %v", err, ErrDenied)
	}
	if _, err := o.signIn(t, "anna", "secret 1", home); err != nil {
		t.Errorf("device's secret: %v", err)
	}
}

// Only who knows the password learns that the agent is disabled.
func TestDisabled(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	anna := o.store.agents["anna"]
	anna.Disabled = true
	o.store.agents["anna"] = anna
	if _, err := o.signIn(t, "anna", "wrong", home); !errors.Is(err, ErrDenied) {
		t.Errorf("wrong password: %v, want %v", err, ErrDenied)
	}
	if _, err := o.signIn(t, "anna", password, home); !errors.Is(err, ErrDisabled) || o.last() != Disabled {
		t.Errorf("right password: %v (%s), want %v", err, o.last(), ErrDisabled)
	}
}

func TestSteps(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	c := client{mechanism: "SCRAM-SHA-256", gs2: "n,,", name: "anna", password: password}
	x, err := o.Begin(Attempt{Mechanism: c.mechanism, Channel: cloud, Offer: o.Offer(cloud), Addr: home})
	if err != nil {
		t.Fatal(err)
	}
	// No initial response: one empty challenge, once.
	if reply, done, err := x.Step(t.Context(), nil); len(reply) != 0 || done || err != nil {
		t.Fatalf("Step(nil) = %q, %v, %v", reply, done, err)
	}
	challenge, _, err := x.Step(t.Context(), []byte(c.first()))
	if err != nil {
		t.Fatal(err)
	}
	final, _ := c.final(t, string(challenge))
	if _, done, err := x.Step(t.Context(), []byte(final)); !done || err != nil {
		t.Fatalf("Step = %v, %v", done, err)
	}
	if _, done, err := x.Step(t.Context(), []byte(final)); done || !errors.Is(err, ErrMalformed) {
		t.Errorf("Step after the end = %v, %v, want %v", done, err, ErrMalformed)
	}

	x, err = o.Begin(Attempt{Mechanism: c.mechanism, Channel: cloud, Offer: o.Offer(cloud), Addr: home})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Step(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Step(t.Context(), nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("Step(nil) twice = %v, want %v", err, ErrMalformed)
	}
	if _, _, err := x.Step(t.Context(), []byte(c.first())); !errors.Is(err, ErrMalformed) {
		t.Errorf("Step after a failure = %v, want %v", err, ErrMalformed)
	}
}

// What the store can't answer is not the client's fault, and counts for nothing.
func TestBrokenStore(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	o.store.broken = store.ErrUnavailable
	for range 10 {
		if _, err := o.signIn(t, "anna", "wrong", home); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, ErrDenied) {
			t.Fatalf("sign-in = %v, want %v", err, store.ErrUnavailable)
		}
	}
	o.store.broken = nil
	if _, err := o.signIn(t, "anna", password, home); err != nil || len(o.failures) != 0 {
		t.Errorf("sign-in = %v after %d failures", err, len(o.failures))
	}
}

func TestFailureSaysWho(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	for _, name := range []string{"Anna", "boris"} {
		if _, err := o.signIn(t, name, "wrong", home); !errors.Is(err, ErrDenied) {
			t.Fatal(err)
		}
	}
	want := []Failure{
		{Name: "anna", Known: true, Agent: 1, Addr: home, Mechanism: "SCRAM-SHA-256", Reason: BadProof, At: o.clock},
		{Name: "boris", Addr: home, Mechanism: "SCRAM-SHA-256", Reason: BadProof, At: o.clock},
	}
	if !slices.Equal(o.failures, want) {
		t.Errorf("failures %+v, want %+v", o.failures, want)
	}
}

// I7: whatever a client sends, errors don't repeat it.
func TestErrorsHoldNoSecrets(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	const marker = "s3cr3t-marker"
	_, verr := o.Verifier(t.Context(), "anna", marker+"\x00")
	cerr := o.CheckPassword("anna", marker+"\u0221")
	_, serr := o.signIn(t, marker+"@x", marker, home)
	x, err := o.Begin(Attempt{Mechanism: "SCRAM-SHA-256", Channel: cloud, Offer: o.Offer(cloud), Addr: home})
	if err != nil {
		t.Fatal(err)
	}
	_, _, merr := x.Step(t.Context(), []byte("n,,"+marker))
	for _, err := range []error{verr, cerr, serr, merr} {
		if err == nil || strings.Contains(err.Error(), marker) {
			t.Errorf("error %v", err)
		}
	}
}

func FuzzExchange(f *testing.F) {
	o := newOfficeWithAnna(f, Config{Lockout: Lockout{Off: true}})
	c := client{mechanism: "SCRAM-SHA-256", gs2: "n,,", name: "anna", password: password}
	f.Add([]byte(c.first()), []byte("c=biws,r=fyko,p=dHzb"), uint8(4))
	f.Add([]byte("p=tls-exporter,,n=anna,r=fyko+d2lbbFg"), []byte("c=biws,r=fyko,p=dHzb"), uint8(1))
	f.Fuzz(func(t *testing.T, first, final []byte, mechanism uint8) {
		offer := o.Offer(cloud)
		name := offer.Mechanisms[int(mechanism)%len(offer.Mechanisms)]
		x, err := o.Begin(Attempt{Mechanism: name, Channel: cloud, Offer: offer, Addr: home})
		if err != nil {
			t.Fatal(err)
		}
		o.failures = o.failures[:0]
		for _, msg := range [][]byte{first, final} {
			_, done, err := x.Step(t.Context(), msg)
			if done {
				t.Fatalf("signed in with %q, %q", first, final)
			}
			if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrDenied) {
				t.Fatalf("Step(%q) = %v", msg, err)
			}
		}
	})
}

func BenchmarkSignIn(b *testing.B) {
	o := newOfficeWithAnna(b, Config{})
	c := client{mechanism: "SCRAM-SHA-256", gs2: "n,,", name: "anna", password: password}
	if _, err := o.exchange(b, c, home); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		x, err := o.Begin(Attempt{Mechanism: c.mechanism, Channel: cloud, Offer: o.Offer(cloud), Addr: home})
		if err != nil {
			b.Fatal(err)
		}
		first := []byte(c.first())
		b.StartTimer()
		challenge, _, err := x.Step(b.Context(), first)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		final, _ := c.final(b, string(challenge))
		b.StartTimer()
		if _, _, err := x.Step(b.Context(), []byte(final)); err != nil {
			b.Fatal(err)
		}
	}
}
