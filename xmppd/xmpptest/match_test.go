package xmpptest

import (
	"encoding/xml"
	"strings"
	"testing"
)

// parse reads an element as a client would.
func parse(t *testing.T, text string) *node {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader("<s xmlns='jabber:client' xmlns:stream='" + nsStream + "'>" + text))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	start, err := nextStart(d)
	if err != nil {
		t.Fatal(err)
	}
	n, err := readNode(d, start)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMatch(t *testing.T) {
	tests := []struct{ name, want, got, fault string }{
		{"same", "<a b='1' c='2'><d/></a>", "<a c='2' b='1'>\n  <d></d>\n</a>", ""},
		{"prefixes", "<a xmlns='u'/>", "<p:a xmlns:p='u'/>", ""},
		{"entities", "<a>&lt;</a>", "<a>&#60;</a>", ""},
		{"any value", "<a b='*'>*</a>", "<a b='1'>x</a>", ""},
		{"within a value", "<a b='x*z'/>", "<a b='xyz'/>", ""},
		{"a name twice", "<a b='$x' c='$x'/>", "<a b='1' c='1'/>", ""},
		{"dots", "<a>...</a>", "<a b='1'><c/>text</a>", ""},
		{"dots between", "<a><b/>...<d/></a>", "<a><x/><b/><c/><d/><e/></a>", ""},
		{"dots and a name", "<a><b i='$x'/><c i='$x'/>...</a>", "<a><b i='1'/><b i='2'/><c i='2'/></a>", `<c> attribute i: want $x="1" again, got "2"`},
		{"base64", "<a>{base64: r=abc*,i=$n}</a>", "<a>cj1hYmNkLGk9NDA5Ng==</a>", ""},

		{"name", "<a/>", "<b/>", "want <a>, got <b>"},
		{"namespace", "<a xmlns='u'/>", "<a xmlns='v'/>", `<a> namespace: want "u", got "v"`},
		{"attribute", "<iq id='c1'/>", "<iq id='c2'/>", `<iq> attribute id: want "c1", got "c2"`},
		{"attribute missing", "<iq id='*'/>", "<iq/>", `<iq> has no attribute id, want "*"`},
		{"attribute empty", "<iq id='*'/>", "<iq id=''/>", `<iq> attribute id: want "*", got ""`},
		{"attribute unsaid", "<iq/>", "<iq id='1'/>", `<iq> has attribute id="1", which the talk does not say`},
		{"language", "<a xml:lang='en'/>", "<a xml:lang='de'/>", `<a> attribute xml:lang: want "en", got "de"`},
		{"text", "<mechanism>SCRAM-SHA-256-PLUS</mechanism>", "<mechanism>PLAIN</mechanism>", `<mechanism> text: want "SCRAM-SHA-256-PLUS", got "PLAIN"`},
		{"text's space", "<a>b</a>", "<a> b</a>", `<a> text: want "b", got " b"`},
		{"text missing", "<a>b</a>", "<a/>", `<a> text: want "b", got none`},
		{"text unsaid", "<a/>", "<a>b</a>", `<a> has text "b", which the talk does not say`},
		{"child unsaid", "<mechanisms><m/></mechanisms>", "<mechanisms><m/><mechanism/></mechanisms>", `<mechanisms> has child <mechanism>, which the talk does not say`},
		{"child missing", "<a><b/></a>", "<a/>", "<a> has no further child <b>"},
		{"another child", "<a><b/></a>", "<a><c/></a>", "<a> has child <c> where the talk says <b>"},
		{"order", "<a><b/><c/></a>", "<a><c/><b/></a>", "<a> has child <c> where the talk says <b>"},
		{"child's namespace", "<a><b xmlns='u'/></a>", "<a><b xmlns='v'/></a>", `<b> namespace: want "u", got "v"`},
		{"inside dots", "<a>...<b>1</b></a>", "<a><b>2</b></a>", `<b> text: want "1", got "2"`},
		{"missing in dots", "<a>...<b/></a>", "<a><c/></a>", "<a> has no further child <b>"},
		{"again", "<a from='$mia'/>", "<a from='c-2@x'/>", `want $mia="c-1@x" again, got "c-2@x"`},
		{"again within", "<a from='$mia/y'/>", "<a from='c-2@x/y'/>", `want "c-1@x/y", got "c-2@x/y"`},
		{"not base64", "<a>{base64: x}</a>", "<a>?</a>", `<a> text: want base64, got "?"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want, err := parsePattern(tt.want)
			if err != nil {
				t.Fatal(err)
			}
			v := vars{"$mia": "c-1@x"}
			switch err := matchNode(v, want, parse(t, tt.got)); {
			case tt.fault == "" && err != nil:
				t.Errorf("match(%s, %s) = %v", tt.want, tt.got, err)
			case tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)):
				t.Errorf("match(%s, %s) = %v, want %s", tt.want, tt.got, err, tt.fault)
			}
		})
	}
}

func TestNamesAreKeptOnlyWhenEverythingFits(t *testing.T) {
	want, err := parsePattern("<a b='$x' c='1'/>")
	if err != nil {
		t.Fatal(err)
	}
	v := vars{}
	if err := matchNode(v, want, parse(t, "<a b='2' c='2'/>")); err == nil || len(v) != 0 {
		t.Errorf("match = %v, kept %v", err, v)
	}
	if err := matchNode(v, want, parse(t, "<a b='2' c='1'/>")); err != nil || v["$x"] != "2" {
		t.Errorf("match = %v, kept %v", err, v)
	}
}
