package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"parley.im/parley/auth/scram"
)

// A client is the other side of SCRAM.
type client struct {
	mechanism string
	gs2       string
	binding   string // the channel binding's data
	name      string
	password  string
}

const clientNonce = "fyko+d2lbbFgONRv9qkxdawL"

func (c client) first() string { return c.gs2 + "n=" + c.name + ",r=" + clientNonce }

// salted remembers PBKDF2's results, which real clients do as well.
var salted sync.Map

// final makes the last message, and what the server's answer to it has to be.
func (c client) final(t testing.TB, challenge string) (final, answer string) {
	t.Helper()
	attr := parseChallenge(t, challenge)
	h, _, _ := scram.ParseMechanism(c.mechanism)
	mac := func(key []byte, message string) []byte {
		m := hmac.New(h.New, key)
		m.Write([]byte(message))
		return m.Sum(nil)
	}
	secret := c.salt(t, h, attr)
	clientKey, serverKey := mac(secret, "Client Key"), mac(secret, "Server Key")
	stored := h.New()
	stored.Write(clientKey)

	bare := "c=" + base64.StdEncoding.EncodeToString([]byte(c.gs2+c.binding)) + ",r=" + attr["r"]
	message := c.first()[len(c.gs2):] + "," + challenge + "," + bare
	proof := mac(stored.Sum(nil), message)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	return bare + ",p=" + base64.StdEncoding.EncodeToString(proof),
		"v=" + base64.StdEncoding.EncodeToString(mac(serverKey, message))
}

func (c client) salt(t testing.TB, h scram.Hash, attr map[string]string) []byte {
	t.Helper()
	key := fmt.Sprint(h, c.password, attr["s"], attr["i"])
	if s, ok := salted.Load(key); ok {
		return s.([]byte)
	}
	salt, err := base64.StdEncoding.DecodeString(attr["s"])
	if err != nil {
		t.Fatal(err)
	}
	var iterations int
	if _, err := fmt.Sscan(attr["i"], &iterations); err != nil {
		t.Fatal(err)
	}
	s, err := pbkdf2.Key(h.New, c.password, salt, iterations, h.Size())
	if err != nil {
		t.Fatal(err)
	}
	salted.Store(key, s)
	return s
}

func parseChallenge(t testing.TB, challenge string) map[string]string {
	t.Helper()
	attr := map[string]string{}
	for a := range strings.SplitSeq(challenge, ",") {
		k, v, ok := strings.Cut(a, "=")
		if !ok {
			t.Fatalf("challenge %q: %q is no attribute", challenge, a)
		}
		attr[k] = v
	}
	return attr
}
