package web

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// A stranger hears after a tenth of a second that it is none, whichever way the clock has jumped
// since it asked.
func TestStrangersWaitNoDay(t *testing.T) {
	for _, jump := range []time.Duration{0, 24 * time.Hour, -24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			a := New(Config{
				ClientAddr: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
				Now:        time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
			})
			asked := time.Now()
			r := a.stranger(httptest.NewRequest("GET", "/v1/key", nil), unknownError("it is none"), asked.Add(-jump))
			if took := time.Since(asked); r.Status != http.StatusUnauthorized || took > unknownAfter {
				t.Errorf("after a jump of %v it hears %d %s, after %v", jump, r.Status, r.Text, took)
			}
		})
	}
}
