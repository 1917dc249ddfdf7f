package conf

import (
	"maps"
	"net/netip"
	"net/url"
	"slices"
)

func (f *File) checkHosts(add func(*Fault)) {
	origins := f.Hosts.Origins()
	seen := make(map[string]string)
	for _, what := range slices.Sorted(maps.Keys(origins)) {
		origin := origins[what]
		if !isOrigin(origin) {
			add(f.Fault("hosts."+what, `such as "https://desk.example:8443", with nothing after it`, "not an https origin: %q", origin))
		}
		if other := seen[origin]; other != "" {
			add(f.Fault("hosts."+what, "give each a name of its own", "the same origin as hosts.%s", other))
		}
		seen[origin] = what
	}
}

// isOrigin says whether text is an https origin as browsers write it (RFC 6454 §6.2):
// scheme, host and perhaps a port.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || "https://"+u.Host != text || !address(hostPort(u)) {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return err == nil || isASCII(u.Hostname()) && CheckDomain(u.Hostname()) == nil
}

// hostPort is a URL's host with the port that is meant.
func hostPort(u *url.URL) string {
	if u.Port() == "" {
		return u.Host + ":443"
	}
	return u.Host
}
