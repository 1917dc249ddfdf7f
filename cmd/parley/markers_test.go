package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// A marker is a text that is nowhere else in the world, so that whoever finds it has
// found what it was put into.
type marker struct {
	in    string // what it was put into
	text  string
	forms [][]byte
}

// A kind says what may become of a marker.
type kind int

const (
	spoken kind = iota // kept as part of a conversation: in clear only where nothing is sealed
	unkept             // not for keeping, or kept sealed in every profile
	named              // how clients call things: sealed, but the log may tell it
	secret             // opens something
)

// markers are those of one test.
type markers struct{ all map[kind][]*marker }

func newMarkers() *markers { return &markers{make(map[kind][]*marker)} }

// make makes a marker and returns its text: lower-case letters and digits, which no
// preparation of names and no escaping changes.
func (m *markers) make(k kind, in string) string {
	text := strings.ToLower(rand.Text())
	m.add(k, in, text)
	return text
}

// add makes a marker of a text that exists.
func (m *markers) add(k kind, in, text string) {
	m.all[k] = append(m.all[k], &marker{in, text, formsOf(text)})
}

// formsOf are the ways in which a text may stand in a file: as it is, in UTF-16 of
// both kinds, in hexadecimal, and in base64 at each of three alignments.
func formsOf(text string) [][]byte {
	forms := [][]byte{[]byte(text), []byte(hex.EncodeToString([]byte(text))), []byte(strings.ToUpper(hex.EncodeToString([]byte(text))))}
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		var wide []byte
		for _, u := range utf16.Encode([]rune(text)) {
			wide = order.AppendUint16(wide, u)
		}
		forms = append(forms, wide)
	}
	for shift := range 3 {
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			coded := e.EncodeToString(append(make([]byte, shift), text...))
			from := (shift*8 + 5) / 6         // the first character that the text alone decides
			to := (shift + len(text)) * 8 / 6 // behind the last one
			forms = append(forms, []byte(coded[from:to]))
		}
	}
	return forms
}

func (m *marker) within(b []byte) bool {
	return slices.ContainsFunc(m.forms, func(form []byte) bool { return bytes.Contains(b, form) })
}

// found says which markers of these kinds are in b.
func (m *markers) found(b []byte, kinds ...kind) (in []string) {
	for _, k := range kinds {
		for _, x := range m.all[k] {
			if x.within(b) {
				in = append(in, x.in)
			}
		}
	}
	return in
}

// below says which markers of these kinds are in files below dir, and in which; but
// not in those that skip names.
func (m *markers) below(t *testing.T, dir string, skip func(path string) bool, kinds ...kind) map[string][]string {
	t.Helper()
	where := make(map[string][]string)
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || skip(path) {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if in := m.found(text, kinds...); len(in) > 0 {
			where[strings.TrimPrefix(path, dir+"/")] = in
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files below %s were searched: %v", files, dir, err)
	}
	return where
}

// The search must find a marker in each of the forms that it is to look for.
func TestMarkersAreFound(t *testing.T) {
	m := newMarkers()
	text := m.make(spoken, "it")
	for _, b := range []string{
		text, "x" + text + "y", hex.EncodeToString([]byte("ab" + text + "c")), "t\x00" + strings.Join(strings.Split(text, ""), "\x00") + "\x00",
		base64.StdEncoding.EncodeToString([]byte(text)), base64.StdEncoding.EncodeToString([]byte("a" + text + "b")),
		base64.URLEncoding.EncodeToString([]byte("ab" + text + "cde")), base64.StdEncoding.EncodeToString([]byte("abc" + text)),
	} {
		if len(m.found([]byte(b), spoken)) != 1 {
			t.Errorf("%q was not found in %q", text, b)
		}
	}
	if in := m.found([]byte(text[1:]), spoken); len(in) > 0 {
		t.Errorf("%q was found in a part of itself", text)
	}
}
