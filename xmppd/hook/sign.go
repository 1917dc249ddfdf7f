package hook

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"parley.im/parley/store"
)

// Sign is the value of webhook-signature: Standard Webhooks' v1 scheme, an
// HMAC-SHA-256 over the event's id, the attempt's time in seconds and the exact
// body. It is empty if secret is not an endpoint's secret.
func Sign(secret, id string, at time.Time, body []byte) string {
	key, ok := endpointKey(secret)
	if !ok {
		return ""
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(signed(id, at, body))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// SignPublicly is Standard Webhooks' v1a scheme: an ed25519 signature (RFC 8032 §5.1.6)
// over the same, which whoever has the public key can verify, and only the server can make.
// It is empty if key is none.
func SignPublicly(key store.SignKey, id string, at time.Time, body []byte) string {
	signature := key.Sign(signed(id, at, body))
	if signature == nil {
		return ""
	}
	return "v1a," + base64.StdEncoding.EncodeToString(signature)
}

// signed is what is signed. The id is ours (letters, digits and "_") and the time is
// digits, so the dots separate without doubt.
func signed(id string, at time.Time, body []byte) []byte {
	return append([]byte(id+"."+strconv.FormatInt(at.Unix(), 10)+"."), body...)
}

// HMAC is the value of x-vvc-hmac: HMAC-SHA1 in hexadecimal over the exact
// body. The key is the account's secret token as the ASCII text it is shown as,
// not the bytes that its digits stand for.
func HMAC(token string, body []byte) string {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// endpointKey is the key inside an endpoint's secret, "whsec_" and base64.
func endpointKey(secret string) ([]byte, bool) {
	text, ok := strings.CutPrefix(secret, "whsec_")
	if !ok {
		return nil, false
	}
	key, err := base64.StdEncoding.DecodeString(text)
	return key, err == nil && len(key) > 0
}
