package wire

import (
	"strings"
	"testing"
)

func TestHeader(t *testing.T) {
	const attrs = ` xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'`
	for _, c := range []struct {
		name, in string
		want     Header
	}{
		{"plain", "<stream:stream" + attrs + ">", Header{}},
		{"declaration", "<?xml version='1.0'?><stream:stream" + attrs + ">", Header{}},
		{"whole declaration", "<?xml version = \"1.0\"\n encoding='utf-8' standalone='yes' ?>\n<stream:stream" + attrs + "\n>", Header{}},
		{"byte order mark", "\uFEFF<?xml version='1.0'?><stream:stream" + attrs + ">", Header{}},
		{"byte order mark alone", "\uFEFF<stream:stream" + attrs + ">", Header{}},
		{"all attributes", "<stream:stream to='a' from='b&amp;c' id='d' xml:lang='e'" + attrs + ">",
			Header{To: "a", From: "b&c", ID: "d", Lang: "e"}},
		{"later version", strings.Replace("<stream:stream"+attrs+">", "1.0", "2.17", 1), Header{Version: "2.17"}},
	} {
		if c.want.Version == "" {
			c.want.Version = "1.0"
		}
		c.want.Space = NSClient
		r := NewReader(strings.NewReader(c.in+"<message/>"+StreamEnd), Limits{})
		h, err := r.Header()
		if err != nil || h != c.want {
			t.Errorf("%s: Header of %q = %+v, %v, want %+v", c.name, c.in, h, err, c.want)
			continue
		}
		s, err := r.Next()
		if err != nil || s.Kind != Message || string(s.Lang) != h.Lang || (s.Lang == nil) != (h.Lang == "") {
			t.Errorf("%s: Next = %v, %v, want a message", c.name, s, err)
		}
	}
}

// Rule 3.
func TestBadHeaders(t *testing.T) {
	const attrs = ` xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'`
	for _, c := range []struct{ name, in, want string }{
		// RFC 6120 §4.9.3.1
		{"another element", "<stream:streams" + attrs + ">", BadFormat},
		{"empty element", "<stream:stream" + attrs + "/>", BadFormat},
		// RFC 6120 §4.9.3.2
		{"no prefix", "<stream xmlns='http://etherx.jabber.org/streams' version='1.0'>", BadNamespacePrefix},
		{"another prefix", "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client' version='1.0'>", BadNamespacePrefix},
		// RFC 6120 §4.9.3.10
		{"wrong stream namespace", "<stream:stream xmlns='jabber:client' xmlns:stream='urn:example:wrong' version='1.0'>", InvalidNamespace},
		{"wrong content namespace", "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>", InvalidNamespace},
		{"no content namespace", "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>", InvalidNamespace},
		// RFC 6120 §4.9.3.13
		{"not XML", "GET / HTTP/1.1\r\n\r\n", NotWellFormed},
		{"prefix not declared", "<stream:stream version='1.0'>", NotWellFormed},
		{"end tag first", "</stream:stream>", NotWellFormed},
		{"attribute twice", "<stream:stream to='a' to='b'" + attrs + ">", NotWellFormed},
		{"declaration without version", "<?xml encoding='UTF-8'?>", NotWellFormed},
		{"empty declaration", "<?xml ?>", NotWellFormed},
		{"declaration of XML 2.0", "<?xml version='2.0'?>", NotWellFormed},
		{"declaration in the wrong order", "<?xml version='1.0' standalone='no' encoding='UTF-8'?>", NotWellFormed},
		{"declaration with something else", "<?xml version='1.0' lang='en'?>", NotWellFormed},
		{"declaration without spaces", "<?xml version='1.0'encoding='UTF-8'?>", NotWellFormed},
		{"declaration without quotes", "<?xml version=1.0?>", NotWellFormed},
		{"declaration without a value", "<?xml version?>", NotWellFormed},
		{"declaration with an open quote", "<?xml version='1.0?>", NotWellFormed},
		{"declaration with a bad standalone", "<?xml version='1.0' standalone='maybe'?>", NotWellFormed},
		{"declaration without an end", "<?xml version='1.0'" + strings.Repeat(" ", 1000), NotWellFormed},
		// RFC 6120 §4.9.3.14
		{"too big", "<stream:stream to='" + strings.Repeat("a", 2000) + "'" + attrs + ">", PolicyViolation},
		{"too many attributes", "<stream:stream a='' b='' c='' d='' e='' f=''" + attrs + ">", PolicyViolation},
		// RFC 6120 §4.9.3.18
		{"document type", "<!DOCTYPE stream [<!ENTITY a 'aaaa'>]><stream:stream" + attrs + ">", RestrictedXML},
		{"comment", "<!-- hello --><stream:stream" + attrs + ">", RestrictedXML},
		{"instruction", "<?php?><stream:stream" + attrs + ">", RestrictedXML},
		{"stylesheet", "<?xml-stylesheet href='a'?><stream:stream" + attrs + ">", RestrictedXML},
		{"space before the declaration", " <?xml version='1.0'?><stream:stream" + attrs + ">", RestrictedXML},
		{"two declarations", "<?xml version='1.0'?><?xml version='1.0'?><stream:stream" + attrs + ">", RestrictedXML},
		// RFC 6120 §4.9.3.22
		{"Latin-1", "<?xml version='1.0' encoding='ISO-8859-1'?><stream:stream" + attrs + ">", UnsupportedEncoding},
		{"UTF-16, big end", "\xfe\xff\x00<", UnsupportedEncoding},
		{"UTF-16, little end", "\xff\xfe<\x00", UnsupportedEncoding},
		{"not UTF-8", "<stream:stream to='\xe4'" + attrs + ">", UnsupportedEncoding},
		// RFC 6120 §4.9.3.25
		{"no version", strings.Replace("<stream:stream"+attrs+">", "version='1.0'", "", 1), UnsupportedVersion},
		{"old version", strings.Replace("<stream:stream"+attrs+">", "1.0", "0.9", 1), UnsupportedVersion},
		{"odd version", strings.Replace("<stream:stream"+attrs+">", "1.0", "1.x", 1), UnsupportedVersion},
		{"half a version", strings.Replace("<stream:stream"+attrs+">", "1.0", "1", 1), UnsupportedVersion},
	} {
		r := NewReader(strings.NewReader(c.in), Limits{Bytes: 1500, Attrs: 8})
		if _, err := r.Header(); condition(err) != c.want {
			t.Errorf("%s: Header of %q: %v, want %s", c.name, c.in, err, c.want)
		}
		if _, err := r.Next(); condition(err) != c.want {
			t.Errorf("%s: Next: %v, want %s", c.name, err, c.want)
		}
		samePieces(t, c.in, Limits{Bytes: 1500, Attrs: 8})
	}
}
