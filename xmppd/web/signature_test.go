package web

import (
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
)

// KIS-3: the vector that other implementations check themselves against.
func TestSign(t *testing.T) {
	query, err := url.ParseQuery("limit=1")
	if err != nil {
		t.Fatal(err)
	}
	got := hex.EncodeToString(Sign([]byte("topsecret"), "GET", "/v1/contacts", query, 1614265330, "n-1", nil))
	const want = "acd77bf73b80ffad601cb7205f30eb795eeafbac8afc2ce3aac63b7acedaa5767dc9b7d4437100e1b822b4b8345ab3f613616efb1f121ae88db66ee91825de81"
	if got != want {
		t.Errorf("Sign = %s, want %s", got, want)
	}
}

// RFC 3986 §2.3: what is not unreserved is encoded, and the order is that of what is
// encoded.
func TestSortedQuery(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"b=2&a=1":                 "a=1&b=2",
		"a=2&a=1&a=":              "a=&a=1&a=2",
		"a=x+y&a=x%20y":           "a=x%20y&a=x%20y",
		"a=%7e-._~&b=%2A*":        "a=~-._~&b=%2A%2A",
		"%C3%A4=1&z=%2f%3F":       "%C3%A4=1&z=%2F%3F",
		"after=evt_1&limit=10&c=": "after=evt_1&c=&limit=10",
	} {
		query, err := url.ParseQuery(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := sortedQuery(query); got != want {
			t.Errorf("sortedQuery(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParseSignature(f *testing.F) {
	sig := strings.Repeat("ab", 64)
	f.Add("key=ak_desk_x, ts=1614265330, nonce=n-1, sig=" + sig)
	f.Add("sig=" + sig + ",nonce=01ARZ3NDEKTSV4RRFFQ69G5FAV,ts=1,key=k")
	f.Add("key=a,key=b,ts=-1,nonce==,sig=zz")
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := parseSignature(text)
		if ok != (s.key != "" && s.nonce != "" && len(s.sig) == 64) {
			t.Errorf("parseSignature(%q) = %+v, %v", text, s, ok)
		}
	})
}
