package notify

import (
	"crypto/x509"
	"log/slog"
	"sync/atomic"
	"time"
)

// How TLS begins with the mail server.
const (
	Implicit = "implicit" // with the first byte (RFC 8314 §3)
	StartTLS = "starttls" // and nothing is said before it (RFC 3207)
	None     = "none"     // not at all, which is only for servers on this machine. KIS-10
)

// A Config is what a Notifier needs to know. A zero field means its default, where there
// is one.
type Config struct {
	Server   string // "mail.example:465"; "" sends nothing
	TLS      string // Implicit, StartTLS or None
	User     string // "" signs in nowhere
	Password func() (string, error)
	From     string
	To       []string
	Roots    *x509.CertPool // who may vouch for the server; nil is the system's

	Host    string        // what the server is called in subjects and greetings
	Every   time.Duration // between two mails of one kind of one account; 10 min
	PerHour int           // mails in an hour; 60
	Timeout time.Duration // for one mail, connecting included; 30 s
	Waits   []time.Duration
	Pause   time.Duration // between two readings of a log; 1 s
	Log     *slog.Logger
}

// defaultWaits stand before further tries when the mail server does not take a mail. The
// last one is repeated.
var defaultWaits = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}

func (c Config) withDefaults() Config {
	if c.Every <= 0 {
		c.Every = 10 * time.Minute
	}
	if c.PerHour <= 0 {
		c.PerHour = 60
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if len(c.Waits) == 0 {
		c.Waits = defaultWaits
	}
	if c.Pause <= 0 {
		c.Pause = time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Stats are counted since the start.
type Stats struct {
	Sent   atomic.Int64 // mails that the server took
	Failed atomic.Int64 // tries that came to nothing
	Panics atomic.Int64 // caught ones, mailed or not
}
