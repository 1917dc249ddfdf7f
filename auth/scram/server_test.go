package scram

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

const (
	clientNonce = "rOprNGfwEbeRWgbNEkqO"
	serverNonce = "3rfcNHYJY1ZVvWVs7j"
	iterations  = 4096
)

var (
	salt    = []byte("sixteen bytes ok")
	channel = Channel{Version: tls.VersionTLS13, Exporter: []byte("exported"), EndPoint: []byte("leaf")}
	offered = Offer{
		Mechanisms: []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"},
		Bindings:   []string{BindEndPoint, BindExporter},
	}
)

// A client is enough of one to make right and wrong messages.
type client struct {
	hash     Hash
	password string
	gs2      string
	binding  string
	name     string // as it is written into the message
}

func (c client) first() string { return c.gs2 + "n=" + c.name + ",r=" + clientNonce }

// final answers serverFirst; change may edit what the proof covers, and what not.
func (c client) final(t testing.TB, serverFirst string, change func(bare string) string) string {
	t.Helper()
	nonce, _, _ := strings.Cut(serverFirst, ",")
	bare := "c=" + base64.StdEncoding.EncodeToString([]byte(c.gs2+c.binding)) + "," + nonce
	if change != nil {
		bare = change(bare)
	}
	message := c.first()[len(c.gs2):] + "," + serverFirst + "," + bare
	return bare + ",p=" + base64.StdEncoding.EncodeToString(c.proof(t, message))
}

func (c client) proof(t testing.TB, message string) []byte {
	t.Helper()
	keys := derive(t, c.hash, c.password)
	signature := mac(c.hash, keys.Stored, []byte(message))
	clientKey := clientKey(t, c.hash, c.password)
	for i := range signature {
		signature[i] ^= clientKey[i]
	}
	return signature
}

func derive(t testing.TB, h Hash, password string) Keys {
	t.Helper()
	k, err := Derive(h, password, salt, iterations)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newServer(t testing.TB, mechanism string, ch Channel, o Offer) *Server {
	t.Helper()
	s, err := New(mechanism, ch, o, func() string { return serverNonce })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start goes as far as the challenge.
func start(t testing.TB, s *Server, first string) string {
	t.Helper()
	if _, _, err := s.First([]byte(first)); err != nil {
		t.Fatalf("First(%q) = %v", first, err)
	}
	challenge, err := s.Challenge(salt, iterations)
	if err != nil {
		t.Fatal(err)
	}
	return string(challenge)
}

var bindings = []struct {
	name      string
	mechanism string
	gs2       string
	data      string
	channel   Channel
	offer     Offer
	first     error // of First
	final     error // of Final
}{
	{"n without -PLUS", "SCRAM-SHA-256", "n,,", "", channel, offered, nil, nil},
	{"y, nothing to bind to", "SCRAM-SHA-256", "y,,", "", Channel{}, Offer{Mechanisms: []string{"SCRAM-SHA-256"}}, nil, nil},
	{"exporter", "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", "exported", channel, offered, nil, nil},
	{"end point", "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", "leaf", channel, offered, nil, nil},
	{"authzid bound too", "SCRAM-SHA-256-PLUS", "p=tls-exporter,a=anna@desk.example,", "exported", channel, offered, nil, nil},

	{"y while -PLUS was offered", "SCRAM-SHA-256", "y,,", "", channel, offered, ErrBinding, nil},
	{"n with -PLUS", "SCRAM-SHA-256-PLUS", "n,,", "", channel, offered, ErrBinding, nil},
	{"y with -PLUS", "SCRAM-SHA-256-PLUS", "y,,", "", channel, offered, ErrBinding, nil},
	{"p without -PLUS", "SCRAM-SHA-256", "p=tls-exporter,,", "exported", channel, offered, ErrBinding, nil},
	{"unknown type", "SCRAM-SHA-256-PLUS", "p=tls-unique,,", "exported", channel, offered, ErrBinding, nil},
	{"type without data", "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", "", Channel{EndPoint: []byte("leaf")}, offered, ErrBinding, nil},
	{"another connection", "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", "expected", channel, offered, nil, ErrBinding},
	{"another type's data", "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", "leaf", channel, offered, nil, ErrBinding},
	{"data cut off", "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", "", channel, offered, nil, ErrBinding},
	{"data without binding", "SCRAM-SHA-256", "n,,", "exported", channel, offered, nil, ErrBinding},
}

// Rule 11: RFC 5802 §6, RFC 9266 §2.
func TestChannelBinding(t *testing.T) {
	for _, test := range bindings {
		t.Run(test.name, func(t *testing.T) {
			c := client{hash: SHA256, password: "pencil", gs2: test.gs2, binding: test.data, name: "anna"}
			s := newServer(t, test.mechanism, test.channel, test.offer)
			_, _, err := s.First([]byte(c.first()))
			if !errors.Is(err, test.first) {
				t.Fatalf("First(%q) = %v, want %v", c.first(), err, test.first)
			}
			if test.first != nil {
				return
			}
			challenge, err := s.Challenge(salt, iterations)
			if err != nil {
				t.Fatal(err)
			}
			final := c.final(t, string(challenge), nil)
			index, _, err := s.Final([]byte(final), []Keys{derive(t, SHA256, "pencil")})
			if !errors.Is(err, test.final) || (err == nil) != (index == 0) {
				t.Errorf("Final(%q) = %d, %v, want %v", final, index, err, test.final)
			}
		})
	}
}

// Binding errors are refusals, not breaches of the grammar.
func TestBindingErrorIsDenied(t *testing.T) {
	if !errors.Is(ErrBinding, ErrDenied) {
		t.Error("ErrBinding is not ErrDenied")
	}
}

func TestEveryCandidateCounts(t *testing.T) {
	right, other := derive(t, SHA256, "pencil"), derive(t, SHA256, "eraser")
	c := client{hash: SHA256, password: "pencil", gs2: "n,,", name: "anna"}
	tests := []struct {
		name string
		keys []Keys
		want int
	}{
		{"first", []Keys{right, other}, 0},
		{"last", []Keys{other, {}, other, right}, 3},
		{"twice", []Keys{other, right, right}, 1},
		{"none", []Keys{other, {}, {}}, -1},
		{"stand-ins only", make([]Keys, 16), -1},
		{"nothing", nil, -1},
		{"another hash", []Keys{derive(t, SHA1, "pencil")}, -1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, "SCRAM-SHA-256", channel, offered)
			final := c.final(t, start(t, s, c.first()), nil)
			index, reply, err := s.Final([]byte(final), test.keys)
			if index != test.want || (err == nil) != (test.want >= 0) || (reply == nil) != (test.want < 0) {
				t.Errorf("Final = %d, %q, %v, want %d", index, reply, err, test.want)
			}
			if err != nil && !errors.Is(err, ErrDenied) {
				t.Errorf("Final = %v, want %v", err, ErrDenied)
			}
		})
	}
}

