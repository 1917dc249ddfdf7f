package hook

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// A Config is what a Sender needs to know. A zero field means its default.
type Config struct {
	Timeout     time.Duration   // for a whole request, answer included; 15 s
	Connect     time.Duration   // for reaching the receiver, and again for TLS; 5 s
	Drain       time.Duration   // for requests in flight when Run is told to end; 5 s
	Waits       []time.Duration // before each attempt; the first is not waited for
	Concurrency int             // requests at once to one endpoint; 8

	// Allow lists networks that webhooks may reach, at any port, though they are
	// not public: in-house receivers.
	Allow []netip.Prefix
	// Ports are allowed besides 443, 80 and 8443.
	Ports []int
	// Own says whether something of this server listens there. Such an address is
	// refused, also in an allowed network.
	Own func(netip.AddrPort) bool

	// Host is what x-vvc-host says; the account's domain if it is empty.
	Host string
	// API is the origin under which the REST API is reached, for what is too long for a body;
	// empty is nowhere.
	API string
	// Dial replaces the guarded dialer. It is there for tests.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Roots are the authorities that may vouch for a receiver; nil is the system's.
	Roots *x509.CertPool
	Log   *slog.Logger

	rows     int           // maxRows; less in tests
	resolver *net.Resolver // the system's if nil; tests have one of their own
}

// defaultWaits stand before each attempt: about three days in all.
var defaultWaits = []time.Duration{
	0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = 15 * time.Second
	}
	if c.Connect <= 0 {
		c.Connect = 5 * time.Second
	}
	if c.Drain <= 0 {
		c.Drain = 5 * time.Second
	}
	if len(c.Waits) == 0 {
		c.Waits = defaultWaits
	}
	if c.Concurrency <= 0 {
		c.Concurrency = 8
	}
	if c.rows <= 0 {
		c.rows = maxRows
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
