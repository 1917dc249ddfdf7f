package scram

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

const (
	// maxMessage bounds what a client may send at once. A name and an authzid of
	// 1,023 bytes each, escaped, and a channel binding in base64 fit twice.
	maxMessage = 16 << 10
	// A nonce protects the one who made it, so a short one harms the client alone;
	// still, it is the sign of a broken client, and cheap to refuse.
	minNonce = 8
	maxNonce = 1 << 10
)

// A firstMessage is the client's first (RFC 5802 §7, client-first-message).
type firstMessage struct {
	gs2     string // the header with both its commas
	flag    byte   // 'n', 'y' or 'p'
	binding string // the binding's name when flag is 'p'
	authzid string
	bare    string // what follows the header
	name    string
	nonce   string
}

func parseFirst(msg []byte) (m firstMessage, err error) {
	if err := checkText(msg); err != nil {
		return m, err
	}
	flag, rest, ok := strings.Cut(string(msg), ",")
	if !ok {
		return m, malformed("no GS2 header")
	}
	authzid, bare, ok := strings.Cut(rest, ",")
	if !ok {
		return m, malformed("no GS2 header")
	}
	m.gs2, m.bare = string(msg[:len(msg)-len(bare)]), bare
	if m.flag, m.binding, err = parseFlag(flag); err != nil {
		return m, err
	}
	if authzid != "" {
		if m.authzid, err = parseName(authzid, "a="); err != nil {
			return m, err
		}
	}
	return m, m.parseBare()
}

// parseFlag reads gs2-cbind-flag (RFC 5802 §7).
func parseFlag(s string) (flag byte, binding string, err error) {
	switch {
	case s == "n", s == "y":
		return s[0], "", nil
	case strings.HasPrefix(s, "p=") && isBindingName(s[2:]):
		return 'p', s[2:], nil
	}
	return 0, "", malformed("channel binding flag")
}

// isBindingName checks cb-name: 1*(ALPHA / DIGIT / "." / "-") (RFC 5802 §7).
func isBindingName(s string) bool {
	for _, c := range []byte(s) {
		if !isAlpha(c) && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return s != ""
}

// parseBare reads client-first-message-bare: the name, the nonce, extensions.
func (m *firstMessage) parseBare() (err error) {
	name, rest, ok := strings.Cut(m.bare, ",")
	if !ok {
		return malformed("no nonce")
	}
	// RFC 5802 §5.1: m= asks for an extension that must be understood; none is.
	if strings.HasPrefix(name, "m=") {
		return malformed("mandatory extension")
	}
	if m.name, err = parseName(name, "n="); err != nil {
		return err
	}
	nonce, extensions, more := strings.Cut(rest, ",")
	if m.nonce, err = parseNonce(nonce, maxNonce); err != nil {
		return err
	}
	if more {
		return checkExtensions(extensions)
	}
	return nil
}

// A finalMessage is the client's last (RFC 5802 §7, client-final-message).
type finalMessage struct {
	bare    string // without the proof
	binding []byte // the GS2 header again and the binding's data
	nonce   string
	proof   []byte
}

func parseFinal(msg []byte) (m finalMessage, err error) {
	if err := checkText(msg); err != nil {
		return m, err
	}
	s := string(msg)
	// The proof comes last, and base64 has no comma.
	at := strings.LastIndexByte(s, ',')
	if at < 0 || !strings.HasPrefix(s[at+1:], "p=") {
		return m, malformed("no proof")
	}
	m.bare = s[:at]
	if m.proof, err = parseBase64(s[at+1+len("p="):]); err != nil {
		return m, err
	}
	binding, rest, ok := strings.Cut(m.bare, ",")
	if !ok || !strings.HasPrefix(binding, "c=") {
		return m, malformed("no channel binding")
	}
	if m.binding, err = parseBase64(binding[len("c="):]); err != nil {
		return m, err
	}
	nonce, extensions, more := strings.Cut(rest, ",")
	if m.nonce, err = parseNonce(nonce, 2*maxNonce); err != nil {
		return m, err
	}
	if more {
		return m, checkExtensions(extensions)
	}
	return m, nil
}

// checkText refuses what no SCRAM message can hold (RFC 5802 §7: value-safe-char
// is UTF-8 without NUL).
func checkText(msg []byte) error {
	if len(msg) > maxMessage {
		return malformed("too long")
	}
	if !utf8.Valid(msg) || bytes.IndexByte(msg, 0) >= 0 {
		return malformed("not UTF-8 or NUL")
	}
	return nil
}

// parseName reads a saslname: a comma is written =2C and an equals sign =3D, and
// there is no other use of the equals sign (RFC 5802 §5.1).
func parseName(s, attr string) (string, error) {
	s, ok := strings.CutPrefix(s, attr)
	if !ok || s == "" {
		return "", malformed("no " + attr)
	}
	if strings.IndexByte(s, '=') < 0 {
		return s, nil
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "=")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		switch {
		case strings.HasPrefix(after, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(after, "3D"):
			b.WriteByte('=')
		default:
			return "", malformed("escape in " + attr)
		}
		s = after[2:]
	}
}

// parseNonce reads r=: printable ASCII without the comma (RFC 5802 §7). The client's
// last message has both halves, so its limit is another.
func parseNonce(s string, most int) (string, error) {
	s, ok := strings.CutPrefix(s, "r=")
	if !ok {
		return "", malformed("no nonce")
	}
	if len(s) < minNonce || len(s) > most {
		return "", malformed("length of the nonce")
	}
	for _, c := range []byte(s) {
		if c < 0x21 || c > 0x7E || c == ',' {
			return "", malformed("character in the nonce")
		}
	}
	return s, nil
}

// checkExtensions reads attributes that nobody knows, which are allowed
// (RFC 5802 §5.1: optional extensions are ignored), and refuses those that have
// a meaning elsewhere: twice the same attribute would be read twice in two ways.
func checkExtensions(s string) error {
	for attr := range strings.SplitSeq(s, ",") {
		if len(attr) < 3 || !isAlpha(attr[0]) || attr[1] != '=' {
			return malformed("extension")
		}
		if strings.IndexByte("aceimnprsv", attr[0]) >= 0 {
			return malformed("attribute out of place")
		}
	}
	return nil
}

// parseBase64 reads base64 in its one canonical spelling.
func parseBase64(s string) ([]byte, error) {
	// The decoder would skip line ends.
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return nil, malformed("base64")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, malformed("base64")
	}
	return b, nil
}

func isAlpha(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
