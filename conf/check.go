package conf

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

var (
	accountID = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	label     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
)

// check holds f to the rules that concern more than one option's form.
func (f *File) check() Faults {
	var faults Faults
	add := func(fault *Fault) { faults = append(faults, fault) }
	f.checkFolders(add)
	f.checkListen(add)
	f.checkAccounts(add)
	f.checkVisitors(add)
	f.checkFiles(add)
	f.checkContact(add)
	f.checkHosts(add)
	f.checkACME(add)
	f.checkMail(add)
	if f.RootKey == (Secret{}) {
		add(f.Fault("root_key", "", `want { file = "path" } or { env = "NAME" }`))
	}
	f.checkBackup(add)
	for i, c := range f.Certificates {
		key := element("certificate", i)
		if c.Cert == "" {
			add(f.Fault(key, "", "cert is missing"))
		}
		if c.Key == "" {
			add(f.Fault(key, "", "key is missing"))
		}
	}
	for i, p := range f.Webhook.Ports {
		if p < 1 || p > 65535 {
			add(f.Fault("webhook.ports", "", "not a port: %d", f.Webhook.Ports[i]))
		}
	}
	return faults
}

// checkFolders keeps keys apart from data. VIV-11
func (f *File) checkFolders(add func(*Fault)) {
	const hint = "keys are kept apart from what they protect: give two folders side by side"
	switch {
	case f.Data == "" || f.Keys == "":
		for key, dir := range map[string]string{"data": f.Data, "keys": f.Keys} {
			if dir == "" {
				add(f.Fault(key, "", "a folder is missing"))
			}
		}
	case within(f.Data, f.Keys):
		add(f.Fault("keys", hint, "the same folder as data, or within it"))
	case within(f.Keys, f.Data):
		add(f.Fault("data", hint, "within the folder of keys"))
	}
}

// within says whether path is dir or lies in it, by name.
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func (f *File) checkAccounts(add func(*Fault)) {
	ids, domains := make(map[string]bool), make(map[string]bool)
	for i, a := range f.Accounts {
		key := element("account", i)
		if err := CheckID(a.ID); err != nil {
			add(f.Fault(key+".id", "", "%v", err))
		} else if ids[a.ID] {
			add(f.Fault(key+".id", "", "there are two accounts %q", a.ID))
		}
		if err := CheckDomain(a.Domain); err != nil {
			add(f.Fault(key+".domain", "", "%v", err))
		} else if domains[a.Domain] {
			add(f.Fault(key+".domain", "", "two accounts have the domain %q", a.Domain))
		}
		ids[a.ID], domains[a.Domain] = true, true
	}
}

func (f *File) checkContact(add func(*Fault)) {
	for purpose, uris := range f.Contact.Addresses() {
		for _, uri := range uris {
			if !isContact(uri) {
				add(f.Fault("contact."+purpose, `such as "mailto:help@desk.example", "xmpp:anna@desk.example" or "https://desk.example/help"`,
					"not an address that a client can open: %q", uri))
			}
		}
	}
}

// isContact says whether a URI is one of mail (RFC 6068), XMPP (RFC 5122) or the web.
func isContact(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return false
	}
	switch u.Scheme {
	case "mailto":
		local, domain, _ := strings.Cut(u.Opaque, "@")
		return local != "" && domain != ""
	case "xmpp":
		return u.Opaque != ""
	case "https":
		return u.Host != ""
	}
	return false
}

// At is where the account called id is declared: "accounts.d/shop.toml:1".
func (f *File) At(id string) string {
	for i, a := range f.Accounts {
		if a.ID == id {
			return f.place(element("account", i))
		}
	}
	return ""
}

// CheckID says what is wrong with an account's id, if anything.
func CheckID(id string) error {
	if !accountID.MatchString(id) {
		return fmt.Errorf("not 1 to 32 of a-z, 0-9 and \"-\": %q", id)
	}
	return nil
}

// CheckDomain says what is wrong with an account's domain, if anything. Letters
// beyond ASCII pass here; they are checked where addresses are.
func CheckDomain(domain string) error {
	if domain == "" {
		return fmt.Errorf("a domain is missing")
	}
	for part := range strings.SplitSeq(domain, ".") {
		if isASCII(part) && !label.MatchString(part) || len(part) > 63 || len(domain) > 253 {
			return fmt.Errorf("not a domain in lower case: %q", domain)
		}
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// Sealed says whether what the account's people say is encrypted where it is
// stored. VIV-9
func (a *Account) Sealed() bool { return a.Profile == "enterprise" }

// Keep is how long what was said in the account is kept: the shorter one of its
// profile's time and its own (VIV-8). Zero is for ever.
func (f *File) Keep(a Account) time.Duration {
	most := map[string]time.Duration{
		"solo": f.Retention.Solo, "starter": f.Retention.Starter,
		"plus": f.Retention.Plus, "enterprise": f.Retention.Enterprise,
	}[a.Profile]
	if most == 0 || a.Retention != 0 && a.Retention < most {
		return a.Retention
	}
	return most
}

// OffersSHA1 says whether the account's agents may sign in with SCRAM-SHA-1.
func (f *File) OffersSHA1(a Account) bool {
	if a.SHA1 != nil {
		return *a.SHA1
	}
	return f.Auth.SHA1
}
