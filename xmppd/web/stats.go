package web

import (
	"net/http"
	"sync/atomic"
)

// Stats are figures for monitoring, counted since the start. Operators' commands are not
// among them.
type Stats struct {
	Answers   [6]atomic.Int64 // by the first digit of their status
	Strangers atomic.Int64    // requests of those who could not say who they are
}

// Running is how many requests are being worked on.
func (a *API) Running() int64 { return int64(len(a.running)) }

// A counting writer counts one answer. What has no status of its own is none: the caller
// was gone, or its connection is cut.
type counting struct {
	http.ResponseWriter
	stats *Stats
	done  bool
}

// WriteHeader counts.
func (c *counting) WriteHeader(status int) {
	if !c.done && status >= 200 { // what comes before that is no answer yet (RFC 9110 §15.2)
		c.done = true
		c.stats.Answers[min(status/100, len(c.stats.Answers)-1)].Add(1)
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write begins an answer without a status, as all do that went well.
func (c *counting) Write(b []byte) (int, error) {
	if !c.done {
		c.WriteHeader(http.StatusOK)
	}
	return c.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }
