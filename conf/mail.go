package conf

import (
	"net"
	"net/mail"
	"net/netip"
	"strings"
)

// checkMail holds [mail] to what can be sent, and sent safely.
func (f *File) checkMail(add func(*Fault)) {
	m := &f.Mail
	if m.Server == "" {
		return
	}
	host, _, err := net.SplitHostPort(m.Server)
	switch {
	case err != nil || host == "" || !address(m.Server):
		add(f.Fault("mail.server", `with its port, such as "mail.example:465"`, "not a server: %q", m.Server))
	case m.TLS == "none" && !isLoopback(host):
		// KIS-10
		add(f.Fault("mail.tls", `"implicit" or "starttls"; "none" is for a server on this machine, such as "localhost:25"`,
			"mail would go to %s in clear", host))
	}
	if m.From == "" {
		add(f.Fault("mail.from", "", "the sender's address is missing"))
	} else if !isMailbox(m.From) {
		add(f.Fault("mail.from", "", "not an address such as \"parley@desk.example\": %q", m.From))
	}
	if len(m.To) == 0 {
		add(f.Fault("mail.to", "", "who gets the mail is missing"))
	}
	for _, to := range m.To {
		if !isMailbox(to) {
			add(f.Fault("mail.to", "", "not an address such as \"ops@desk.example\": %q", to))
		}
	}
	if (m.User == "") != (m.Password == Secret{}) {
		add(f.Fault("mail.user", "", "user and password belong together: give both or none"))
	}
}

func isMailbox(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Name == "" && strings.Contains(text, "@")
}

// isLoopback says whether a name means this machine. The server makes sure of it again when
// it connects.
func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
