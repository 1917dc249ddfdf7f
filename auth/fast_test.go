package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley.im/parley/auth/scram"
	"parley.im/parley/store"
)

const (
	laptop = "d4565fa7-4d72-4749-b3d3-740edbf87770"
	phone  = "8a1c5e0e-93d4-4f0a-9f0e-2b0c5d8f3a11"
	day    = 24 * time.Hour
)

// bindings are what cloud has for each mechanism.
var bindings = map[string]string{"HT-SHA-256-EXPR": "exported", "HT-SHA-256-ENDP": "leaf", "HT-SHA-256-NONE": ""}

func hashed(token, who, binding string) string {
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte(who + binding))
	return string(m.Sum(nil))
}

// with is a token as Anna's laptop sends it.
func with(token, mechanism string) Redemption {
	return Redemption{
		Mechanism: mechanism, Channel: cloud, Client: laptop, From: "anna@desk.example", Addr: home,
		Message: []byte("anna\x00" + hashed(token, "Initiator", bindings[mechanism])),
	}
}

// issue gives Anna's client a token for the credential with that id.
func (o *office) issue(t testing.TB, client, mechanism string, credential int64) string {
	t.Helper()
	token, err := o.IssueToken(t.Context(), client, mechanism, held(t, o.Account, o.store.agents["anna"].ID, credential))
	if err != nil {
		t.Fatal(err)
	}
	if want := o.clock.Add(21 * day); !token.Expiry.Equal(want) {
		t.Errorf("expiry %v, want %v", token.Expiry, want)
	}
	return token.Secret
}

// held is what an agent has as that credential now, or what she would have.
func held(t testing.TB, a *Account, agent store.AgentID, id int64) store.Credential {
	t.Helper()
	list, err := a.store.Credentials(t.Context(), agent)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.ID == id {
			return c
		}
	}
	return store.Credential{Agent: agent, ID: id}
}

// redeems says what becomes of a sign-in with a token.
func (o *office) redeems(t testing.TB, what string, r Redemption, want error) Redeemed {
	t.Helper()
	got, err := o.Redeem(t.Context(), r)
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
	if err != nil && (got.Agent.ID != 0 || got.Reply != nil || got.Due) {
		t.Errorf("%s: %+v with an error", what, got)
	}
	return got
}

func TestFastMechanisms(t *testing.T) {
	tests := []struct {
		name    string
		channel scram.Channel
		config  Config
		want    string
	}{
		{"TLS 1.3", cloud, Config{}, "HT-SHA-256-EXPR HT-SHA-256-ENDP HT-SHA-256-NONE"},
		{"no exporter", scram.Channel{EndPoint: []byte("leaf")}, Config{}, "HT-SHA-256-ENDP HT-SHA-256-NONE"},
		{"end point undefined", scram.Channel{Exporter: []byte("x")}, Config{}, "HT-SHA-256-NONE"},
		{"no binding", cloud, Config{NoBinding: true}, "HT-SHA-256-NONE"},
	}
	for _, test := range tests {
		got := newOffice(t, newMemory(), test.config).FastMechanisms(test.channel)
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: FastMechanisms = %v, want %v", test.name, got, test.want)
		}
	}
}

func TestRedeem(t *testing.T) {
	for mechanism, binding := range bindings {
		t.Run(mechanism, func(t *testing.T) {
			o := newOfficeWithAnna(t, Config{})
			token := o.issue(t, laptop, mechanism, 1)
			for range 2 {
				got := o.redeems(t, "right", with(token, mechanism), nil)
				if got.Agent.Name != "anna" || got.Credential.ID != 1 || got.Due {
					t.Errorf("redeemed %+v", got)
				}
				if want := hashed(token, "Responder", binding); string(got.Reply) != want {
					t.Errorf("reply %x, want %x", got.Reply, want)
				}
			}
			r := with(token, mechanism)
			r.From = ""
			o.redeems(t, "without from", r, nil)
			if len(token) < 26 || len(o.failures) != 0 {
				t.Errorf("a token of %d bytes, failures %+v", len(token), o.failures)
			}
		})
	}
}

