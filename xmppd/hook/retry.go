package hook

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"parley.im/parley/store"
)

// maxRetryAfter is the longest that a receiver may put an event off.
const maxRetryAfter = 24 * time.Hour

// wait is how long to wait after so many attempts, and whether there is to be
// another at all. The waits are spread by a fifth to either side, so that what
// failed together does not come back together.
func (c *Config) wait(attempts int) (time.Duration, bool) {
	if attempts >= len(c.Waits) {
		return 0, false
	}
	w := c.Waits[attempts]
	return time.Duration(float64(w) * (0.8 + 0.4*rand.Float64())), true
}

// resumed is when an event is due, and when it failed first, that an earlier process has put
// off. Within a process times hold the processor's own time, too, and no change of the clock
// matters; what was kept does not. By a clock that went back since, an event would be put off
// by as much, and hold up those behind it: so none waits longer than it would have to if it had
// failed just now.
func (c *Config) resumed(r store.Retry, now time.Time) (due, first time.Time) {
	due, first = r.Next, r.First
	most, _ := c.wait(r.Attempt)
	if !first.IsZero() && !first.After(now) {
		most = max(most, maxRetryAfter) // the receiver may have asked for that
	}
	if latest := now.Add(most); due.After(latest) {
		due = latest
	}
	if first.After(now) {
		first = now
	}
	return due, first
}

// retryAfter is how long an answer asks to wait (RFC 9110 §10.2.3): a number of
// seconds, or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
