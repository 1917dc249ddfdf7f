package wire

import (
	"bytes"
	"strings"
)

var (
	byteOrderMark = []byte("\uFEFF")
	declOpen      = []byte("<?xml")
)

// longestProlog is more than any XML declaration needs.
const longestProlog = 256

// skipProlog reads what may stand before a stream's start tag.
func (r *Reader) skipProlog() error {
	for {
		if r.restarted {
			// It came behind the last element of the stream before.
			r.start = skipSpace(r.buf[:r.end], r.start)
		}
		n, err := prolog(r.buf[r.start:min(r.end, r.start+longestProlog)])
		switch {
		case err == nil:
			r.start += n
			return nil
		case err != errMore:
			return r.fail(err)
		case r.end-r.start >= longestProlog:
			return r.fail(malformed("XML declaration without an end"))
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
}

// prolog returns the length of a byte order mark and an XML declaration, of
// which there may be none (RFC 6120 §11.5).
func prolog(b []byte) (int, error) {
	n := 0
	switch {
	case bytes.HasPrefix(b, byteOrderMark):
		n = len(byteOrderMark)
	case bytes.HasPrefix(byteOrderMark, b):
		return 0, errMore
	case b[0] == 0xFE || b[0] == 0xFF:
		// RFC 6120 §11.6, §4.9.3.22
		return 0, StreamError{Condition: UnsupportedEncoding, Text: "not UTF-8"}
	}
	rest := b[n:]
	if len(rest) <= len(declOpen) {
		if bytes.HasPrefix(declOpen, rest) {
			return 0, errMore
		}
		return n, nil
	}
	if !bytes.HasPrefix(rest, declOpen) || class[rest[len(declOpen)]]&space == 0 {
		return n, nil
	}
	end := bytes.Index(rest, []byte("?>"))
	if end < 0 {
		return 0, errMore
	}
	return n + end + len("?>"), checkDeclaration(string(rest[len(declOpen):end]))
}

// checkDeclaration checks what stands between "<?xml" and "?>" (XML 1.0 §2.8).
func checkDeclaration(d string) error {
	bad := malformed("bad XML declaration")
	allowed := []string{"version", "encoding", "standalone"}
	for first := true; ; first = false {
		trimmed := strings.TrimLeft(d, " \t\r\n")
		if trimmed == "" && !first {
			return nil
		}
		if trimmed == d {
			return bad
		}
		name, rest, ok := strings.Cut(trimmed, "=")
		name = strings.TrimRight(name, " \t\r\n")
		rest = strings.TrimLeft(rest, " \t\r\n")
		if !ok || rest == "" || rest[0] != '"' && rest[0] != '\'' {
			return bad
		}
		value, rest, ok := strings.Cut(rest[1:], rest[:1])
		if !ok || first && name != "version" {
			return bad
		}
		for len(allowed) > 0 && allowed[0] != name {
			allowed = allowed[1:]
		}
		if len(allowed) == 0 {
			return bad
		}
		allowed = allowed[1:]
		if err := checkDeclared(name, value); err != nil {
			return err
		}
		d = rest
	}
}

func checkDeclared(name, value string) error {
	switch name {
	case "version":
		if minor, ok := strings.CutPrefix(value, "1."); !ok || !digits(minor) {
			return malformed("not XML 1.0")
		}
	case "encoding":
		if !strings.EqualFold(value, "UTF-8") {
			// RFC 6120 §11.6, §4.9.3.22
			return StreamError{Condition: UnsupportedEncoding, Text: "not UTF-8"}
		}
	case "standalone":
		if value != "yes" && value != "no" {
			return malformed("bad XML declaration")
		}
	}
	return nil
}
