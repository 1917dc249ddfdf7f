package conf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Size is a number of bytes, written as "256 KiB".
type Size int64

var units = []struct {
	name string
	size int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

// String writes s with the biggest binary unit that leaves no fraction.
func (s Size) String() string {
	for _, u := range units[:3] {
		if s != 0 && int64(s)%u.size == 0 {
			return fmt.Sprintf("%d %s", int64(s)/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d B", int64(s))
}

func parseSize(text string) (Size, error) {
	number, unit := strings.TrimSpace(text), int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("not a size: %q", text)
	}
	return Size(n * unit), nil
}

// ParseDuration reads a duration as options have it, for options of commands.
func ParseDuration(text string) (time.Duration, error) { return parseDuration(text) }

// parseDuration reads Go's durations and whole days. An empty text is zero.
func parseDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		if err != nil || n < 0 || n > 100*365 {
			return 0, fmt.Errorf("not a duration: %q", text)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("not a duration: %q", text)
	}
	return d, nil
}
