package main

import (
	"context"
	"net"
	"net/http"

	"parley.im/parley/xmppd/upload"
)

// filesOf are the files of an account; nil if it takes none, or if nobody could get them.
func (s *server) filesOf(ctx context.Context, a *account) (*upload.Files, error) {
	c := &a.conf.Files
	if c.Size == 0 || s.filesOrigin(a.domain) == "" {
		return nil, nil
	}
	return upload.New(ctx, upload.Config{
		ID: a.id, Store: a.store, Now: s.inst.now, Log: s.log.With("account", a.id),
		Limits: upload.Limits{Size: int64(c.Size), Contact: int64(c.Contact), Total: int64(c.Total), Types: c.Types, Links: c.Links, Scan: c.Scan},
		Origin: func() string { return s.filesOrigin(a.domain) },
	})
}

// filesHost is which of the server's names files are under: the widget's, where they have none of their own.
func filesHost(origins map[string]string) string {
	for _, what := range []string{"files", "widget"} {
		if origins[what] != "" {
			return what
		}
	}
	return ""
}

// filesOrigin is where links lead. Without names for it that is the account's domain, at the port that the server
// listens on for HTTPS; "" if it does not.
func (s *server) filesOrigin(domain string) string {
	origins := s.inst.config().Hosts.Origins()
	if origin := origins[filesHost(origins)]; origin != "" {
		return origin
	}
	ports := s.httpsOn
	for _, l := range s.xmppOn {
		if l.HTTPS != nil {
			ports = append(ports[:len(ports):len(ports)], l.Listener)
		}
	}
	if len(ports) == 0 {
		return ""
	}
	_, port, _ := net.SplitHostPort(ports[0].Addr().String())
	if port == "443" {
		return "https://" + domain
	}
	return "https://" + net.JoinHostPort(domain, port)
}

// forFiles answers who has a link.
func (s *server) forFiles(mux *http.ServeMux) { mux.Handle(upload.Prefix, s.files) }
