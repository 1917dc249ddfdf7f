package visit

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"slices"
)

// A picture often says more than it shows: cameras and programs write into it when and where it was taken, on which machine, by whom.

// untold is a picture without that, and its media type; nil if it is none that is shown, or is not made as it should be. What
// the bytes are counts, not what anybody says that they are.
func untold(photo []byte) (is []byte, kind string) {
	switch kind = http.DetectContentType(photo); kind {
	case "image/jpeg":
		is = untoldJPEG(photo)
	case "image/png":
		is = untoldPNG(photo)
	case "image/webp":
		is = untoldWebP(photo)
	case "image/gif": // which cameras don't make
		is = photo
	}
	return is, kind
}

// untoldJPEG keeps of what applications have added only what colours are, and nothing behind the picture (ITU-T T.81 §B.1.1, §B.2).
func untoldJPEG(photo []byte) []byte {
	out, rest := slices.Clone(photo[:2]), photo[2:]
	for len(rest) >= 4 && rest[0] == 0xff {
		marker, size := rest[1], 2+int(binary.BigEndian.Uint16(rest[2:]))
		if size < 4 || size > len(rest) {
			return nil
		}
		application, comment := marker >= 0xe0 && marker <= 0xef, marker == 0xfe
		if !comment && (!application || marker == 0xe0 || marker == 0xe2 || marker == 0xee) { // JFIF, ICC, Adobe
			out = append(out, rest[:size]...)
		}
		rest = rest[size:]
		if marker != 0xda {
			continue
		}
		n := scanSize(rest)
		out, rest = append(out, rest[:n]...), rest[n:]
		if len(rest) >= 2 && rest[1] == 0xd9 {
			return append(out, rest[:2]...)
		}
	}
	return nil
}

// scanSize is where the next marker is after one scan of a JPEG picture.
func scanSize(b []byte) int {
	for i := 0; i+1 < len(b); i++ {
		if b[i] == 0xff && b[i+1] != 0 && b[i+1] != 0xff && (b[i+1] < 0xd0 || b[i+1] > 0xd7) {
			return i
		}
	}
	return len(b)
}

// pngShown are the chunks beside the critical ones that change what is seen (PNG §4.7, §11.3).
var pngShown = []string{"tRNS", "cHRM", "gAMA", "iCCP", "sBIT", "sRGB", "cICP", "bKGD", "pHYs", "acTL", "fcTL", "fdAT"}

// untoldPNG keeps what is seen.
func untoldPNG(photo []byte) []byte {
	const signature, frame = 8, 12 // a chunk has its size, its type and a checksum around it
	out, rest := slices.Clone(photo[:signature]), photo[signature:]
	for len(rest) >= frame {
		n, typ := uint64(binary.BigEndian.Uint32(rest))+frame, string(rest[4:8])
		if n > uint64(len(rest)) {
			return nil
		}
		if critical := typ[0]&0x20 == 0; critical || slices.Contains(pngShown, typ) {
			out = append(out, rest[:n]...)
		}
		if rest = rest[n:]; typ == "IEND" {
			return out
		}
	}
	return nil
}

// webpShown are the chunks of a WebP picture that change what is seen (RFC 9649 §2.7).
var webpShown = []string{"VP8 ", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF", "ICCP"}

// untoldWebP keeps what is seen, and says of the rest no more that it is there.
func untoldWebP(photo []byte) []byte {
	const head, frame, exif, xmp = 12, 8, 0x08, 0x04
	out, rest := slices.Clone(photo[:head]), photo[head:]
	size := uint64(binary.LittleEndian.Uint32(photo[4:])) + frame
	if size < head || size > uint64(len(photo)) {
		return nil
	}
	for rest = rest[:size-head]; len(rest) > 0; {
		if len(rest) < frame {
			return nil
		}
		n, typ := uint64(binary.LittleEndian.Uint32(rest[4:]))+frame, string(rest[:4])
		if n += n % 2; n > uint64(len(rest)) {
			return nil
		}
		chunk := bytes.Clone(rest[:n])
		if typ == "VP8X" && n > frame {
			chunk[frame] &^= exif | xmp
		}
		if slices.Contains(webpShown, typ) {
			out = append(out, chunk...)
		} else if len(out) == head { // a picture begins with what it is
			return nil
		}
		rest = rest[n:]
	}
	if len(out) == head {
		return nil
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
}
