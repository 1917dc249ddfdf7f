package xmpptest

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// A scram follows an exchange that the talk writes out line by line, so that
// {proof} and {signature} can be computed (RFC 5802 §3).
type scram struct {
	hash        func() hash.Hash
	password    string
	clientFirst string // without its GS2 header
	serverFirst string
	message     string // AuthMessage
	salted      []byte // SaltedPassword
}

func newScram(mechanism, initial, password string) scram {
	s := scram{password: password}
	switch strings.TrimSuffix(mechanism, "-PLUS") {
	case "SCRAM-SHA-1":
		s.hash = sha1.New
	case "SCRAM-SHA-256":
		s.hash = sha256.New
	case "SCRAM-SHA-512":
		s.hash = sha512.New
	}
	// RFC 5802 §7: gs2-header is flag, comma, authzid, comma.
	if first, err := base64.StdEncoding.DecodeString(initial); err == nil {
		if parts := strings.SplitN(string(first), ",", 3); len(parts) == 3 {
			s.clientFirst = parts[2]
		}
	}
	return s
}

// challenge takes the server's first message.
func (s *scram) challenge(text string) {
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil && s.serverFirst == "" {
		s.serverFirst = string(raw)
	}
}

// proof is ClientProof for a final message whose part before ",p=" is final.
func (s *scram) proof(final string) (string, error) {
	if s.hash == nil || s.clientFirst == "" || s.serverFirst == "" {
		return "", errors.New("{proof} needs a SCRAM exchange before it")
	}
	salt, count, err := s.saltAndCount()
	if err != nil {
		return "", err
	}
	s.salted, err = pbkdf2.Key(s.hash, s.password, salt, count, s.hash().Size())
	if err != nil {
		return "", err
	}
	s.message = s.clientFirst + "," + s.serverFirst + "," + strings.TrimSuffix(final, ",p=")
	clientKey := s.mac(s.salted, "Client Key")
	h := s.hash()
	h.Write(clientKey)
	proof := s.mac(h.Sum(nil), s.message)
	subtle.XORBytes(proof, proof, clientKey)
	return base64.StdEncoding.EncodeToString(proof), nil
}

// signature is ServerSignature of the exchange that proof was made for.
func (s *scram) signature() (string, error) {
	if s.salted == nil {
		return "", errors.New("{signature} needs a {proof} before it")
	}
	sum := s.mac(s.mac(s.salted, "Server Key"), s.message)
	return base64.StdEncoding.EncodeToString(sum), nil
}

func (s *scram) mac(key []byte, message string) []byte {
	m := hmac.New(s.hash, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}

func (s *scram) saltAndCount() (salt []byte, count int, err error) {
	for _, f := range strings.Split(s.serverFirst, ",") {
		switch name, value, _ := strings.Cut(f, "="); name {
		case "s":
			salt, err = base64.StdEncoding.DecodeString(value)
		case "i":
			count, err = strconv.Atoi(value)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("the server's first message: %w", err)
		}
	}
	if salt == nil || count == 0 {
		return nil, 0, errors.New("the server's first message lacks salt or count")
	}
	return salt, count, nil
}
