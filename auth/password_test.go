package auth

import (
	"errors"
	"strings"
	"testing"
)

// RFC 4013 §3, and what its tables say where programs have differed.
func TestPreparePassword(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want string // empty: refused
	}{
		{"soft hyphen is mapped to nothing", "I\u00ADX", "IX"},
		{"nothing changes", "user", "user"},
		{"case is kept", "USER", "USER"},
		{"NFKC: feminine ordinal", "\u00AA", "a"},
		{"NFKC: roman numeral nine", "\u2168", "IX"},
		{"control character", "\u0007", ""},
		{"right-to-left not at both ends", "\u0627\u0031", ""},

		{"no-break space is a space", "a\u00A0b", "a b"},
		{"zero width space is a space", "a\u200Bb", "a b"},
		{"space alone", " ", " "},
		{"right-to-left", "\u0627\u0031\u0628", "\u0627\u0031\u0628"},
		{"both directions", "\u0627a\u0628", ""},
		{"composed", "a\u0308", "ä"},
		{"ligature", "\uFB01sh", "fish"},
		{"full width", "ｐａｓｓ", "pass"},
		{"empty", "", ""},
		{"empty after mapping", "\u00AD\u200D", ""},
		{"private use", "a\uE000", ""},
		{"replacement character", "a\uFFFD", ""},
		{"not a character", "a\U0001FFFE", ""},
		{"tag", "a\U000E0041", ""},
		{"directional mark", "a\u200E", ""},
		{"unassigned in Unicode 3.2", "a\u0221", ""},
		{"unassigned then, a letter's variant now", "a\u1D2C", ""},
		{"newer than Unicode 3.2", "a\U0001F600", ""},
		{"not UTF-8", "a\xFF", ""},
		{"too long", strings.Repeat("a", maxPassword+1), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := preparePassword(test.in)
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("preparePassword(%.20q) = %q, %v, want %q", test.in, got, err, test.want)
			}
			if err != nil && !errors.Is(err, ErrPassword) {
				t.Errorf("preparePassword(%.20q) = %v, want %v", test.in, err, ErrPassword)
			}
		})
	}
}

func FuzzPreparePassword(f *testing.F) {
	f.Add("I\u00ADX")
	f.Add("\u0627\u0031\u0628")
	f.Fuzz(func(t *testing.T, in string) {
		once, err := preparePassword(in)
		if err != nil {
			return
		}
		if twice, err := preparePassword(once); err == nil && twice != once {
			t.Errorf("preparePassword(%q) = %q, and of that %q", in, once, twice)
		}
	})
}

// Two spellings of a password are one password.
func TestPreparedOnBothSides(t *testing.T) {
	o := newOffice(t, newMemory(), Config{})
	o.store.add(t, o.Account, "anna", "password", "", "gru\u0308n\u00AD\u00A042!")
	if _, err := o.signIn(t, "anna", "grün 42!", home); err != nil {
		t.Error(err)
	}
}

// KIS-7.
func TestPolicyKIS7(t *testing.T) {
	o := newOffice(t, newMemory(), Config{})
	tests := []struct {
		name     string
		password string
		want     error
	}{
		{"8 characters, 2 digits", "wqtzkp47", nil},
		{"8 characters, 2 symbols", "wq-tzk-p", nil},
		{"8 characters, a digit and a symbol", "wqtz-kp4", nil},
		{"8 characters, not bytes", "жщцфюя47", nil},
		{"7 characters", "wqtzk47", ErrWeak},
		{"7 characters in 14 bytes", "жщцфю47", ErrWeak},
		{"1 digit", "wqtzkpl7", ErrWeak},
		{"1 symbol", "wqtz-kpl", ErrWeak},
		{"no digit or symbol", "wqtzkplm", ErrWeak},
		{"spaces are no symbols", "wq tz kp lm", ErrWeak},
		{"made by quickstart", password, nil},
		{"the name", "boris.4711", ErrWeak},
		{"the name and digits", "Boris471112", ErrWeak},
		{"the name, another's", "annabella4711", nil},
		{"the JID", "boris@desk.example", ErrWeak},
		{"the domain", "desk.example", ErrWeak},
		{"common", "12345678", ErrWeak},
		{"common with digits", "password123", ErrWeak},
		{"common in capitals", "PassWord12!", ErrWeak},
		{"common in disguise", "P@ssw0rd", ErrWeak},
		{"common in disguise, first letter", "$unshine42", ErrWeak},
		{"season and year", "Summer2026!", ErrWeak},
		{"keyboard", "1qaz2wsx", ErrWeak},
		{"few characters", "1212121212", ErrWeak},
		{"not to be sent", "wqtzkp47\u0000", ErrPassword},
		{"empty", "", ErrPassword},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			name := "boris"
			if test.name == "the name" {
				name = "boris.4711"
			}
			if err := o.CheckPassword(name, test.password); !errors.Is(err, test.want) {
				t.Errorf("CheckPassword(%q) = %v, want %v", test.password, err, test.want)
			}
		})
	}
	if err := o.CheckPassword("", password); !errors.Is(err, ErrName) {
		t.Errorf("CheckPassword without a name = %v, want %v", err, ErrName)
	}
}

func TestPolicyIsAnOption(t *testing.T) {
	o := newOffice(t, newMemory(), Config{Policy: Policy{MinLength: 12, MinDigitsOrSymbols: 3}})
	if err := o.CheckPassword("boris", "wqtzkpmn-47"); !errors.Is(err, ErrWeak) {
		t.Errorf("11 of 12 characters: %v, want %v", err, ErrWeak)
	}
	if err := o.CheckPassword("boris", "wqtzkpmn-47x"); err != nil {
		t.Errorf("12 of 12 characters: %v", err)
	}
	o = newOffice(t, newMemory(), Config{Policy: Policy{Off: true}})
	if err := o.CheckPassword("boris", "boris"); err != nil {
		t.Errorf("policy off: %v", err)
	}
}

func TestCommonListIsTidy(t *testing.T) {
	for word := range common() {
		if word != strings.ToLower(word) || word != strings.TrimSpace(word) {
			t.Errorf("%q is not as it is looked up", word)
		}
	}
	if n := len(common()); n < 300 {
		t.Errorf("%d common passwords, want some hundred", n)
	}
}
