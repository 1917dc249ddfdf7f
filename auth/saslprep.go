package auth

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

const (
	maxPassword = 1 << 10 // in bytes

	strange = "it holds a character that not every client can send"
)

// preparePassword is SASLprep (RFC 4013), with which RFC 5802 §2.2 wants passwords
// brought into one form on both sides. What fails here is refused when it is
// chosen, since some client would refuse to send it, or send something else; runes
// that Unicode 3.2 didn't know are among that. No error quotes the password.
//
// PRECIS (RFC 8265) is SASLprep's successor, but SCRAM hasn't moved to it, and its
// result differs: it doesn't compose compatibility forms, and maps nothing away.
func preparePassword(s string) (string, error) {
	switch {
	case !utf8.ValidString(s):
		return "", fmt.Errorf("%w: not UTF-8", ErrPassword)
	case len(s) > maxPassword:
		return "", fmt.Errorf("%w: longer than %d bytes", ErrPassword, maxPassword)
	}
	// RFC 4013 §2.5: passwords are stored strings, for which unassigned runes are
	// prohibited (RFC 5802 §2.2). That comes first, since today's normalization knows
	// some of them and would turn them into others.
	if strings.ContainsFunc(s, isUnassigned) {
		return "", fmt.Errorf("%w: %s", ErrPassword, strange)
	}
	// RFC 4013 §2.1 and §2.2: mapping, then normalization form KC.
	s = norm.NFKC.String(strings.Map(mapRune, s))
	switch {
	case s == "":
		return "", fmt.Errorf("%w: empty", ErrPassword)
	case strings.ContainsFunc(s, isProhibited):
		return "", fmt.Errorf("%w: %s", ErrPassword, strange)
	case !unmixed(s):
		return "", fmt.Errorf("%w: it mixes directions of writing", ErrPassword)
	}
	return s, nil
}

func isUnassigned(r rune) bool { return within(unassigned, r) }

// isProhibited is RFC 4013 §2.3.
func isProhibited(r rune) bool { return within(prohibited, r) || within(spaces, r) }

func mapRune(r rune) rune {
	switch {
	case within(spaces, r):
		return ' '
	case within(nothings, r):
		return -1
	}
	return r
}

// unmixed checks what RFC 3454 §6 asks of right-to-left text: none of it, or nothing
// left-to-right, and right-to-left at both ends.
func unmixed(s string) bool {
	var right, left bool
	for _, r := range s {
		if within(rightToLeft, r) {
			right = true
		} else if p, _ := bidi.LookupRune(r); p.Class() == bidi.L {
			left = true
		}
	}
	if !right {
		return true
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	return !left && within(rightToLeft, first) && within(rightToLeft, last)
}
