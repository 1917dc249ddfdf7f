package xmppd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/auth"
	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/panics"
	"parley.im/parley/xmppd/upload"
	"parley.im/parley/xmppd/wire"
)

// Config is what a Server needs to know. Durations and sizes that are zero take
// no default here: package conf has them all.
type Config struct {
	Limits        Limits
	Resume        time.Duration       // how long a cut session can be resumed; 0 switches resumption off
	Colleagues    bool                // agents of an account see each other
	ColleaguesMax int                 // not in accounts with more agents than that
	ArchivePage   int                 // results of an archive query at most
	Contact       map[string][]string // addresses of those who run the server, by purpose (XEP-0157)
	// PasswordChange lets agents change their passwords with their clients.
	PasswordChange bool
	Log            *slog.Logger
	LogWire        bool // at debug level, log the XML of stanzas too, with what people say blanked
	// Transcript mails what was said in a visitor's contact, by its address, to that visitor, as an agent asks for it. Its error is for her. It
	// may be nil.
	Transcript func(ctx context.Context, account, address string, agent store.AgentID) error
	// Challenge, if set, is the certificate that proves to an authority that a name is
	// ours (RFC 8737). It is shown to nobody else, and only where HTTPS is spoken.
	Challenge func(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// Limits bound what a peer can take. They may be changed while the server runs.
type Limits struct {
	BeforeLogin, Stanza       wire.Limits
	Handshake, Login          time.Duration // absolute, from the moment of accepting
	Unauthenticated           int           // connections before login, in all
	UnauthenticatedPerAddress int           // from one IPv4 address or IPv6 /64
	BytesPerSecond            int           // from one session; 0 is no limit
	StanzasPerSecond          int           // from one session; 0 is no limit
	SessionsPerAgent          int
	Queue                     int           // stanzas pushed to a session that does not read, or does not acknowledge
	QueueBytes                int           // the same in bytes
	Held                      int           // of these, kept back while nobody looks (XEP-0352); 0 switches that off
	Idle                      time.Duration // silence after which a peer is pinged
	Dead                      time.Duration // silence after that, when it is given up
}

// An Account is one customer's part of the server.
type Account struct {
	ID     string
	Domain string
	Store  store.Account
	Auth   *auth.Account
	// Support is how the account wants its visitors dealt with; nil if it has none.
	Support *desk.Settings
	// Ban keeps a contact's visitor from writing for a while, as an agent wants it who speaks from
	// there. It is nil where nobody can be banned.
	Ban func(ctx context.Context, agent store.AgentID, from netip.Addr, contact string, d time.Duration) error
	// Supervises says whether a role is one to look after what other agents have; nil: none is.
	Supervises func(role string) bool
	// Record has a record of what an agent does around doing it; nil keeps none.
	Record func(ctx context.Context, d Deed, do func(context.Context) error) error
	// Files are what its agents can send; nil takes none.
	Files *upload.Files
}

// A Server holds connections and routes between them.
type Server struct {
	config  Config
	started time.Time
	info    im.Info // what it says of itself
	capsVer string  // the hash of that

	limits atomic.Pointer[Limits]
	certs  atomic.Pointer[certificates]
	log    *slog.Logger

	wg      sync.WaitGroup // every goroutine of the server's
	gate    gate           // connections before login
	turns   turns          // for the work of strangers, and of sessions that ask for much
	writers writers
	tracer  tracer
	tick    atomic.Int64 // seconds since the start, by the caretaker
	moments atomic.Int64 // numbers sign-ins and changes of credentials in their order
	closing atomic.Bool
	Stats   Stats

	mu       sync.Mutex          // guards what follows
	accounts map[string]*account // by domain
	conns    map[net.Conn]struct{}
	listens  map[net.Listener]struct{}

	stop     chan struct{} // closed when the caretaker is to end
	stopOnce sync.Once
}

// Stats are counters for metrics; read them at any time.
type Stats struct {
	Accepted, Refused, SignIns, SignInFailures atomic.Int64
	Messages, Delivered                        atomic.Int64
	Sessions, Hibernating                      atomic.Int64
	Resumed, CutForSlowness                    atomic.Int64
}

// New returns a Server that serves nothing yet. Its certificates are set with
// SetCertificates before the first Serve.
func New(c Config) *Server {
	s := &Server{
		config:   c,
		started:  time.Now(),
		info:     newInfo(c),
		log:      c.Log,
		accounts: make(map[string]*account),
		conns:    make(map[net.Conn]struct{}),
		listens:  make(map[net.Listener]struct{}),
		stop:     make(chan struct{}),
	}
	s.capsVer = s.info.Ver()
	s.gate.from = make(map[string]int)
	s.turns.lease, s.turns.free = turnLease, workers()
	s.SetLimits(c.Limits)
	s.certs.Store(new(certificates))
	s.writers.ready, s.writers.done, s.writers.turns = make(chan job), make(chan struct{}), &s.turns
	s.tracer = newTracer(c)
	s.wg.Go(s.caretaker)
	return s
}

// SetLimits changes the limits for what comes after.
func (s *Server) SetLimits(l Limits) { s.limits.Store(&l) }

// ErrClosed is what Serve and AddAccount return after Shutdown.
var ErrClosed = errors.New("server closed")

// Serve accepts connections until l is closed. With direct, TLS starts at the
// first byte (XEP-0368); otherwise with STARTTLS (RFC 6120 §5).
func (s *Server) Serve(l net.Listener, direct bool) error {
	return s.ServePort(Port{Listener: l, Direct: direct})
}

// ServePort accepts connections until the port's listener is closed.
func (s *Server) ServePort(l Port) error {
	if !s.track(l.Listener) {
		l.Close()
		return ErrClosed
	}
	pace := pace{at: time.Now()}
	for {
		pace.wait(&s.turns)
		conn, err := l.Accept()
		if err != nil {
			if s.closing.Load() {
				return ErrClosed
			}
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() {
				// Out of file descriptors, most likely: those who are here matter more.
				s.log.Warn("cannot accept", "err", err)
				time.Sleep(50 * time.Millisecond)
				continue
			}
			return fmt.Errorf("accept on %s: %w", l.Addr(), err)
		}
		s.Stats.Accepted.Add(1)
		limits := s.limits.Load()
		release, ok := s.gate.enter(conn.RemoteAddr(), limits)
		if !ok || !s.trackConn(conn) {
			s.Stats.Refused.Add(1)
			if ok {
				release()
			}
			conn.Close()
			continue
		}
		if !s.aside(func() { s.greet(conn, &l, release) }) {
			release()
			s.drop(conn)
		}
	}
}

// acceptRate is how many connections a second a listener accepts for each processor, after a
// second's worth at once: more than can sign in.
const acceptRate = 1500

// A pace lets a listener wait while connections come faster than that, or faster than they
// are dealt with.
type pace struct {
	at   time.Time
	left bucket
}

func (p *pace) wait(q *turns) {
	rate := float64(acceptRate * runtime.GOMAXPROCS(0))
	now := time.Now()
	p.left.fill(now.Sub(p.at).Seconds(), rate, rate)
	p.at = now
	for p.left--; p.left < 0 || q.crowded(); p.left = 0 {
		time.Sleep(leastRest)
	}
}

// greet takes a connection from its first byte to a bound session. The goroutine
// ends with that, and the session reads in a fresh one: the handshake's deep stack
// is not kept for the session's life.
func (s *Server) greet(conn net.Conn, l *Port, release func()) {
	defer release()
	log := s.log.With("peer", conn.RemoteAddr().String())
	defer func() {
		if p := recover(); p != nil {
			panics.Log(log, p)
			s.drop(conn)
		}
	}()
	limits := s.limits.Load()
	n := &negotiation{server: s, port: l, raw: conn, log: log, limits: limits, deadline: time.Now().Add(limits.Login)}
	conn.SetDeadline(n.deadline)
	session, err := n.negotiate()
	n.turn.must(false)
	if errors.Is(err, errNotXMPP) {
		s.handOver(n, release)
		return
	}
	if err != nil {
		n.refuse(err)
		s.drop(conn)
		return
	}
	s.wg.Go(func() { session.run(n.epoch) })
}

// aside runs f beside what goes on; Shutdown waits for it. ok is that it does: once the server ends nothing begins any more that is
// not a session's, since Shutdown may have waited for the last already.
func (s *Server) aside(f func()) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.wg.Go(f)
	return true
}

func (s *Server) drop(conn net.Conn) {
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	conn.Close()
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.listens[l] = struct{}{}
	return true
}

func (s *Server) trackConn(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

// account is the one of a domain, or nil.
func (s *Server) account(domain string) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts[domain]
}

// caretaker looks after what time alone brings: silent peers, sessions that were
// not resumed, delivery cursors. One goroutine does it for all.
func (s *Server) caretaker() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
		}
		now := s.tick.Add(1)
		s.mu.Lock()
		accounts := make([]*account, 0, len(s.accounts))
		for _, a := range s.accounts {
			accounts = append(accounts, a)
		}
		s.mu.Unlock()
		for _, a := range accounts {
			a.look(now)
		}
	}
}

// Shutdown ends everything in the order of docs/flow.md: no new connections, then
// the sessions (those that can be resumed are kept, sealed), then the goroutines.
// It waits until all have ended or ctx does.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing.Store(true)
	for l := range s.listens {
		l.Close()
	}
	accounts := make([]*account, 0, len(s.accounts))
	for _, a := range s.accounts {
		accounts = append(accounts, a)
	}
	s.mu.Unlock()

	var wg sync.WaitGroup
	for _, a := range accounts {
		wg.Go(func() { a.close(ctx, true) })
	}
	wg.Wait()
	s.mu.Lock()
	for c := range s.conns {
		c.Close() // those that had not signed in
	}
	s.mu.Unlock()
	s.stopOnce.Do(func() { close(s.stop) })
	done := make(chan struct{})
	go func() { // ends with the WaitGroup that it waits for
		s.wg.Wait()
		s.writers.close()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shut down: %w", ctx.Err())
	}
}

// SetCertificates replaces the certificates for connections to come. The first is
// shown to clients that name no server.
func (s *Server) SetCertificates(list []tls.Certificate) error {
	c, err := newCertificates(list)
	if err != nil {
		return err
	}
	s.certs.Store(c)
	return nil
}
