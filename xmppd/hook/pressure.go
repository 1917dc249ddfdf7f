package hook

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// pressureFiles are where Linux tells for how long somebody has waited for a processor: of
// those that the server shares its limits with or, failing that, of all.
var pressureFiles = []string{"/sys/fs/cgroup/cpu.pressure", "/proc/pressure/cpu"}

// waited is for how long so far somebody was ready to run and had no processor.
func waited() (total time.Duration, ok bool) {
	for _, path := range pressureFiles {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if total, ok = parsePressure(string(text)); ok {
			return total, true
		}
	}
	return 0, false
}

// parsePressure reads the line "some avg10=0.00 … total=12345", in microseconds.
func parsePressure(text string) (total time.Duration, ok bool) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "some" {
			continue
		}
		for _, f := range fields {
			if value, found := strings.CutPrefix(f, "total="); found {
				n, err := strconv.ParseInt(value, 10, 53)
				return time.Duration(n) * time.Microsecond, err == nil && n >= 0
			}
		}
	}
	return 0, false
}
