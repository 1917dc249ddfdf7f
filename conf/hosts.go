package conf

import (
	"net/netip"
	"net/url"
)

func (f *File) checkHosts(add func(*Fault)) {
	if f.Hosts.API != "" && !isOrigin(f.Hosts.API) {
		add(f.Fault("hosts.api", `such as "https://desk.example:8443", with nothing after it`, "not an https origin: %q", f.Hosts.API))
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
