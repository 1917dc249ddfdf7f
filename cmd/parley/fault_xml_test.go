package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// CVE-2026-43507: what a stranger may send is bounded in each of its dimensions, so that
// no few bytes become much work or memory. Rule 4; XEP-0478 is where it could be told.
func smallBeforeLogin(t *testing.T) {
	attrs := func(n int) (b string) {
		for i := range n {
			b += fmt.Sprintf(" a%d=''", i)
		}
		return b
	}
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		for name, text := range map[string]string{
			"bytes":        "<x>" + strings.Repeat("x", 10<<10) + "</x>",
			"entities":     "<x>" + strings.Repeat("&lt;", 10<<10/4) + "</x>",
			"one value":    "<x a='" + strings.Repeat("x", 10<<10) + "'/>",
			"one name":     "<" + strings.Repeat("x", 10<<10),
			"never ends":   "<x>" + strings.Repeat("<y/>", 10<<10),
			"children":     "<x>" + strings.Repeat("<y/>", 33) + "</x>",
			"depth":        strings.Repeat("<x>", 9) + strings.Repeat("</x>", 9),
			"attributes":   "<x" + attrs(17) + "/>",
			"declarations": "<x" + strings.ReplaceAll(strings.ReplaceAll(attrs(17), " a", " xmlns:a"), "''", "'u'") + "/>",
		} {
			for _, stage := range []int{unsecured, secured, challenged} {
				if got := gist(annaAt(t, s, stage).to(text)); got != "error policy-violation" {
					t.Errorf("%s, %s: %q, want policy-violation", stageNames[stage], name, got)
				}
			}
		}
		for name, more := range map[string]string{
			"bytes": " a='" + strings.Repeat("x", 10<<10) + "'", "attributes": attrs(17), "white space": strings.Repeat(" ", 10<<10),
		} {
			header := strings.Replace(fmt.Sprintf(streamHeader, "desk.example"), " to=", more+" to=", 1)
			if got := gist(annaAt(t, s, signedOut).to(header)); got != "error policy-violation" {
				t.Errorf("header with %s: %q, want policy-violation", name, got)
			}
		}
	})
}

const laughs = "<!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY lol2 '&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;'>" +
	"<!ENTITY lol3 '&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;'>]>"

// CVE-2011-1753 (a billion laughs), CVE-2022-0217 (the same where a second parser had no
// guard): RFC 6120 §11.1; rule 3. There is one parser, at whatever stage: talk 15 shows it
// at two, and oneParser that there is no second.
func noEntitiesAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		for _, stage := range []int{unsecured, secured, challenged, reopened, bound} {
			for _, text := range []string{
				laughs + "<x>&lol3;</x>", "<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>", "<x>&lol;</x>", "<x a='&lol;'/>",
				"<!-- --><x/>", "<x><!-- --></x>", "<?x?><x/>", "<x><?x?></x>", "<x><!DOCTYPE y></x>",
			} {
				if got := gist(annaAt(t, s, stage).to(text)); got != "error restricted-xml" {
					t.Errorf("%s, %s: %q, want restricted-xml", stageNames[stage], text, got)
				}
			}
		}
		header := fmt.Sprintf(strings.TrimPrefix(streamHeader, "<?xml version='1.0'?>"), "desk.example")
		for _, text := range []string{
			laughs + header, "<?xml version='1.0'?>" + laughs + header, "<!-- -->" + header, "<?x?>" + header, strings.Replace(header, "desk", "&lol;", 1),
		} {
			if got := gist(annaAt(t, s, signedIn).to(text)); got != "error restricted-xml" {
				t.Errorf("%s: %q, want restricted-xml", text, got)
			}
		}
	})
}

// CVE-2015-2058: a limit cut text within a character, and the rest was no UTF-8 any more.
// Here what is too long is refused whole, what is no UTF-8 ends the stream, and a
// character that comes in pieces is one.
func wholeCharacters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		l := annasLogin(s)
		l.name, l.password = "bob", "tea at four"
		bob := l.in(t)
		bob.available("")
		for _, bad := range []string{"\xe2\x82", "\xe2", "\x80", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xf0\x9f\x98", "\ufffe", "\x00", "\x0b", "&#0;", "&#xd800;", "&#xffff;"} {
			for _, form := range []string{"<message to='bob@desk.example' type='chat'><body>%s</body></message>", "<message to='bob@desk.example' type='chat' id='%s'><body/></message>", "<presence><status>é%s</status></presence>", "<%s/>"} {
				want := "error not-well-formed"
				if !utf8.ValidString(bad) {
					want = "error unsupported-encoding" // rule 3
				}
				if got := gist(annaAt(t, s, bound).to(fmt.Sprintf(form, bad))); got != want {
					t.Errorf("%q: %q, want %s", fmt.Sprintf(form, bad), got, want)
				}
			}
		}
		if got := bob.rest(); len(got) > 0 {
			t.Errorf("of all that, this arrived: %s", got)
		}
		const text = "a€😀é"
		anna := annasLogin(s).in(t)
		for _, b := range []byte("<message to='bob@desk.example' type='chat' id='" + text + "'><body>" + text + "</body></message>") {
			anna.conn.Write([]byte{b}) // each byte in a record of its own
		}
		if got := bob.message(text).child("body").text(); got != text {
			t.Errorf("byte by byte %q arrived as %q", text, got)
		}
	})
}

// OF-2896 (and Openfire's forum, 86364): what came in between moved the deadline for
// signing in. Here there is one, from the first byte; talk 17 shows it with words.
func oneDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := annasDesk(t)
		for stage := range bound {
			from := time.Now()
			c := annaAt(t, s, stage)
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := io.WriteString(c, c.first)
				for err == nil { // white space keeps a session alive (RFC 6120 §4.6.1), but this is none yet
					<-time.After(time.Second)
					_, err = io.WriteString(c, " ")
				}
			})
			got, _ := io.ReadAll(c)
			if d := time.Since(from); d < 29*time.Second || d > 32*time.Second || gist(string(got)) != "error connection-timeout" {
				t.Errorf("%s, with white space: %q after %v, want connection-timeout after 30s", stageNames[stage], gist(string(got)), d)
			}
			wg.Wait()
		}
		for _, c := range []struct {
			name, port, text string
			within           time.Duration
		}{
			{"a handshake byte by byte", talkTLS, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + strings.Repeat("\x03", 200), 11 * time.Second},
			{"a header byte by byte", talkStartTLS, "<stream:stream to='desk.example' " + strings.Repeat("x", 200), 32 * time.Second},
			{"nothing, in clear", talkStartTLS, "", 32 * time.Second},
			{"nothing, where a handshake is due", talkTLS, "", 11 * time.Second},
		} {
			conn, err := s.net.dial(t.Context(), c.port)
			if err != nil {
				t.Fatal(err)
			}
			from := time.Now()
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := 0; i < len(c.text) && err == nil; i++ {
					<-time.After(time.Second)
					_, err = conn.Write([]byte{c.text[i]})
				}
			})
			_, _ = io.ReadAll(conn)
			if d := time.Since(from); d > c.within {
				t.Errorf("%s: it took %v", c.name, d)
			}
			wg.Wait()
		}
	})
}
