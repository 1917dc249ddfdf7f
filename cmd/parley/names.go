package main

import (
	"maps"
	"net/netip"
	"net/url"
	"slices"

	"golang.org/x/net/idna"

	"parley.im/parley/conf"
)

// neededNames are all that clients connect to, as certificates and DNS have them.
func neededNames(f *conf.File) []string { return append(domainNames(f), hostNames(f)...) }

// domainNames are the domains of accounts.
func domainNames(f *conf.File) (names []string) {
	for _, a := range f.Accounts {
		if a.Disabled {
			continue
		}
		if ascii, err := idna.Lookup.ToASCII(a.Domain); err == nil && !slices.Contains(names, ascii) {
			names = append(names, ascii)
		}
	}
	return names
}

// hostNames are those of [hosts] that are no account's domain.
func hostNames(f *conf.File) (names []string) {
	domains, origins := domainNames(f), f.Hosts.Origins()
	for _, what := range slices.Sorted(maps.Keys(origins)) {
		u, err := url.Parse(origins[what])
		if err != nil {
			continue
		}
		name := u.Hostname()
		if _, err := netip.ParseAddr(name); err != nil && !slices.Contains(domains, name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
