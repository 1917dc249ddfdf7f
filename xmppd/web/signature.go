package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	hmacScheme = "PARLEY-HMAC-SHA512"
	// signatureWindow is how far the signed time may be from the server's.
	signatureWindow = 300 * time.Second
	nonceMax        = 64 // bytes
)

// A signature is what the header of a signed request says (KIS-2).
type signature struct {
	key, nonce string
	ts         int64
	sig        []byte
}

// parseSignature reads key=…, ts=…, nonce=…, sig=…, each once and in any order.
func parseSignature(text string) (s signature, ok bool) {
	seen := make(map[string]string, 4)
	for part := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := seen[name]; !found || twice || value == "" {
			return signature{}, false
		}
		seen[name] = value
	}
	if len(seen) != 4 || len(seen["nonce"]) > nonceMax || len(seen["sig"]) != 2*sha512.Size {
		return signature{}, false
	}
	ts, err := strconv.ParseInt(seen["ts"], 10, 64)
	if err != nil || strconv.FormatInt(ts, 10) != seen["ts"] {
		return signature{}, false
	}
	sig, err := hex.DecodeString(seen["sig"])
	s = signature{key: seen["key"], nonce: seen["nonce"], ts: ts, sig: sig}
	return s, err == nil && s.key != "" && s.nonce != ""
}

// Sign is the signature of a request: HMAC-SHA512 with a signing key's secret over
// method, path, sorted query, time, nonce and the body's hash, so that a captured request
// is good for nothing else and tells nothing of the secret (KIS-3).
func Sign(secret []byte, method, escapedPath string, query url.Values, ts int64, nonce string, body []byte) []byte {
	target := escapedPath
	if q := sortedQuery(query); q != "" {
		target += "?" + q
	}
	hash := sha256.Sum256(body)
	m := hmac.New(sha512.New, secret)
	m.Write([]byte(method + "\n" + target + "\n" + strconv.FormatInt(ts, 10) + "\n" + nonce + "\n" + hex.EncodeToString(hash[:])))
	return m.Sum(nil)
}

// sortedQuery is a query with all but the unreserved characters encoded (RFC 3986 §2.3),
// sorted by encoded name, then value.
func sortedQuery(query url.Values) string {
	var pairs [][2]string
	for name, values := range query {
		for _, v := range values {
			pairs = append(pairs, [2]string{encoded(name), encoded(v)})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p[0] + "=" + p[1])
	}
	return b.String()
}

func encoded(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// bySignature takes a signed request, once. What can be wrong with it is looked at before
// its body is.
func (a *API) bySignature(r *http.Request, header string) (proof, error) {
	s, ok := parseSignature(header)
	if !ok {
		return proof{}, unknownError("signature: the header is not as it should be")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return proof{}, unknownError("signature: the query is not as it should be")
	}
	c, k, err := a.lookUp(r.Context(), s.key, true)
	if err != nil {
		return proof{}, err
	}
	if d := a.now().Sub(time.Unix(s.ts, 0)); d > signatureWindow || d < -signatureWindow {
		return proof{}, unknownError("signature: its time is more than 300 s from the server's")
	}
	signed := func(body []byte) error {
		if !hmac.Equal(s.sig, Sign(k.Secret, r.Method, r.URL.EscapedPath(), query, s.ts, s.nonce, body)) {
			return unknownError("signature: it is not " + k.ID + "'s of this request")
		}
		return nil
	}
	return proof{c, signed, func() error { return a.first(r.Context(), c, s.ts, s.nonce) }}, nil
}
