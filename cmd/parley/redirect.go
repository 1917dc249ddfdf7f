package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"parley.im/parley/conf"
)

// redirectConnections is how many there can be on each port for HTTP.
const redirectConnections = 64

// A redirect is what is said in clear: that it is said elsewhere (VIV-3). With challenge it
// shows an authority what that looks for (RFC 8555 §8.3), which is no secret.
type redirect struct {
	http http.Server
	once sync.Once
}

func newRedirect(log *slog.Logger, challenge func(http.Handler) http.Handler) *redirect {
	var h http.Handler = http.HandlerFunc(toHTTPS)
	if challenge != nil {
		h = challenge(h)
	}
	r := new(redirect)
	r.http = http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      5 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	r.http.SetKeepAlivesEnabled(false) // there is nothing more to ask
	return r
}

func (r *redirect) serve(l net.Listener) error {
	if err := r.http.Serve(netutil.LimitListener(l, redirectConnections)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (r *redirect) stop() {
	r.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		r.http.Shutdown(ctx)
		r.http.Close()
	})
}

// toHTTPS sends whoever asks to the same place over HTTPS, where he asks again in the same
// way (RFC 9110 §15.4.9).
func toHTTPS(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(host)
	if conf.CheckDomain(host) != nil {
		http.Error(w, "there is HTTPS only, at the server's name", http.StatusBadRequest)
		return
	}
	w.Header().Set("Location", "https://"+host+r.URL.RequestURI())
	w.WriteHeader(http.StatusPermanentRedirect)
}
