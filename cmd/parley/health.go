package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/crypto/acme"

	"parley.im/parley/xmppd"
	"parley.im/parley/xmppd/web"
)

// httpsConnections is how many there can be: strangers must not use up the files that
// sessions need.
const (
	httpsConnections = 256
	httpsPerAddress  = 64
	// httpsStreams is how many requests there can be at the same time in one of HTTP/2.
	httpsStreams = 16
)

// health is what the HTTPS listener answers: whether the server lives, whether it
// can do its work, and its figures.
type health struct {
	server *server
	set    *metrics.Set
	http   http.Server
	close  sync.Once
}

func newHealth(s *server) *health {
	h := &health{server: s, set: metrics.NewSet()}
	st, hooks := &s.xmpp.Stats, &s.hooks.Stats
	for name, value := range map[string]func() int64{
		"parley_connections_total":       st.Accepted.Load,
		"parley_connections_refused":     st.Refused.Load,
		"parley_sign_ins_total":          st.SignIns.Load,
		"parley_sign_in_failures_total":  st.SignInFailures.Load,
		"parley_messages_total":          st.Messages.Load,
		"parley_sessions":                st.Sessions.Load,
		"parley_sessions_resumed_total":  st.Resumed.Load,
		"parley_sessions_too_slow_total": st.CutForSlowness.Load,
		"parley_stores_unavailable":      func() int64 { return int64(len(h.troubles())) },
		"parley_log_records":             h.records,

		"parley_webhook_attempts_total":           hooks.Attempts.Load,
		"parley_webhook_failures_total":           hooks.Failures.Load,
		"parley_webhook_records_unreadable_total": hooks.Unreadable.Load,

		"parley_messages_delivered_total": st.Delivered.Load,
		"parley_sessions_hibernating":     st.Hibernating.Load,
		"parley_accounts":                 func() int64 { return int64(len(s.inService())) },
		"parley_audit_records_total":      s.inst.auditCount,
		"parley_api_strangers_total":      s.inst.api.Stats.Strangers.Load,
		"parley_api_running":              s.inst.api.Running,
		"parley_visitors_connected":       s.visit.Stats.Connected.Load,
		"parley_visitors_contacts_total":  s.visit.Stats.Opened.Load,
		"parley_visitors_refused_total":   s.visit.Stats.Refused.Load,
		"parley_panics_total":             s.notes.Stats.Panics.Load,
		"parley_mails_sent_total":         s.notes.Stats.Sent.Load,
		"parley_mails_failed_total":       s.notes.Stats.Failed.Load,

		fmt.Sprintf("parley_build_info{version=%q}", version()): func() int64 { return 1 },
	} {
		h.set.NewGauge(name, func() float64 { return float64(value()) })
	}
	for name, value := range s.inst.retention.figures() {
		h.set.NewGauge(name, func() float64 { return float64(value()) })
	}
	for class := 2; class <= 5; class++ {
		n := &s.inst.api.Stats.Answers[class]
		h.set.NewGauge(fmt.Sprintf(`parley_api_requests_total{status="%dxx"}`, class), func() float64 { return float64(n.Load()) })
	}
	h.backupAges()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", h.forOperators(h.ready))
	mux.HandleFunc("GET /metrics", h.forOperators(h.metrics))
	mux.Handle(web.Prefix, s.inst.api)
	mux.Handle(strings.TrimSuffix(web.Prefix, "/"), s.inst.api)
	s.forVisitors(mux)
	s.forFiles(mux)
	if s.pages != nil {
		s.pages(mux)
	}
	mux.HandleFunc("GET /.well-known/security.txt", h.securityText)
	h.profiles(mux)
	h.http = http.Server{
		Handler:           guarded(s.log, h.hosted(mux)),
		ReadHeaderTimeout: 5 * time.Second, // and the handshake
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: httpsStreams},
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    8 << 10, // net/http takes a MiB from any stranger
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, CipherSuites: xmppd.CipherSuites(), GetCertificate: s.xmpp.Certificate,
			NextProtos: []string{"h2", "http/1.1"},
		},
		ConnContext: keepConn,
		ConnState: func(c net.Conn, state http.ConnState) {
			s.handed.state(c, state)
			if state == http.StateHijacked {
				leavePlaces(c)
			}
		},
	}
	if s.acme != nil {
		h.http.TLSConfig.NextProtos = append(h.http.TLSConfig.NextProtos, acme.ALPNProto)
	}
	return h
}

func (h *health) serve(l net.Listener) error {
	l = newFair(tlsOnly{l}, httpsPerAddress, func(addr netip.Addr) bool {
		return contains(h.server.inst.config().TrustedProxies, addr)
	})
	if err := h.http.ServeTLS(newLimited(l, httpsConnections), "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// serveHanded answers on ports that are XMPP's as well.
func (h *health) serveHanded(l *handed) error {
	if err := h.http.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (h *health) stop() {
	h.close.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		h.http.Shutdown(ctx)
		h.http.Close()
	})
}

// forOperators answers the networks of [admin] only; to others the page isn't there.
func (h *health) forOperators(page http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		inst := h.server.inst
		if !contains(inst.config().Admin.Networks, inst.clientAddr(r)) {
			http.NotFound(w, r)
			return
		}
		page(w, r)
	}
}

// troubles says which accounts take no writes, and why.
func (h *health) troubles() map[string]error {
	bad := make(map[string]error)
	for _, a := range h.server.inService() {
		if err := a.store.Err(); err != nil {
			bad[a.id] = err
		}
	}
	return bad
}

func (h *health) records() int64 {
	var n int64
	for _, a := range h.server.inService() {
		n += int64(a.store.Newest())
	}
	return n
}

func (h *health) ready(w http.ResponseWriter, _ *http.Request) {
	bad := h.troubles()
	if len(bad) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	for id, err := range bad {
		fmt.Fprintf(w, "account %s: %v\n", id, err)
	}
	if len(bad) == 0 {
		fmt.Fprintln(w, "ready")
	}
}

func (h *health) metrics(w http.ResponseWriter, _ *http.Request) {
	h.set.WritePrometheus(w)
	writeExpiry(w, h.server.watch.shown(), time.Now())
	metrics.WriteProcessMetrics(w)
	metrics.WriteFDMetrics(w)
}

// inService are the accounts that are running.
func (s *server) inService() []*account {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*account, 0, len(s.services))
	for a := range s.services {
		list = append(list, a)
	}
	return list
}
