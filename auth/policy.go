package auth

import (
	"cmp"
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Policy says what a chosen password has to be like (KIS-7). Zero values are the
// defaults.
type Policy struct {
	// Off lets every password pass.
	Off bool
	// MinLength is in characters; 8.
	MinLength int
	// MinDigitsOrSymbols is how many of them are to be digits, punctuation or other
	// symbols; 2. A space is neither.
	MinDigitsOrSymbols int
}

func (p Policy) withDefaults() Policy {
	p.MinLength = cmp.Or(p.MinLength, 8)
	p.MinDigitsOrSymbols = cmp.Or(p.MinDigitsOrSymbols, 2)
	return p
}

// minDistinct is how many different characters a password has at least: repeating
// two or three isn't length.
const minDistinct = 4

// CheckPassword says what is wrong with a password that somebody chose for name, by
// the account's policy: nil, or an error that wraps ErrWeak, ErrPassword or ErrName
// and is written for that person.
func (a *Account) CheckPassword(name, password string) error {
	name, err := PrepareName(name)
	if err != nil {
		return err
	}
	if password, err = preparePassword(password); err != nil {
		return err
	}
	p := a.options.Load().Policy
	switch {
	case p.Off:
		return nil
	case utf8.RuneCountInString(password) < p.MinLength:
		return fmt.Errorf("%w: at least %d characters are needed", ErrWeak, p.MinLength)
	case digitsAndSymbols(password) < p.MinDigitsOrSymbols:
		return fmt.Errorf("%w: at least %d digits or symbols are needed", ErrWeak, p.MinDigitsOrSymbols)
	case isName(password, name, a.domain.String()):
		return fmt.Errorf("%w: it is the name or the address", ErrWeak)
	case distinct(password) < minDistinct:
		return fmt.Errorf("%w: too few different characters", ErrWeak)
	case isCommon(password):
		return fmt.Errorf("%w: it is one of the most common passwords", ErrWeak)
	}
	return nil
}

func digitsAndSymbols(s string) (n int) {
	for _, r := range s {
		if isDigitOrSymbol(r) {
			n++
		}
	}
	return n
}

func isDigitOrSymbol(r rune) bool {
	return unicode.IsNumber(r) || unicode.IsPunct(r) || unicode.IsSymbol(r)
}

func distinct(s string) int {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	return len(seen)
}

// isName finds the name, the domain or the JID, also with digits and symbols around
// them.
func isName(password, name, domain string) bool {
	for _, s := range [...]string{name, domain, name + "@" + domain} {
		core := trim(s)
		if strings.EqualFold(password, s) || core != "" && strings.EqualFold(trim(password), core) {
			return true
		}
	}
	return false
}

// trim takes digits, symbols and spaces from both ends.
func trim(s string) string { return strings.TrimFunc(s, isPadding) }

// trimEnd leaves the beginning, which may be a letter in disguise.
func trimEnd(s string) string { return strings.TrimRightFunc(s, isPadding) }

func isPadding(r rune) bool { return isDigitOrSymbol(r) || unicode.IsSpace(r) }

//go:embed common.txt
var commonText string

// common is the list of common passwords: lower-case, and without those that the
// policy's other rules refuse in every case.
var common = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for line := range strings.Lines(commonText) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			m[line] = true
		}
	}
	return m
})

// lookalikes undoes the usual substitutions.
var lookalikes = strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "i", "!", "i",
	"0", "o", "$", "s", "5", "s", "7", "t")

// isCommon finds a listed password, also in capitals, with digits and symbols around
// it, or with some of its letters written as such.
func isCommon(password string) bool {
	s := strings.ToLower(password)
	for _, form := range [...]string{s, trim(s), trimEnd(s)} {
		if common()[form] || common()[lookalikes.Replace(form)] {
			return true
		}
	}
	return false
}
