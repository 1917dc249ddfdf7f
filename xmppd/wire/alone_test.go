package wire

import (
	"reflect"
	"strings"
	"testing"
)

// sameAlone checks that a child means elsewhere what it means in s.
func sameAlone(t testing.TB, s *Stanza, k int) {
	t.Helper()
	alone := s.Alone(&s.Children[k])
	all, err := trees([]byte("<x xmlns='urn:example:elsewhere' xmlns:p='urn:example:elsewhere'>" + string(alone)))
	if err != nil || len(all) != 1 {
		t.Fatalf("encoding/xml reads %d elements of %q: %v", len(all), alone, err)
	}
	if want := treeOf(t, s.raw).Inner[k]; !reflect.DeepEqual(all[0], want) {
		t.Fatalf("child %d of %q is %q alone, which is read as %+v, want %+v", k, s.raw, alone, all[0], want)
	}
	inside, err := s.Open(&s.Children[k])
	if condition(err) == BadNamespacePrefix {
		return // RFC 6120 §4.8.5: no stanza, and nothing that a server looks into
	}
	if err != nil {
		t.Fatalf("Open(%q): %v", alone, err)
	}
	sameTree(t, inside)
}

func TestAlone(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"its own namespace", `<iq><a xmlns='urn:a'><b/></a></iq>`, `<a xmlns='urn:a'><b/></a>`},
		{"the content namespace", `<iq><a>b</a></iq>`, `<a xmlns='jabber:client'>b</a>`},
		{"no namespace", `<iq><a xmlns=''/></iq>`, `<a xmlns=''/>`},
		{"a prefix", `<iq xmlns:p='urn:p'><p:a/></iq>`, `<p:a xmlns='jabber:client' xmlns:p='urn:p'/>`},
		{"several, one declared anew", `<iq xmlns:p='urn:p' xmlns:q="u'q"><p:a xmlns='urn:a' xmlns:p = 'urn:r' b='1'/></iq>`,
			`<p:a xmlns:q="u'q" xmlns='urn:a' xmlns:p = 'urn:r' b='1'/>`},
		{"of a nonza", `<x xmlns='urn:a&amp;'><a/></x>`, `<a xmlns='urn:a&amp;'/>`},
		{"in two lines", "<iq><a\nb='1'/></iq>", "<a xmlns='jabber:client'\nb='1'/>"},
	} {
		s := mustParse(t, c.in)
		if got := string(s.Alone(&s.Children[0])); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		sameAlone(t, s, 0)
	}
}

func TestEmpty(t *testing.T) {
	for in, want := range map[string]bool{
		"<a xmlns='urn:a'/>": true, "<a xmlns='urn:a' xmlns:b='urn:b'> \n</a>": true,
		"<a xmlns='urn:a' b=''/>": false, "<a xmlns='urn:a'><b/></a>": false, "<a xmlns='urn:a'>b</a>": false,
	} {
		if got := mustParse(t, in).Empty(); got != want {
			t.Errorf("Empty of %s = %v, want %v", in, got, want)
		}
	}
	s := mustParse(t, "<iq"+strings.Repeat(" ", 3)+"xmlns:p='urn:p'><p:a p:b='1'/></iq>")
	if a, err := s.Open(&s.Children[0]); err != nil || a.Empty() {
		t.Errorf("%s is empty: %v", s.Inner, err)
	}
}
