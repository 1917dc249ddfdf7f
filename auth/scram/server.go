package scram

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// errOrder is what a programmer broke, not the peer.
var errOrder = errors.New("scram: called out of order")

// A Server is the server's side of one exchange. First, Challenge and Final are
// called once each, in this order; after an error it is of no more use.
type Server struct {
	hash    Hash
	plus    bool
	channel Channel
	offer   Offer
	nonce   func() string

	step        int
	first       firstMessage
	fullNonce   string
	serverFirst string
}

// New begins an exchange with the mechanism of that name. The nonce function
// gives the server's half of the nonce, printable ASCII without a comma; nil is
// 130 random bits. An offer without mechanisms leaves XEP-0474's hash out, a
// channel without a version XEP-0515's.
func New(mechanism string, ch Channel, offer Offer, nonce func() string) (*Server, error) {
	h, plus, ok := ParseMechanism(mechanism)
	if !ok {
		return nil, ErrMechanism
	}
	if nonce == nil {
		nonce = rand.Text
	}
	return &Server{hash: h, plus: plus, channel: ch, offer: offer, nonce: nonce}, nil
}

// Hash is the hash of the exchange: Final wants keys of this one.
func (s *Server) Hash() Hash { return s.hash }

// First reads the client's first message: who signs in, and as whom if it says
// so. Neither is prepared nor compared with anything.
func (s *Server) First(msg []byte) (name, authzid string, err error) {
	if s.step != 0 {
		return "", "", errOrder
	}
	s.step = -1
	m, err := parseFirst(msg)
	if err != nil {
		return "", "", err
	}
	if err := s.checkFlag(m); err != nil {
		return "", "", err
	}
	s.first, s.step = m, 1
	return m.name, m.authzid, nil
}

// checkFlag holds the client's word on channel binding against the mechanism
// and against what was announced.
func (s *Server) checkFlag(m firstMessage) error {
	switch {
	case m.flag == 'p' && !s.plus:
		return unbound("bound without -PLUS")
	case m.flag != 'p' && s.plus:
		return unbound("-PLUS without binding")
	// RFC 5802 §6: y says that the server has no -PLUS. If it has, somebody took it
	// from the list.
	case m.flag == 'y' && s.offer.plus():
		return unbound("-PLUS was hidden from the client")
	case m.flag == 'p' && s.channel.binding(m.binding) == nil:
		return unbound("no such type")
	}
	return nil
}

// Challenge makes the server's first message.
func (s *Server) Challenge(salt []byte, iterations int) ([]byte, error) {
	if s.step != 1 {
		return nil, errOrder
	}
	s.fullNonce = s.first.nonce + s.nonce()
	var b strings.Builder
	b.WriteString("r=")
	b.WriteString(s.fullNonce)
	b.WriteString(",s=")
	b.WriteString(base64.StdEncoding.EncodeToString(salt))
	b.WriteString(",i=")
	b.WriteString(strconv.Itoa(iterations))
	if len(s.offer.Mechanisms) > 0 {
		b.WriteString(",h=") // XEP-0474 §6.1
		b.WriteString(s.offer.digest(s.hash))
	}
	if s.channel.Version != 0 {
		fmt.Fprintf(&b, ",t=%04x", s.channel.Version) // XEP-0515 §4.1
	}
	s.serverFirst, s.step = b.String(), 2
	return []byte(s.serverFirst), nil
}

// Final reads the client's last message and tries all candidates against its
// proof. It answers the index of the one that fits and the server's last message,
// made with that one's key; or ErrDenied.
func (s *Server) Final(msg []byte, candidates []Keys) (index int, serverFinal []byte, err error) {
	if s.step != 2 {
		return -1, nil, errOrder
	}
	s.step = -1
	m, err := parseFinal(msg)
	if err != nil {
		return -1, nil, err
	}
	if len(m.proof) != s.hash.Size() {
		return -1, nil, malformed("length of the proof")
	}
	if err := s.checkBinding(m); err != nil {
		return -1, nil, err
	}
	// RFC 5802 §5.1: the nonce has to be the one of this exchange.
	if subtle.ConstantTimeCompare([]byte(m.nonce), []byte(s.fullNonce)) == 0 {
		return -1, nil, fmt.Errorf("nonce: %w", ErrDenied)
	}
	message := []byte(s.first.bare + "," + s.serverFirst + "," + m.bare)
	index, key := match(s.hash, message, m.proof, candidates)
	signature := mac(s.hash, key, message)
	if index < 0 {
		return -1, nil, fmt.Errorf("proof: %w", ErrDenied)
	}
	return index, []byte("v=" + base64.StdEncoding.EncodeToString(signature)), nil
}

// checkBinding compares the GS2 header and the binding's data with those of this
// connection (RFC 5802 §6).
func (s *Server) checkBinding(m finalMessage) error {
	want := []byte(s.first.gs2)
	if s.first.flag == 'p' {
		want = append(want, s.channel.binding(s.first.binding)...)
	}
	if subtle.ConstantTimeCompare(m.binding, want) == 0 {
		return unbound("not this connection")
	}
	return nil
}
