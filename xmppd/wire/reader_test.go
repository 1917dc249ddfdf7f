package wire

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// Rule 3.
func TestBadElementsEndTheStream(t *testing.T) {
	for _, c := range bad(t) {
		r := opened(t, strings.NewReader("<presence/>\n"+c.in+"<presence/>"), Limits{})
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		_, err := r.Next()
		if got := condition(err); got != c.want {
			t.Errorf("Next of %q = %v, want %s", c.in, err, c.want)
		}
		if _, again := r.Next(); again != err {
			t.Errorf("Next after %v = %v, want the same", err, again)
		}
	}
}

// I9: what is forwarded is what was checked, and other parsers read it as ours
// does.
func TestI9GoodElementsAreReadAlike(t *testing.T) {
	for _, in := range lines(t, "good.txt") {
		r := opened(t, strings.NewReader(in+"\n"+StreamEnd), Limits{})
		s, err := r.Next()
		if err != nil {
			t.Errorf("Next of %q: %v", in, err)
			continue
		}
		if string(s.raw) != in || s.Size() != len(in) {
			t.Errorf("Next of %q took %q", in, s.raw)
		}
		checkStanza(t, s)
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("Next behind %q: %v, want EOF", in, err)
		}
	}
}

// checkStanza checks all that must hold for any stanza that was accepted.
func checkStanza(t testing.TB, s *Stanza) {
	t.Helper()
	sameTree(t, s)
	none, err := ParseInner(s.Decls, Without(s, func(*Child) bool { return true }))
	if err != nil || len(none.Children) > 0 {
		t.Fatalf("%q without its children: %v", s.raw, err)
	}
	for k := range s.Children {
		if err := s.Decode(&s.Children[k], new(struct{})); err != nil {
			t.Fatalf("Decode(%q) in %q: %v", s.Bytes(&s.Children[k]), s.raw, err)
		}
		sameAlone(t, s, k)
	}
	if s.Kind == Nonza {
		return
	}
	out := forwarded(s)
	sent, came := treeOf(t, out), treeOf(t, s.raw)
	if !reflect.DeepEqual(sent.Inner, came.Inner) || sent.Name != came.Name || sent.Text != came.Text {
		t.Fatalf("%q was forwarded as %q", s.raw, out)
	}
	again := mustParse(t, string(out))
	if fields(again) != fields(s) {
		t.Fatalf("forwarded %s, want %s", fields(again), fields(s))
	}
	kept, err := ParseInner(s.Decls, s.Inner)
	if err != nil || string(kept.Inner) != string(s.Inner) || len(kept.Children) != len(s.Children) {
		t.Fatalf("ParseInner(%q, %q): %v", s.Decls, s.Inner, err)
	}
	if answer := AppendError(nil, s, "desk.example", StanzaError{Condition: BadRequest}); len(answer) > 0 {
		if e := mustParse(t, string(answer)); string(e.ID) != string(s.ID) || string(e.To) != string(s.From) {
			t.Fatalf("%q was answered with %q", s.raw, answer)
		}
	}
}

// fields are those of a stanza that are kept when it is forwarded.
func fields(s *Stanza) string {
	return fmt.Sprintf("%v %q %q %q %q %q %q", s.Kind, s.Type, s.ID, s.To, s.From, s.Lang, s.Inner)
}

// outcomes reads a whole stream, header included, and says what came of it.
func outcomes(src io.Reader, l Limits) (all []string) {
	r := NewReader(src, l)
	h, err := r.Header()
	all = append(all, fmt.Sprintf("%+v %v", h, err))
	for err == nil {
		var s *Stanza
		if s, err = r.Next(); err == nil {
			all = append(all, fmt.Sprintf("%s %s %s %v", fields(s), s.Space, s.Name, s.Children))
		}
	}
	return append(all, err.Error())
}

func TestPiecesDoNotMatter(t *testing.T) {
	var whole strings.Builder
	whole.WriteString("<?xml version='1.0'?>" + header)
	for _, in := range lines(t, "good.txt") {
		whole.WriteString(in + " \n")
	}
	samePieces(t, whole.String()+StreamEnd, Limits{})
	for _, c := range bad(t) {
		samePieces(t, header+c.in, Limits{})
		samePieces(t, c.in, Limits{})
	}
}

// samePieces checks that the outcome is the same however a stream is cut.
func samePieces(t testing.TB, in string, l Limits) {
	t.Helper()
	want := outcomes(strings.NewReader(in), l)
	for name, src := range map[string]io.Reader{
		"byte by byte":  iotest.OneByteReader(strings.NewReader(in)),
		"by halves":     iotest.HalfReader(strings.NewReader(in)),
		"data with EOF": iotest.DataErrReader(strings.NewReader(in)),
		"now and then":  &stutter{text: in},
	} {
		if got := outcomes(src, l); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q %s gives\n%q, want\n%q", in, name, got, want)
		}
	}
}

// A stutter gives nothing, then a byte, then nothing.
type stutter struct {
	text string
	odd  bool
}

func (s *stutter) Read(b []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	if s.odd = !s.odd; s.odd {
		return 0, nil
	}
	b[0], s.text = s.text[0], s.text[1:]
	return 1, nil
}