// Rule 15: a token is bound to mechanism and client, and by its mechanism to the
// connection.
func TestRedeemRefuses(t *testing.T) {
	o := newOfficeWithAnna(t, Config{Lockout: Lockout{Off: true}})
	o.store.add(t, o.Account, "boris", "password", "", password)
	const expr, endp, none = "HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE"
	token := o.issue(t, laptop, expr, 1)
	other := o.issue(t, phone, none, 1)
	change := func(f func(*Redemption)) Redemption {
		r := with(token, expr)
		f(&r)
		return r
	}
	says := func(name, proof string) Redemption {
		return change(func(r *Redemption) { r.Message, r.From = []byte(name+proof), "" })
	}
	proof := "\x00" + hashed(token, "Initiator", "exported")
	tests := []struct {
		name   string
		in     Redemption
		want   error
		reason Reason
	}{
		{"without the binding it was asked for with", with(token, none), ErrDenied, BadProof},
		{"with another binding", with(token, endp), ErrDenied, BadProof},
		{"another client's id", change(func(r *Redemption) { r.Client = phone }), ErrDenied, BadProof},
		{"another client's token", with(other, none), ErrDenied, BadProof},
		{"a client without tokens", change(func(r *Redemption) { r.Client = "tablet" }), ErrDenied, BadProof},
		{"another connection", change(func(r *Redemption) { r.Channel.Exporter = []byte("elsewhere") }), ErrDenied, BadProof},
		{"wrong token", with(other, expr), ErrDenied, BadProof},
		{"what stands in for a token", with(standIn, none), ErrDenied, BadProof},
		{"the server's answer", says("anna", "\x00"+hashed(token, "Responder", "exported")), ErrDenied, BadProof},
		{"another's token", says("boris", proof), ErrDenied, BadProof},
		{"unknown name", says("carla", proof), ErrDenied, BadProof},
		{"no name that could be", says("a b", proof), ErrDenied, BadName},
		{"another's stream", change(func(r *Redemption) { r.From = "boris@desk.example" }), ErrAuthzid, BadAuthzid},
		{"another domain's stream", change(func(r *Redemption) { r.From = "anna@shop.example" }), ErrAuthzid, BadAuthzid},
		{"no message", change(func(r *Redemption) { r.Message = nil }), ErrMalformed, BadMessage},
		{"no NUL", says("anna", ""), ErrMalformed, BadMessage},
		{"no name", says("", proof), ErrMalformed, BadMessage},
		{"name not UTF-8", says("\xff", proof), ErrMalformed, BadMessage},
		{"hash cut off", says("anna", proof[:32]), ErrMalformed, BadMessage},
		{"hash with more", says("anna", proof+"x"), ErrMalformed, BadMessage},
		{"no client", change(func(r *Redemption) { r.Client = "" }), ErrMalformed, BadMessage},
		{"client too long", change(func(r *Redemption) { r.Client = strings.Repeat("a", 65) }), ErrMalformed, BadMessage},
		{"client not ASCII", change(func(r *Redemption) { r.Client = "\u00e4" }), ErrMalformed, BadMessage},
		{"no such mechanism", change(func(r *Redemption) { r.Mechanism = "HT-SHA-256-UNIQ" }), ErrMechanism, BadMechanism},
		{"not announced there", change(func(r *Redemption) { r.Channel.Exporter = nil }), ErrMechanism, BadMechanism},
	}
	for _, test := range tests {
		o.redeems(t, test.name, test.in, test.want)
		if got := o.last(); got != test.reason {
			t.Errorf("%s: reason %q, want %q", test.name, got, test.reason)
		}
		if f := o.failures[len(o.failures)-1]; strings.Contains(fmt.Sprint(f), token) || f.Addr != home || f.At != o.clock {
			t.Errorf("%s: failure %+v", test.name, f)
		}
	}
	o.redeems(t, "the right one", with(token, expr), nil)
}

