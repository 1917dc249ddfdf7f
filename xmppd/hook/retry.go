package hook

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
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
