package main

import (
	"fmt"
	"net"
	"net/netip"

	"parley.im/parley/conf"
	"parley.im/parley/xmppd"
)

// listenAll listens wherever the configuration says.
func (s *server) listenAll(f *conf.File, w world) (err error) {
	s.handed = newHanded(httpsConnections)
	for _, c := range f.AllListeners() {
		l, err := w.listen("tcp", c.Address)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		if c.ProxyProtocol {
			l = newProxied(l, func() []netip.Prefix { return s.inst.config().TrustedProxies }, s.log)
		}
		if c.For == "https" {
			s.httpsOn = append(s.httpsOn, l)
			continue
		}
		port := xmppd.Port{Listener: l, Direct: c.For != "starttls", NoBinding: !c.ChannelBinding}
		if c.For == "any" {
			port.HTTPS = s.handed.offer
		}
		s.xmppOn = append(s.xmppOn, port)
	}
	for _, address := range f.Listen.Redirect {
		l, err := w.listen("tcp", address)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		s.redirectOn = append(s.redirectOn, l)
	}
	s.control, err = w.control(f.Listen.Control)
	return err
}

func (s *server) allListeners() []net.Listener {
	list := append([]net.Listener(nil), s.httpsOn...)
	for _, l := range s.xmppOn {
		list = append(list, l.Listener)
	}
	return append(list, s.redirectOn...)
}

func (s *server) sayReady() {
	var args []any
	for _, kind := range []string{"starttls", "tls", "any"} {
		for _, l := range s.xmppOn {
			if portKind(l) == kind {
				args = append(args, kind, l.Addr().String())
			}
		}
	}
	for _, l := range s.httpsOn {
		args = append(args, "https", l.Addr().String())
	}
	for _, l := range s.redirectOn {
		args = append(args, "redirect", l.Addr().String())
	}
	s.log.Info("ready", args...)
	s.supervisor.tell(nowReady, "")
	s.supervisor.ready.Store(true)
}

// portKind is what a port is for, as the configuration calls it.
func portKind(p xmppd.Port) string {
	switch {
	case p.HTTPS != nil:
		return "any"
	case p.Direct:
		return "tls"
	}
	return "starttls"
}
