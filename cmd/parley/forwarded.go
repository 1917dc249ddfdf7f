package main

import (
	"net/http"
	"net/netip"
	"strings"
)

// clientAddr is where a request comes from: its connection's peer, or, where that is a trusted
// proxy, whom the proxy says that it asks for.
func (i *installation) clientAddr(r *http.Request) netip.Addr {
	f := i.config()
	return clientAddr(r, f.TrustedProxies, f.ForwardedHeader)
}

// clientAddr reads the header from its end, where the last proxy has written: the first address
// that is no trusted proxy's is the client's, and whatever stands before it is the
// client's own tale. Without the header it is the proxy itself that asks. The zero address
// means that it cannot be known, because the header is not as it should be: it is in no network.
func clientAddr(r *http.Request, trusted []netip.Prefix, header string) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap().WithZone("")
	values := r.Header.Values(header)
	if len(values) == 0 || !contains(trusted, addr) {
		return addr
	}
	hops := splitForwardedFor
	if header == "Forwarded" {
		hops = splitForwarded
	}
	// Several lines are one list (RFC 9110 §5.3).
	list, ok := hops(strings.Join(values, ","))
	if !ok {
		return netip.Addr{}
	}
	for i := len(list) - 1; i >= 0; i-- {
		if addr, ok = parseNode(list[i]); !ok {
			return netip.Addr{}
		}
		if !contains(trusted, addr) {
			break
		}
	}
	return addr
}

// splitForwardedFor takes X-Forwarded-For apart.
func splitForwardedFor(value string) ([]string, bool) {
	list := strings.Split(value, ",")
	for i := range list {
		list[i] = strings.Trim(list[i], " \t")
	}
	return list, true
}

// parseNode reads an address, with a port or without: "192.0.2.7", "192.0.2.7:80",
// "2001:db8::7", "[2001:db8::7]:80".
func parseNode(text string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap(), ap.Addr().Zone() == ""
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if text, ok = strings.CutSuffix(inner, "]"); !ok {
			return netip.Addr{}, false
		}
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil && addr.Zone() == ""
}

// splitForwarded takes Forwarded apart (RFC 7239 §4): the "for" of each element, which is
// empty where it has none. It is false where the header does not follow the grammar:
// then nobody knows which part of it is the proxy's.
func splitForwarded(value string) (list []string, ok bool) {
	s := forwardedScanner{rest: value}
	for {
		node, ok := s.element()
		if !ok {
			return nil, false
		}
		list = append(list, node)
		if s.rest == "" {
			return list, true
		}
		s.rest = s.rest[1:] // the comma
	}
}

// A forwardedScanner reads Forwarded from its beginning.
type forwardedScanner struct{ rest string }

// element reads pairs up to a comma or the end.
func (s *forwardedScanner) element() (node string, ok bool) {
	seen := false
	for {
		s.skipSpace()
		if s.rest == "" || s.rest[0] == ',' {
			return node, true
		}
		if s.rest[0] == ';' {
			s.rest = s.rest[1:]
			continue
		}
		name := s.token()
		if name == "" || !strings.HasPrefix(s.rest, "=") {
			return "", false
		}
		s.rest = s.rest[1:]
		value, ok := s.value()
		if !ok {
			return "", false
		}
		if strings.EqualFold(name, "for") {
			if seen { // RFC 7239 §4: at most once
				return "", false
			}
			node, seen = value, true
		}
		s.skipSpace()
		if s.rest != "" && s.rest[0] != ',' && s.rest[0] != ';' {
			return "", false
		}
	}
}

func (s *forwardedScanner) skipSpace() { s.rest = strings.TrimLeft(s.rest, " \t") }

// token reads what RFC 9110 §5.6.2 calls so, and the characters of addresses, which some
// proxies do not put into quotation marks.
func (s *forwardedScanner) token() string {
	end := strings.IndexFunc(s.rest, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~:[]", r))
	})
	if end < 0 {
		end = len(s.rest)
	}
	t := s.rest[:end]
	s.rest = s.rest[end:]
	return t
}

// value reads a token or a quoted string (RFC 9110 §5.6.4).
func (s *forwardedScanner) value() (string, bool) {
	if !strings.HasPrefix(s.rest, `"`) {
		t := s.token()
		return t, t != ""
	}
	var b strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; c {
		case '"':
			s.rest = s.rest[i+1:]
			return b.String(), true
		case '\\':
			if i++; i == len(s.rest) {
				return "", false
			}
			b.WriteByte(s.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}
