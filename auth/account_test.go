package auth

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"parley.im/parley/auth/scram"
	"parley.im/parley/store"
)

// Every engine's account can be signed in to.
var _ Store = store.Account(nil)

// Rule 14: who offers a binding offers tls-server-end-point (XEP-0440 §3), and nobody is
// offered tls-unique.
func TestOffer(t *testing.T) {
	all := []string{
		"SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS",
		"SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1",
	}
	tests := []struct {
		name       string
		channel    scram.Channel
		config     Config
		mechanisms []string
		bindings   []string
	}{
		{"TLS 1.3", cloud, Config{}, all, []string{"tls-server-end-point", "tls-exporter"}},
		{"no exporter", scram.Channel{EndPoint: []byte("leaf")}, Config{}, all, []string{"tls-server-end-point"}},
		{"end point undefined", scram.Channel{Exporter: []byte("x")}, Config{}, all[3:], nil},
		{"no TLS", scram.Channel{}, Config{}, all[3:], nil},
		{
			"SHA-1 dropped", cloud, Config{DropSHA1: true},
			[]string{"SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-256"},
			[]string{"tls-server-end-point", "tls-exporter"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := newOffice(t, newMemory(), test.config).Offer(test.channel)
			if !slices.Equal(got.Mechanisms, test.mechanisms) || !slices.Equal(got.Bindings, test.bindings) {
				t.Errorf("Offer = %v, want %v, %v", got, test.mechanisms, test.bindings)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	m := newMemory()
	if _, err := New(t.Context(), m, "desk.example", Config{Iterations: MinIterations - 1}, nil); err == nil {
		t.Error("New with 9,999 iterations passed")
	}
	if _, err := New(t.Context(), m, "desk example", Config{}, nil); err == nil {
		t.Error("New with a space in the domain passed")
	}
	m.settings[costSetting] = "1 1e5"
	if _, err := New(t.Context(), m, "desk.example", Config{}, nil); err == nil {
		t.Error("New with a broken setting passed")
	}
	m.broken = errors.New("disk on fire")
	if _, err := New(t.Context(), m, "desk.example", Config{}, nil); !errors.Is(err, m.broken) {
		t.Errorf("New with a broken store = %v, want %v", err, m.broken)
	}
}

// HAP-5: what is kept carries version, generation and cost; the same password gives
// other keys to another name; the password is in it nowhere.
func TestVerifierHAP5(t *testing.T) {
	o := newOffice(t, newMemory(), Config{})
	anna, err := o.Verifier(t.Context(), "anna", password)
	if err != nil {
		t.Fatal(err)
	}
	boris, err := o.Verifier(t.Context(), "boris", password)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(anna), password) {
		t.Error("the password is in the verifier")
	}
	a, err := parseVerifier(anna)
	if err != nil {
		t.Fatal(err)
	}
	b, err := parseVerifier(boris)
	if err != nil {
		t.Fatal(err)
	}
	if a.generation != 1 || a.iterations != MinIterations {
		t.Errorf("generation %d, %d iterations, want 1, %d", a.generation, a.iterations, MinIterations)
	}
	for _, h := range scram.Hashes {
		if len(a.keys[h].Stored) != h.Size() || len(a.keys[h].Server) != h.Size() {
			t.Errorf("%s: keys of %d and %d bytes", h, len(a.keys[h].Stored), len(a.keys[h].Server))
		}
		if slices.Equal(a.keys[h].Stored, b.keys[h].Stored) {
			t.Errorf("%s: two agents with one password have the same key", h)
		}
	}
}

func TestVerifierDropsSHA1(t *testing.T) {
	o := newOffice(t, newMemory(), Config{DropSHA1: true})
	b, err := o.Verifier(t.Context(), "anna", password)
	if err != nil {
		t.Fatal(err)
	}
	v, err := parseVerifier(b)
	if err != nil {
		t.Fatal(err)
	}
	if v.keys[scram.SHA1].Stored != nil || v.keys[scram.SHA256].Stored == nil {
		t.Error("SHA-1 was not left out, or more than it")
	}
}

func TestParseVerifierRefuses(t *testing.T) {
	o := newOffice(t, newMemory(), Config{})
	whole, err := o.Verifier(t.Context(), "anna", password)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string][]byte{
		"empty":        nil,
		"version":      append([]byte{9}, whole[1:]...),
		"cut off":      whole[:len(whole)-1],
		"header only":  whole[:2],
		"unknown hash": append(slices.Clone(whole), 9),
	}
	for name, b := range tests {
		if _, err := parseVerifier(b); !errors.Is(err, errVerifier) {
			t.Errorf("%s: parseVerifier = %v, want %v", name, err, errVerifier)
		}
	}
}

func TestPrepareName(t *testing.T) {
	for in, want := range map[string]string{
		"anna": "anna", "Anna": "anna", "ÄNNA": "änna", "a\u0308nna": "änna", "ａｎｎａ": "anna",
	} {
		if got, err := PrepareName(in); err != nil || got != want {
			t.Errorf("PrepareName(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", " ", "an na", "anna@desk.example", "a/b", "a\"b", "a\x00", "\xff", strings.Repeat("a", 1024)} {
		if got, err := PrepareName(in); !errors.Is(err, ErrName) {
			t.Errorf("PrepareName(%.20q) = %.20q, %v, want %v", in, got, err, ErrName)
		}
	}
}
