package contact

import (
	"strconv"
	"time"
)

// terms are the units in which people say for how long somebody is banned.
var terms = []struct {
	unit string
	is   time.Duration
}{{"mo", 30 * 24 * time.Hour}, {"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}}

// TermMax is the longest term.
const TermMax = 366 * 24 * time.Hour

// ParseTerm reads a term such as 1h, 1d, 1w or 1mo (30 days), of a year at most.
func ParseTerm(text string) (time.Duration, bool) {
	for _, t := range terms {
		if digits := len(text) - len(t.unit); digits > 0 && digits <= 4 && text[digits:] == t.unit {
			n, err := strconv.Atoi(text[:digits])
			d := time.Duration(n) * t.is
			return d, err == nil && text[0] >= '1' && text[0] <= '9' && d <= TermMax
		}
	}
	return 0, false
}
