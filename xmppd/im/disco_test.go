package im

import (
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"testing"

	"parley.im/parley/xmppd/wire"
)

// XEP-0115 §5.2, §5.3, and what is easily sorted wrongly: the marks between the parts
// take no part in the order.
func TestCapabilityHash(t *testing.T) {
	features := []string{"http://jabber.org/protocol/muc", "http://jabber.org/protocol/disco#items",
		"http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/caps"}
	for _, c := range []struct {
		name string
		info Info
		want string
	}{
		{"simple", Info{
			Identities: []Identity{{Category: "client", Type: "pc", Name: "Exodus 0.9.1"}}, Features: features,
		}, "QgayPKawpkPSDYmwT/WM94uAlu0="},
		{"complex", Info{
			Identities: []Identity{{"client", "pc", "en", "Psi 0.11"}, {"client", "pc", "el", "Ψ 0.11"}},
			Features:   features,
			Forms: []Form{{Type: "urn:xmpp:dataforms:softwareinfo", Fields: []Field{
				{"software_version", []string{"0.11"}}, {"software", []string{"Psi"}}, {"os_version", []string{"10.5.1"}},
				{"os", []string{"Mac"}}, {"ip_version", []string{"ipv6", "ipv4"}},
			}}},
		}, "q07IKJEyjvHSyhy//CH0CxmKi8w="},
		{"a name before its extension", Info{
			Identities: []Identity{{Category: "a-b", Type: "x"}, {Category: "a", Type: "x"}},
			Features:   []string{"urn:xmpp:mam:2#extended", "urn:xmpp:mam:2"},
			Forms: []Form{{Type: "urn:b"}, {Type: "urn:a", Fields: []Field{
				{Var: "y-1"}, {"y", []string{"v1", "v", "v-1"}},
			}}},
		}, hashOf("a/x//<a-b/x//<urn:xmpp:mam:2<urn:xmpp:mam:2#extended<urn:a<y<v<v-1<v1<y-1<urn:b<")},
	} {
		if got := c.info.Ver(); got != c.want {
			t.Errorf("%s: Ver() = %s, want %s", c.name, got, c.want)
		}
	}
}

func hashOf(s string) string {
	sum := sha1.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// XEP-0030 §3.1, XEP-0128 §3: whatever stands in an Info is written as XML can hold it.
func TestInfoIsWritten(t *testing.T) {
	i := Info{
		Identities: []Identity{{"server", "im", "en", "A & B"}},
		Features:   []string{"urn:example:'x'"},
		Forms:      ContactForm(map[string][]string{"support": {"https://desk.example/?a=1&b=2"}, "abuse": {"mailto:a@desk.example", "xmpp:a@desk.example"}, "sales": {}}),
	}
	want := "<query xmlns='http://jabber.org/protocol/disco#info' node='&lt;n&gt;'>" +
		"<identity xml:lang='en' category='server' type='im' name='A &amp; B'/><feature var='urn:example:&apos;x&apos;'/>" +
		"<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>" +
		"<field var='abuse-addresses' type='text-multi'><value>mailto:a@desk.example</value><value>xmpp:a@desk.example</value></field>" +
		"<field var='support-addresses'><value>https://desk.example/?a=1&amp;b=2</value></field></x></query>"
	got := i.Append(nil, "<n>")
	if string(got) != want {
		t.Errorf("Append wrote\n%s, want\n%s", got, want)
	}
	if _, err := wire.ParseInner(nil, got); err != nil {
		t.Errorf("it is not well-formed: %v", err)
	}
}

func TestNoContactNoForm(t *testing.T) {
	if f := ContactForm(map[string][]string{"abuse": nil}); f != nil {
		t.Errorf("ContactForm without an address is %v", f)
	}
}

// XEP-0115 §5.4: an answer with a feature twice is ill-formed.
func TestFeaturesAreListedOnce(t *testing.T) {
	for _, list := range [][]string{ServerFeatures, AccountFeatures} {
		sorted := slices.Sorted(slices.Values(list))
		if len(slices.Compact(sorted)) != len(list) {
			t.Errorf("a feature stands twice in %q", list)
		}
	}
}