// Rule 15: a new token ends the old one when it is used, and not before.
func TestTokenRotation(t *testing.T) {
	const m = "HT-SHA-256-EXPR"
	o := newOfficeWithAnna(t, Config{})
	old := o.issue(t, laptop, m, 1)
	o.clock = o.clock.Add(7*day - time.Second)
	if o.redeems(t, "before a week", with(old, m), nil).Due {
		t.Error("due before a week")
	}
	o.clock = o.clock.Add(time.Second)
	if !o.redeems(t, "after a week", with(old, m), nil).Due {
		t.Error("not due after a week")
	}
	lost := o.issue(t, laptop, m, 1)
	if !o.redeems(t, "the old one beside a new one", with(old, m), nil).Due {
		t.Error("not due although the new one was not received")
	}
	// XEP-0484 §3.5: what was never used goes with the next one.
	fresh := o.issue(t, laptop, m, 1)
	o.redeems(t, "the one that was lost", with(lost, m), ErrDenied)
	o.redeems(t, "the old one", with(old, m), nil)
	if o.redeems(t, "the new one", with(fresh, m), nil).Due {
		t.Error("the new one is due")
	}
	o.redeems(t, "the old one after it", with(old, m), ErrDenied)
	o.redeems(t, "the new one again", with(fresh, m), nil)
}

func TestTokenExpires(t *testing.T) {
	const m = "HT-SHA-256-NONE"
	o := newOfficeWithAnna(t, Config{})
	token := o.issue(t, laptop, m, 1)
	start := o.clock
	o.clock = start.Add(21*day - time.Second)
	o.redeems(t, "in time", with(token, m), nil)
	o.clock = start.Add(21 * day)
	o.redeems(t, "a wrong one then", with("wrong", m), ErrDenied)
	o.redeems(t, "too late", with(token, m), ErrExpired)
	if o.last() != Expired || len(o.store.own) != 0 {
		t.Errorf("reason %q; %d clients' tokens are kept", o.last(), len(o.store.own))
	}
	// It is gone, though somebody sets the clock back.
	o.clock = start
	o.redeems(t, "too late, again", with(token, m), ErrDenied)

	// It takes no other one with it, and old ones of other clients stay while there is room,
	// so that they are told.
	token = o.issue(t, laptop, m, 1)
	o.redeems(t, "the first", with(token, m), nil)
	o.issue(t, phone, m, 1)
	o.clock = start.Add(20 * day)
	fresh := o.issue(t, laptop, m, 1)
	o.clock = start.Add(22 * day)
	o.redeems(t, "the first, too late", with(token, m), ErrExpired)
	o.redeems(t, "the second", with(fresh, m), nil)
	o.issue(t, laptop, m, 1)
	if len(o.store.own) != 2 {
		t.Errorf("%d clients' tokens are kept, want 2", len(o.store.own))
	}
}

// Rule 15: who signs out on a machine leaves nothing there (XEP-0484 §3.6).
func TestTokenInvalidated(t *testing.T) {
	const m = "HT-SHA-256-ENDP"
	o := newOfficeWithAnna(t, Config{})
	token := o.issue(t, laptop, m, 1)
	other, err := o.IssueToken(t.Context(), phone, m, held(t, o.Account, o.store.agents["anna"].ID, 1))
	if err != nil {
		t.Fatal(err)
	}
	o.redeems(t, "the first", with(token, m), nil)
	o.clock = o.clock.Add(8 * day)
	fresh := o.issue(t, laptop, m, 1)
	wrong := with("wrong", m)
	wrong.Invalidate = true
	o.redeems(t, "a stranger's", wrong, ErrDenied)
	r := with(token, m)
	r.Invalidate = true
	if o.redeems(t, "the last", r, nil).Due {
		t.Error("who wants no token is to get one")
	}
	o.redeems(t, "the same after it", with(token, m), ErrDenied)
	o.redeems(t, "the new one after it", with(fresh, m), ErrDenied)
	r = with(other.Secret, m)
	r.Client = phone
	o.redeems(t, "another client's", r, nil)
}