// A stand-in's key is all zeros here, and still no proof may fit it.
func TestStandInNeverFits(t *testing.T) {
	zero := make([]byte, SHA1.Size())
	message := []byte("n=a,r=b,r=bc,s=ZA==,i=1,c=biws,r=bc")
	proof := mac(SHA1, zero, message) // makes the client key all zeros
	if index, _ := match(SHA1, message, proof, []Keys{{}, {}}); index != -1 {
		t.Errorf("match = %d, want -1", index)
	}
}

func TestFinalOfAnotherExchange(t *testing.T) {
	c := client{hash: SHA256, password: "pencil", gs2: "n,,", name: "anna"}
	s := newServer(t, "SCRAM-SHA-256", channel, offered)
	challenge := start(t, s, c.first())
	final := c.final(t, challenge, func(bare string) string {
		return strings.Replace(bare, serverNonce, "somebodyelses", 1)
	})
	if _, _, err := s.Final([]byte(final), []Keys{derive(t, SHA256, "pencil")}); !errors.Is(err, ErrDenied) {
		t.Errorf("Final = %v, want %v", err, ErrDenied)
	}
}

// Rule 13.
func TestOfferAndVersionAreInTheProof(t *testing.T) {
	c := client{hash: SHA256, password: "pencil", gs2: "n,,", name: "anna"}
	s := newServer(t, "SCRAM-SHA-256", channel, offered)
	challenge := start(t, s, c.first())
	for _, attr := range []string{",h=", ",t=0304"} {
		if !strings.Contains(challenge, attr) {
			t.Errorf("challenge %q has no %s", challenge, attr)
		}
	}
	stripped := challenge[:strings.Index(challenge, ",h=")]
	final := c.final(t, stripped, nil)
	if _, _, err := s.Final([]byte(final), []Keys{derive(t, SHA256, "pencil")}); !errors.Is(err, ErrDenied) {
		t.Errorf("Final after h= was stripped = %v, want %v", err, ErrDenied)
	}
}

func TestOrderOfCalls(t *testing.T) {
	s := newServer(t, "SCRAM-SHA-256", channel, offered)
	if _, err := s.Challenge(salt, iterations); err == nil {
		t.Error("Challenge before First passed")
	}
	if _, _, err := s.Final([]byte("c=biws,r=x,p=eA=="), nil); err == nil {
		t.Error("Final before First passed")
	}
	start(t, s, "n,,n=anna,r="+clientNonce)
	if _, _, err := s.First([]byte("n,,n=anna,r=" + clientNonce)); err == nil {
		t.Error("First twice passed")
	}
}

func TestNonceIsFresh(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		s, err := New("SCRAM-SHA-256", channel, offered, nil)
		if err != nil {
			t.Fatal(err)
		}
		nonce, _, _ := strings.Cut(start(t, s, "n,,n=anna,r="+clientNonce), ",")
		own := strings.TrimPrefix(nonce, "r="+clientNonce)
		if len(own) < 22 || seen[own] {
			t.Fatalf("server's nonce %q is short or not new", own)
		}
		if _, err := parseNonce(nonce, maxNonce); err != nil {
			t.Fatalf("server's nonce %q: %v", own, err)
		}
		seen[own] = true
	}
}

// A stranger's mechanism is refused by its name alone.
func TestUnknownMechanism(t *testing.T) {
	for _, name := range []string{"", "PLAIN", "SCRAM-SHA-224", "scram-sha-256", "SCRAM-SHA-256-PLUS-PLUS", "SCRAM-UNKNOWN"} {
		if _, err := New(name, channel, offered, nil); !errors.Is(err, ErrMechanism) {
			t.Errorf("New(%q) = %v, want %v", name, err, ErrMechanism)
		}
	}
}

func BenchmarkFinal16(b *testing.B) {
	for _, h := range Hashes {
		b.Run(h.String(), func(b *testing.B) {
			c := client{hash: h, password: "pencil", gs2: "n,,", name: "anna"}
			keys := make([]Keys, 16)
			keys[0] = derive(b, h, "pencil")
			s := newServer(b, h.String(), channel, offered)
			final := []byte(c.final(b, start(b, s, c.first()), nil))
			b.ReportAllocs()
			for b.Loop() {
				s.step = 2
				if _, _, err := s.Final(final, keys); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
