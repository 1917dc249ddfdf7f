package visit

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// How long what visitors send may be, in characters.
const (
	textMax   = 4000
	nameMax   = 100
	valueMax  = 1000
	fieldsMax = 50
	urlMax    = 2000
	titleMax  = 200
)

// cleaned is a text without what is no text: controls but line ends and tabs, and what no
// XML can hold (XML 1.0 §2.2). All else stays as it is.
func cleaned(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), r&0xfffe == 0xfffe: // the last two of each plane are no characters
			return -1
		}
		return r
	}, s)
}

// oneLine is a text as it can stand in a line of others': white space and controls are spaces, and
// nothing turns the direction of writing.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r), r&0xfffe == 0xfffe:
			return -1
		}
		return r
	}, s)), " ")
}

// cut leaves at most so many characters.
func cut(s string, most int) string {
	if len(s) > most {
		if r := []rune(s); len(r) > most {
			return string(r[:most])
		}
	}
	return s
}

func tooLong(s string, most int) bool { return len(s) > most && utf8.RuneCountInString(s) > most }

// message is what a visitor says, cleaned.
func message(s string) (string, error) {
	s = cleaned(s)
	switch {
	case strings.TrimSpace(s) == "":
		return "", refusal{codeEmpty, "nothing is said"}
	case tooLong(s, textMax):
		return "", refusalf(codeTooLong, "a text has at most %d characters", textMax)
	}
	return s, nil
}

// name is what a visitor wants to be called.
func name(s string) (string, error) {
	if s = oneLine(s); tooLong(s, nameMax) {
		return "", refusalf(codeTooLong, "a name has at most %d characters", nameMax)
	}
	return s, nil
}

// fields are what a form says.
func fields(in map[string]string) (map[string]string, error) {
	if len(in) > fieldsMax {
		return nil, refusalf(codeTooLong, "a form has at most %d fields", fieldsMax)
	}
	var out map[string]string
	for k, v := range in {
		k, v = oneLine(k), cleaned(v)
		switch {
		case k == "":
			return nil, refusal{codeInvalid, "a field has no name"}
		case tooLong(k, nameMax), tooLong(v, valueMax):
			return nil, refusalf(codeTooLong, "a field's name has at most %d characters, its value %d", nameMax, valueMax)
		}
		if out == nil {
			out = make(map[string]string, len(in))
		}
		if _, twice := out[k]; twice {
			return nil, refusal{codeInvalid, "a field stands twice"}
		}
		out[k] = v
	}
	return out, nil
}