func TestConnectionEnds(t *testing.T) {
	for _, in := range []string{"", "  ", "<", "<message", "<message a='", "<message><body>", "<message></message", "</stream:stream"} {
		if _, err := opened(t, strings.NewReader(in), Limits{}).Next(); err != io.ErrUnexpectedEOF {
			t.Errorf("Next of %q: %v, want unexpected EOF", in, err)
		}
	}
	for _, in := range []string{"", "\xef", "<?xm", "<?xml version='1.0'", "<stream:stream"} {
		if _, err := NewReader(strings.NewReader(in), Limits{}).Header(); err != io.ErrUnexpectedEOF {
			t.Errorf("Header of %q: %v, want unexpected EOF", in, err)
		}
	}
}

func TestSourceErrorsMayBeTriedAgain(t *testing.T) {
	src := iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(header + "<presence/>")))
	r := NewReader(src, Limits{})
	_, err := r.Header()
	if err != iotest.ErrTimeout {
		t.Fatalf("Header: %v, want a timeout", err)
	}
	if _, err := r.Header(); err != nil {
		t.Fatal(err)
	}
	if s, err := r.Next(); err != nil || s.Kind != Presence {
		t.Fatal(s, err)
	}
	r = opened(t, iotest.DataErrReader(iotest.ErrReader(iotest.ErrTimeout)), Limits{})
	if _, err := r.Next(); err != iotest.ErrTimeout {
		t.Fatalf("Next: %v, want a timeout", err)
	}
}

func TestASourceThatNeverSaysAnything(t *testing.T) {
	silent := readerFunc(func([]byte) (int, error) { return 0, nil })
	if _, err := NewReader(silent, Limits{}).Header(); err != io.ErrNoProgress {
		t.Fatalf("Header: %v, want no progress", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestPendingAndBuffered(t *testing.T) {
	r := opened(t, strings.NewReader("<presence/> \n<iq/>\n\n"), Limits{})
	if r.Pending() || r.Buffered() != 0 {
		t.Fatal("something is pending before anything was read")
	}
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if !r.Pending() || r.Buffered() != len(" \n<iq/>\n\n") {
		t.Fatalf("Pending() = %v with %d bytes, want the iq", r.Pending(), r.Buffered())
	}
	s, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if r.Pending() || s.Kind != IQ {
		t.Fatal("white space is pending")
	}
}

// Rule 10.
func TestRestart(t *testing.T) {
	// STARTTLS: what the plain connection sent ahead is gone.
	plain := strings.NewReader(header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><message><body>smuggled</body></message>")
	r := NewReader(plain, Limits{})
	if _, err := r.Header(); err != nil {
		t.Fatal(err)
	}
	if s, err := r.Next(); err != nil || s.Name != "starttls" {
		t.Fatal(s, err)
	}
	secured := strings.NewReader("<?xml version='1.0'?>" + header + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\n<?xml version='1.0'?>" + header + "<iq/>")
	r.Restart(secured)
	if r.Buffered() != 0 {
		t.Fatal("bytes from before TLS were kept")
	}
	if _, err := r.Header(); err != nil {
		t.Fatal(err)
	}
	if s, err := r.Next(); err != nil || s.Name != "auth" {
		t.Fatal(s, err)
	}
	// SASL: the client may have sent its header ahead.
	r.Restart(secured)
	if _, err := r.Header(); err != nil {
		t.Fatal(err)
	}
	if s, err := r.Next(); err != nil || s.Kind != IQ {
		t.Fatal(s, err)
	}
	// White space before the declaration is allowed there only.
	r.Restart(strings.NewReader(" <?xml version='1.0'?>" + header))
	if _, err := r.Header(); condition(err) != RestrictedXML {
		t.Fatalf("Header: %v, want restricted-xml", err)
	}
}

func TestRestartOnSourcesThatCannotBeCompared(t *testing.T) {
	type odd struct {
		io.Reader
		_ []int
	}
	r := NewReader(odd{Reader: strings.NewReader(header)}, Limits{})
	r.Restart(odd{Reader: strings.NewReader(header)})
	if _, err := r.Header(); err != nil {
		t.Fatal(err)
	}
}

func TestContentNamespace(t *testing.T) {
	in := strings.Replace(header, NSClient, NSServer, 1) + "<message><body xmlns='jabber:server'/></message>"
	r := NewReader(strings.NewReader(in), Limits{})
	r.SetContent(NSServer)
	h, err := r.Header()
	if err != nil || h.Space != NSServer {
		t.Fatal(h, err)
	}
	s, err := r.Next()
	if err != nil || s.Kind != Message || s.Space != NSServer || !s.Explicit || s.Child(NSServer, "body") == nil {
		t.Fatalf("%+v %v", s, err)
	}
}

func TestPlain(t *testing.T) {
	for _, want := range []uint8{plainText, plainValue} {
		for c := range 256 {
			for at := range 19 {
				b := []byte("some plain text 19.")
				b[at] = byte(c)
				i := 0
				for i < len(b) && class[b[i]]&want != 0 {
					i++
				}
				if got := plain(b, 0, want); got != i {
					t.Fatalf("plain(%q) = %d, want %d", b, got, i)
				}
			}
		}
	}
}
