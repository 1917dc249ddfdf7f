package conf

import (
	"fmt"
	"strconv"
	"strings"
)

func place(path string, line int) string { return fmt.Sprintf("%s:%d", path, line) }

func element(list string, i int) string { return list + "." + strconv.Itoa(i) }

// keyLines finds the line of each key in a text that is known to be TOML. Tables
// of a list are counted: the second [[account]]'s id is "account.1.id". Keys inside
// inline tables are left out; they stand on the line of the table.
func keyLines(text string) map[string]int {
	s := &lineScanner{text: text, line: 1, lines: make(map[string]int), lists: make(map[string]int)}
	for s.skipBlank(); s.pos < len(s.text); s.skipBlank() {
		if s.text[s.pos] == '[' {
			s.header()
		} else {
			s.note(s.table, s.key('='))
			s.pos++ // the equals sign
			s.value()
		}
	}
	return s.lines
}

type lineScanner struct {
	text  string
	pos   int
	line  int
	table string // the table that keys belong to
	lines map[string]int
	lists map[string]int // how many tables of a list there were
}

func (s *lineScanner) advance(n int) {
	n = min(n, len(s.text)-s.pos)
	s.line += strings.Count(s.text[s.pos:s.pos+n], "\n")
	s.pos += n
}

// skipBlank passes white space, line ends and comments.
func (s *lineScanner) skipBlank() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.advance(1)
		case '#':
			s.skipLine()
		default:
			if !strings.HasPrefix(s.text[s.pos:], "\ufeff") {
				return
			}
			s.advance(len("\ufeff"))
		}
	}
}

func (s *lineScanner) skipLine() {
	end := strings.IndexByte(s.text[s.pos:], '\n')
	if end < 0 {
		end = len(s.text) - s.pos
	}
	s.advance(end)
}

func (s *lineScanner) header() {
	list := strings.HasPrefix(s.text[s.pos:], "[[")
	s.advance(1)
	if list {
		s.advance(1)
	}
	name := s.resolve(s.key(']'))
	if list {
		n := s.lists[name]
		s.lists[name]++
		name = element(name, n)
	}
	s.table = name
	s.note("", name)
	s.skipLine()
}

// resolve puts the number of the newest table into a name that leads through a list.
func (s *lineScanner) resolve(name string) string {
	parts := strings.Split(name, ".")
	path := parts[0]
	for _, p := range parts[1:] {
		if n := s.lists[path]; n > 0 {
			path = element(path, n-1)
		}
		path += "." + p
	}
	return path
}

func (s *lineScanner) note(table, key string) {
	if table != "" {
		key = table + "." + key
	}
	if _, ok := s.lines[key]; !ok {
		s.lines[key] = s.line
	}
}

// key reads a dotted key up to end and returns it without quotes and spaces.
func (s *lineScanner) key(end byte) string {
	var b strings.Builder
	for s.pos < len(s.text) && s.text[s.pos] != end {
		switch c := s.text[s.pos]; c {
		case '"', '\'':
			start := s.pos
			s.quoted()
			b.WriteString(strings.Trim(s.text[start:s.pos], string(c)))
		case ' ', '\t':
			s.advance(1)
		default:
			b.WriteByte(c)
			s.advance(1)
		}
	}
	return b.String()
}

// value passes a value: up to the line's end, outside of strings and brackets.
func (s *lineScanner) value() {
	depth := 0
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case '"', '\'':
			s.quoted()
			continue
		case '#':
			s.skipLine()
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '\n':
			if depth == 0 {
				return
			}
		}
		s.advance(1)
	}
}

// quoted passes a string of any of TOML's four forms.
func (s *lineScanner) quoted() {
	quote := s.text[s.pos : s.pos+1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(s.text[s.pos:], long) {
		quote = long
	}
	s.advance(len(quote))
	for s.pos < len(s.text) && !strings.HasPrefix(s.text[s.pos:], quote) {
		if s.text[s.pos] == '\\' && quote[0] == '"' {
			s.advance(1)
		}
		s.advance(1)
	}
	s.advance(len(quote))
	for len(quote) == 3 && s.pos < len(s.text) && s.text[s.pos] == quote[0] {
		s.advance(1) // a quotation mark right before the closing ones
	}
}
