package visit_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"testing"

	"parley.im/parley/xmppd/visit"
)

// A told picture says more than it shows.
type told struct{ name, kind, with, without string }

// toldPictures are such pictures, and what is to be left of them.
func toldPictures(t testing.TB) []told {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	photo := b.String()
	segment := func(marker byte, text string) string {
		return string([]byte{0xff, marker, 0, byte(len(text) + 2)}) + text
	}

	b.Reset()
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	begin, drawn := b.String()[:33], b.String()[33:] // after its first chunk
	chunk := func(typ, text string) string {
		c := append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), typ+text...)
		return string(binary.BigEndian.AppendUint32(c, crc32.ChecksumIEEE(c[4:])))
	}
	size := chunk("pHYs", "\x00\x00\x0b\x13\x00\x00\x0b\x13\x01")

	webp, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	if err != nil {
		t.Fatal(err)
	}
	riff := func(flags byte, chunks string) string {
		body := "WEBPVP8X\x0a\x00\x00\x00" + string(flags) + "\x00\x00\x00\x00\x00\x00\x00\x00\x00" + string(webp[12:]) + chunks
		return "RIFF" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body
	}
	return []told{
		{"a photo", "image/jpeg", "\xff\xd8" + segment(0xe1, "Exif\x00\x00 at home") + segment(0xfe, "by me") + segment(0xe2, "ICC") + photo[2:] + photo, "\xff\xd8" + segment(0xe2, "ICC") + photo[2:]},
		{"a drawing", "image/png", begin + chunk("eXIf", "at home") + chunk("tEXt", "Author\x00me") + size + chunk("iTXt", "XML:com.adobe.xmp") + drawn + "and more", begin + size + drawn},
		{"a photo of the web", "image/webp", riff(0x1c, "EXIF\x07\x00\x00\x00at home\x00XMP \x06\x00\x00\x00by me.") + "and more", riff(0x10, "")},
		{"a small one", "image/webp", string(webp), string(webp)},
	}
}

// Where it was taken, when and by whom no picture says to visitors.
func TestPicturesTellNothing(t *testing.T) {
	for _, c := range toldPictures(t) {
		got, kind := visit.Untold([]byte(c.with))
		if string(got) != c.without || kind != c.kind {
			t.Errorf("%s is given as %s %q, want %q", c.name, kind, got, c.without)
		}
		if _, _, err := image.Decode(bytes.NewReader(got)); err != nil && c.kind != "image/webp" {
			t.Errorf("%s: %v", c.name, err)
		}
		for n := range len(c.without) {
			if got, _ := visit.Untold([]byte(c.without[:n])); got != nil {
				t.Errorf("%d bytes of %s are given as %q", n, c.name, got)
			}
		}
	}
}

// Nobody's picture breaks it, and what is left of one tells nothing more.
func FuzzUntold(f *testing.F) {
	for _, c := range toldPictures(f) {
		f.Add([]byte(c.with))
	}
	f.Fuzz(func(t *testing.T, photo []byte) {
		got, kind := visit.Untold(photo)
		if got == nil {
			return
		}
		if again, same := visit.Untold(got); same != kind || !bytes.Equal(again, got) {
			t.Errorf("%q becomes %q, and then %q", photo, got, again)
		}
	})
}