// Rule 15: the tokens of a credential end with it, however it ends.
func TestTokenEndsWithItsCredential(t *testing.T) {
	const m = "HT-SHA-256-EXPR"
	for name, end := range map[string]func(*office) error{
		"changed by her": func(o *office) error {
			return o.ChangePassword(t.Context(), 1, "anna", 1, "velvet-anvil-52")
		},
		"changed to the same": func(o *office) error {
			o.clock = o.clock.Add(time.Second)
			return o.ChangePassword(t.Context(), 1, "anna", 1, password)
		},
		"replaced by the operator": func(o *office) error {
			o.store.credentials[0].ID = 99
			return nil
		},
		"deleted": func(o *office) error {
			o.store.credentials = o.store.credentials[1:]
			return nil
		},
		"for the console only": func(o *office) error {
			o.store.credentials[0].Scope = "console"
			return nil
		},
		"to be issued anew": func(o *office) error { return o.Reissue(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOfficeWithAnna(t, Config{})
			o.store.add(t, o.Account, "anna", "phone", "device-1", "secret 1")
			token, device := o.issue(t, laptop, m, 1), o.issue(t, phone, m, 2)
			o.redeems(t, "before", with(token, m), nil)
			if err := end(o); err != nil {
				t.Fatal(err)
			}
			o.redeems(t, "after", with(token, m), ErrExpired)
			o.redeems(t, "after that", with(token, m), ErrDenied)
			var want error
			if name == "to be issued anew" {
				want = ErrExpired
			}
			r := with(device, m)
			r.Client = phone
			o.redeems(t, "the device's", r, want)
		})
	}
}

// A session that outlives its credential gets no token, and none is for what there is
// not.
func TestIssueTokenRefuses(t *testing.T) {
	o := newOfficeWithAnna(t, Config{DevicesOnly: true})
	o.store.add(t, o.Account, "anna", "phone", "device-1", "secret 1")
	anna := o.store.agents["anna"]
	for _, test := range []struct {
		client, mechanism string
		credential        int64
		want              error
	}{
		{laptop, "HT-SHA-256-NONE", 99, ErrDenied},
		{laptop, "HT-SHA-256-NONE", 1, ErrDenied}, // a password
		{laptop, "SCRAM-SHA-256", 2, ErrMechanism},
		{"", "HT-SHA-256-NONE", 2, ErrMalformed},
		{laptop, "HT-SHA-256-NONE", 2, nil},
	} {
		if _, err := o.IssueToken(t.Context(), test.client, test.mechanism, held(t, o.Account, anna.ID, test.credential)); !errors.Is(err, test.want) {
			t.Errorf("IssueToken(%+v) = %v, want %v", test, err, test.want)
		}
	}
	second := held(t, o.Account, anna.ID, 2)
	o.store.broken = store.ErrFull
	if _, err := o.IssueToken(t.Context(), laptop, "HT-SHA-256-NONE", second); !errors.Is(err, store.ErrFull) {
		t.Errorf("IssueToken with a full disk = %v, want %v", err, store.ErrFull)
	}
}

// Only who has the token learns that the agent is disabled, and it is good still when
// she is back.
func TestTokenOfTheDisabled(t *testing.T) {
	const m = "HT-SHA-256-EXPR"
	o := newOfficeWithAnna(t, Config{})
	token := o.issue(t, laptop, m, 1)
	anna := o.store.agents["anna"]
	anna.Disabled = true
	o.store.agents["anna"] = anna
	o.redeems(t, "wrong", with("wrong", m), ErrDenied)
	r := with(token, m)
	r.Invalidate = true
	o.redeems(t, "right", r, ErrDisabled)
	if o.last() != Disabled {
		t.Errorf("reason %q, want %q", o.last(), Disabled)
	}
	anna.Disabled = false
	o.store.agents["anna"] = anna
	o.redeems(t, "later", with(token, m), nil)
}

