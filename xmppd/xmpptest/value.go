package xmpptest

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

// vars are the values that a talk has kept under a $name.
type vars map[string]string

var (
	variable = regexp.MustCompile(`\$[A-Za-z][A-Za-z0-9_]*`)
	// wild are the parts of an expected value that aren't literal.
	wild = regexp.MustCompile(`\$[A-Za-z][A-Za-z0-9_]*|\*`)
)

// match compares a value with what the talk expects there, and keeps what it
// gets for new names. A fault is told as `want "a", got "b"`, or nil is
// returned.
func (v vars) match(want, got string) error {
	if inner, ok := base64Word(want); ok {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(got))
		if err != nil {
			return fmt.Errorf("want base64, got %q", got)
		}
		return v.match(inner, string(raw))
	}
	if !wild.MatchString(want) {
		if want != got {
			return fmt.Errorf("want %q, got %q", want, got)
		}
		return nil
	}
	names, re := v.compile(want)
	m := re.FindStringSubmatch(got)
	if m == nil {
		return v.mismatch(want, got)
	}
	for i, name := range names {
		v[name] = m[i+1]
	}
	return nil
}

// compile makes a regular expression of an expected value, with a group for
// each name that has no value yet.
func (v vars) compile(want string) (names []string, re *regexp.Regexp) {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	at := 0
	seen := map[string]bool{}
	for _, span := range wild.FindAllStringIndex(want, -1) {
		b.WriteString(regexp.QuoteMeta(want[at:span[0]]))
		word := want[span[0]:span[1]]
		at = span[1]
		value, bound := v[word]
		switch {
		case word == "*" || seen[word]:
			b.WriteString(`.+?`)
		case bound:
			b.WriteString(regexp.QuoteMeta(value))
		default:
			seen[word], names = true, append(names, word)
			b.WriteString(`(.+?)`)
		}
	}
	b.WriteString(regexp.QuoteMeta(want[at:]))
	b.WriteString(`\z`)
	return names, regexp.MustCompile(b.String())
}

func (v vars) mismatch(want, got string) error {
	if value, ok := v[want]; ok {
		return fmt.Errorf("want %s=%q again, got %q", want, value, got)
	}
	shown := variable.ReplaceAllStringFunc(want, func(name string) string {
		if value, ok := v[name]; ok {
			return value
		}
		return name
	})
	return fmt.Errorf("want %q, got %q", shown, got)
}

func (v vars) copy() vars {
	c := make(vars, len(v))
	for k, s := range v {
		c[k] = s
	}
	return c
}

// take makes v what other is.
func (v vars) take(other vars) {
	for k, s := range other {
		v[k] = s
	}
}

func base64Word(s string) (inner string, ok bool) {
	inner, ok = strings.CutPrefix(s, "{base64: ")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(inner, "}")
}
