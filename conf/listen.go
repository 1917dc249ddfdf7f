package conf

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// AllListeners are those of [listen] and of [[listener]], in this order.
func (f *File) AllListeners() []Listener {
	var list []Listener
	for _, group := range []struct {
		addresses []string
		what      string
	}{{f.Listen.StartTLS, "starttls"}, {f.Listen.TLS, "tls"}, {f.Listen.HTTPS, "https"}} {
		for _, a := range group.addresses {
			list = append(list, Listener{Address: a, For: group.what, ChannelBinding: true})
		}
	}
	return append(list, f.Listeners...)
}

func (f *File) checkListen(add func(*Fault)) {
	taken := make(map[string]bool)
	check := func(key, hint, a string) {
		switch {
		case !address(a):
			add(f.Fault(key, hint, "not an address such as \"[::]:5222\": %q", a))
		case taken[a] && !strings.HasSuffix(a, ":0"): // port 0 is any that is free
			add(f.Fault(key, "give each listener an address of its own; for = \"any\" takes XMPP and HTTPS on one",
				"two listeners have the address %q", a))
		}
		taken[a] = true
	}
	for _, group := range []struct {
		key       string
		addresses []string
	}{
		{"listen.starttls", f.Listen.StartTLS}, {"listen.tls", f.Listen.TLS},
		{"listen.https", f.Listen.HTTPS}, {"listen.redirect", f.Listen.Redirect},
	} {
		for _, a := range group.addresses {
			// VIV-1
			check(group.key, `"" switches this listener off; there is none without TLS`, a)
		}
	}
	for i, l := range f.Listeners {
		key := element("listener", i)
		if l.Address == "" {
			add(f.Fault(key, "", "address is missing"))
		} else {
			check(key+".address", "", l.Address)
		}
		if _, given := f.origin[key+".for"]; l.For == "" && !given {
			add(f.Fault(key, "one of starttls, tls, https, any", "for is missing"))
		}
		if l.ProxyProtocol && len(f.TrustedProxies) == 0 {
			add(f.Fault(key+".proxy_protocol", "name the networks of your proxies, such as trusted_proxies = \"10.1.0.7\"",
				"every connection would be closed: there are no trusted_proxies"))
		}
	}
	for _, p := range f.TrustedProxies {
		if p.Bits() == 0 {
			add(f.Fault("trusted_proxies", "name the addresses of your own proxies only",
				"everybody could say to come from anywhere: %s", p))
		}
	}
}

func address(a string) bool {
	_, port, err := net.SplitHostPort(a)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n <= 65535
}

func (f *File) checkACME(add func(*Fault)) {
	a := f.ACME
	if !a.On() {
		if a.Email != "" || a.Roots != "" {
			add(f.Fault("acme", `such as directory = "https://acme-v02.api.letsencrypt.org/directory"`, "directory is missing"))
		}
		return
	}
	if u, err := url.Parse(a.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
		add(f.Fault("acme.directory", "", "not an address such as \"https://acme-v02.api.letsencrypt.org/directory\": %q", a.Directory))
	}
	if a.Email != "" && !isContact("mailto:"+a.Email) {
		add(f.Fault("acme.email", "", "not an address of mail: %q", a.Email))
	}
	if within(f.Data, a.Cache) {
		add(f.Fault("acme.cache", `"" is acme in the folder of keys`, "the keys of certificates do not belong into the folder of data"))
	}
	web := func(l Listener) bool { return l.For == "https" || l.For == "any" }
	if len(f.Listen.Redirect) == 0 && !slices.ContainsFunc(f.AllListeners(), web) {
		add(f.Fault("acme", "listen for \"https\" or \"any\", or set listen.redirect",
			"the authority could look at nothing: there is neither HTTPS nor listen.redirect"))
	}
}