// Of seventeen clients the one unused longest has to ask for the password again.
func TestTokensOfManyClients(t *testing.T) {
	const m = "HT-SHA-256-EXPR"
	o := newOfficeWithAnna(t, Config{})
	tokens := map[string]string{}
	signsIn := func(client string, want error) {
		t.Helper()
		r := with(tokens[client], m)
		r.Client = client
		o.redeems(t, client, r, want)
		o.clock = o.clock.Add(2 * time.Hour)
	}
	for i := range 16 {
		client := fmt.Sprint("client-", i)
		tokens[client] = o.issue(t, client, m, 1)
		signsIn(client, nil)
	}
	signsIn("client-0", nil) // the second one is the oldest now
	tokens["client-5"] = o.issue(t, "client-5", m, 1)
	if len(o.store.own) != 16 {
		t.Errorf("%d clients have tokens, want 16", len(o.store.own))
	}
	tokens["client-16"] = o.issue(t, "client-16", m, 1)
	if len(o.store.own) != 16 {
		t.Errorf("%d clients have tokens, want 16", len(o.store.own))
	}
	signsIn("client-1", ErrDenied)
	for _, client := range []string{"client-0", "client-2", "client-5", "client-15", "client-16"} {
		signsIn(client, nil)
	}
}

// A client that opens several streams at once with its new token loses none of them.
func TestTokenUsedManyTimesAtOnce(t *testing.T) {
	const m = "HT-SHA-256-EXPR"
	o := newOfficeWithAnna(t, Config{})
	o.redeems(t, "old", with(o.issue(t, laptop, m, 1), m), nil)
	token := o.issue(t, laptop, m, 1)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { o.redeems(t, "new", with(token, m), nil) })
	}
	wg.Wait()
	r := with(token, m)
	r.Invalidate = true
	o.redeems(t, "last", r, nil)
	o.redeems(t, "after the last", with(token, m), ErrDenied)
}

// A token that was handed out is good, whatever the client's other streams do meanwhile,
// and however many clients come at once.
func TestTokensIssuedAtOnce(t *testing.T) {
	const m = "HT-SHA-256-EXPR"
	o := newOfficeWithAnna(t, Config{})
	token := o.issue(t, laptop, m, 1)
	o.redeems(t, "the first", with(token, m), nil)
	for range 200 {
		o.clock = o.clock.Add(time.Hour)
		var wg sync.WaitGroup
		var fresh string
		wg.Go(func() { o.redeems(t, "the last", with(token, m), nil) })
		wg.Go(func() { fresh = o.issue(t, laptop, m, 1) })
		wg.Wait()
		if o.redeems(t, "the new one", with(fresh, m), nil); t.Failed() {
			return
		}
		token = fresh
	}
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() { o.issue(t, fmt.Sprint("client-", i), m, 1) })
	}
	wg.Wait()
	if len(o.store.own) != 16 {
		t.Errorf("%d clients have tokens, want 16", len(o.store.own))
	}
}

func TestParseTokensRefuses(t *testing.T) {
	tokens := clientTokens{client: laptop, used: time.Unix(1, 0)}
	for i := range tokens.slots {
		tokens.slots[i] = slot{mechanism: htNone, secret: standIn, expiry: time.Unix(2, 0)}
	}
	whole := tokens.encode()
	if got, err := parseTokens(laptop, whole); err != nil || got != tokens {
		t.Errorf("parseTokens = %+v, %v, want %+v", got, err, tokens)
	}
	for n := range whole {
		if _, err := parseTokens(laptop, whole[:n]); !errors.Is(err, errTokens) {
			t.Errorf("parseTokens of %d bytes = %v, want %v", n, err, errTokens)
		}
	}
	if _, err := parseTokens(laptop, append(slices.Clone(whole), 0)); !errors.Is(err, errTokens) {
		t.Errorf("parseTokens with a byte more = %v, want %v", err, errTokens)
	}
}
