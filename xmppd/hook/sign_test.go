package hook

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"parley.im/parley/store"
)

// sampleToken is the secret token that the format's vectors use.
const sampleToken = "47242e604a74ea7854787a14ac1afaf438aeb56a7c471ba3b3269731819a3d80de339f4a3d3b5b920d16d2d4dde1ac2d"

// sampleSecret is the endpoint secret of Standard Webhooks' own example.
const sampleSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// VIV-6
func TestHMAC(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"a body", `{"id":"c123"}`, "c438f151bcc30bb8ea8bb3caad5bcf35fcc22fcd"},
		{"nothing", "", "c92856eecd0ecac405267725aae6220b4557ba70"},
	} {
		if got := HMAC(sampleToken, []byte(c.in)); got != c.want {
			t.Errorf("%s: HMAC(%q) = %s, want %s", c.name, c.in, got, c.want)
		}
	}
}

// VIV-6
func TestFlippingOneByteBreaksBothSignatures(t *testing.T) {
	at := time.Unix(1614265330, 0)
	body := []byte(`{"id":"c123"}`)
	hmac, sign := HMAC(sampleToken, body), Sign(sampleSecret, "evt_1", at, body)
	for i := range body {
		body[i] ^= 1
		if HMAC(sampleToken, body) == hmac || Sign(sampleSecret, "evt_1", at, body) == sign {
			t.Errorf("byte %d is not covered", i)
		}
		body[i] ^= 1
	}
	if Sign(sampleSecret, "evt_2", at, body) == sign || Sign(sampleSecret, "evt_1", at.Add(time.Second), body) == sign {
		t.Error("id or time is not covered")
	}
}

func TestSignAsStandardWebhooksHasIt(t *testing.T) {
	const id = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	at := time.Unix(1614265330, 0)
	body := []byte(`{"test": 2432232314}`)
	got := Sign(sampleSecret, id, at, body)
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("Sign = %s, want %s", got, want)
	}
	lib, err := standardwebhooks.NewWebhook(sampleSecret)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("webhook-signature", got)
	if err := lib.VerifyIgnoringTimestamp(body, h); err != nil {
		t.Error(err)
	}
}

// sampleKey is the key that other implementations publish an example with.
const (
	sampleKey    = store.SignKey("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==")
	samplePublic = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
)

func TestSignPubliclyAsStandardWebhooksHasIt(t *testing.T) {
	at := time.Unix(1614265330, 0)
	got := SignPublicly(sampleKey, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`))
	if want := "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="; got != want {
		t.Errorf("SignPublicly = %s, want %s", got, want)
	}
	if public := sampleKey.Public(); public != samplePublic {
		t.Errorf("the public key is %s, want %s", public, samplePublic)
	}
	if got := SignPublicly("", "evt_1", at, nil); got != "" {
		t.Errorf("without a key it is %q", got)
	}
}

func TestSignRefusesWhatIsNoSecret(t *testing.T) {
	for _, secret := range []string{"", "whsec_", "whsec_*", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} {
		if got := Sign(secret, "evt_1", time.Unix(0, 0), nil); got != "" {
			t.Errorf("Sign(%q) = %q, want nothing", secret, got)
		}
	}
}
