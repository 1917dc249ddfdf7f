package conf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Fault is one thing that is wrong with a configuration.
type Fault struct {
	At   string // where: "parley.toml:14"
	Key  string // the option's dotted name; "" if it is about no single one
	Text string // what is wrong
	Hint string // what to do about it; may be empty

	file string
	line int
}

// Error is where, which option and what, without the hint.
func (f *Fault) Error() string {
	s := f.Text
	if f.Key != "" {
		s = f.Key + ": " + s
	}
	if f.At != "" {
		s = f.At + ": " + s
	}
	return s
}

// Faults are all that is wrong with a configuration, in the order of files and
// lines.
type Faults []*Fault

// Error is one line for each.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes the single faults known to package errors.
func (f Faults) Unwrap() []error {
	errs := make([]error, len(f))
	for i, fault := range f {
		errs[i] = fault
	}
	return errs
}

func (f Faults) sort() {
	slices.SortStableFunc(f, func(a, b *Fault) int {
		if c := strings.Compare(a.file, b.file); c != 0 {
			return c
		}
		if a.line != b.line {
			return a.line - b.line
		}
		return strings.Compare(a.Key, b.Key)
	})
}

// Fault makes a fault of the option called key, such as "data" or
// "certificate.0.cert" (lists count from 0), with the line where it stands.
func (f *File) Fault(key, hint, format string, args ...any) *Fault {
	at := f.place(key)
	fault := &Fault{At: at, Key: spoken(key), Text: fmt.Sprintf(format, args...), Hint: hint, file: at}
	if i := strings.LastIndexByte(at, ':'); i >= 0 {
		if n, err := strconv.Atoi(at[i+1:]); err == nil {
			fault.file, fault.line = at[:i], n
		}
	}
	return fault
}

// place is where key stands, or else what is in it, or else what it is in.
func (f *File) place(key string) string {
	if at, ok := f.origin[key]; ok {
		return at
	}
	inside := ""
	for k := range f.origin {
		if strings.HasPrefix(k, key+".") && (inside == "" || k < inside) {
			inside = k
		}
	}
	if inside != "" {
		return f.origin[inside]
	}
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		return f.place(key[:i])
	}
	return f.path
}

// spoken is the dotted name without the numbers that count a list's tables.
func spoken(key string) string {
	parts := strings.Split(key, ".")
	parts = slices.DeleteFunc(parts, func(p string) bool {
		return strings.Trim(p, "0123456789") == ""
	})
	return strings.Join(parts, ".")
}
