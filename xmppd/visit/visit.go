package visit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/upload"
)

// Prefix is where all paths begin.
const Prefix = "/visit/"

// Config is what a Server needs.
type Config struct {
	// ClientAddr says where a request comes from, through proxies that are trusted.
	ClientAddr func(*http.Request) netip.Addr
	// Elsewhere is called for a request that is a stream from now on, which is counted here. It may
	// be nil.
	Elsewhere func(*http.Request)
	Limits    Limits
	// People makes internal ids of those whom a shop vouches for. Nil is an id made of the shop's
	// own name for them, by the account's secret.
	People People
	Mail   Mail // nil is none
	Now    func() time.Time
	Log    *slog.Logger
}

// An Account is one that has visitors.
type Account struct {
	ID, Domain string
	Store      store.Account
	Contacts   *contact.Contacts
	Look       Look          // Show changes it
	Bans       *contact.Bans // nil has them opened here
	Files      *upload.Files // nil takes none
}

// A Server answers visitors. It is safe for concurrent use.
type Server struct {
	Stats Stats

	cfg   Config
	log   *slog.Logger
	crowd crowd
	wheel wheel
	mux   *http.ServeMux
	large chan struct{} // a place for each frame that takes much memory
	posts chan struct{} // a place for each mail on its way

	writeTime time.Duration

	mu       sync.Mutex // guards what follows
	accounts map[string]*account
	closed   bool
}

// Stats are counters for metrics; read them at any time.
type Stats struct {
	Opened, Refused atomic.Int64 // contacts, and requests that were not done
	Connected       atomic.Int64 // sockets and streams now
}

// New returns a Server without accounts.
func New(c Config) *Server {
	s := &Server{
		cfg: c, log: c.Log, crowd: crowd{limits: c.Limits, all: make(map[netip.Prefix]*guest)},
		large: make(chan struct{}, largeAtOnce), posts: make(chan struct{}, postsAtOnce), accounts: make(map[string]*account),
		writeTime: writeTime,
	}
	s.wheel.init()
	s.mux = s.routes()
	return s
}

// An account is an Account with its visitors.
type account struct {
	Account
	server *Server
	log    *slog.Logger
	key    []byte // what tokens are signed with
	shows  atomic.Pointer[Look]
	opened openings
	faces  faces
	posted posted
	going  context.Context // ends when the account does
	gone   context.CancelFunc
	lines  sync.WaitGroup

	places sync.Mutex // guards queue
	queue  queue

	mu    sync.Mutex // guards what follows
	talks map[store.ConversationID]*talk
	fresh map[store.ConversationID]time.Time // since when contacts are open to which nobody has come
	ended bool
}

// Add takes an account's visitors in.
func (s *Server) Add(ctx context.Context, a Account) error {
	n := &account{
		Account: a, server: s, log: s.log.With("account", a.ID), opened: newOpenings(), queue: newQueue(),
		talks: make(map[store.ConversationID]*talk), fresh: make(map[store.ConversationID]time.Time),
	}
	n.shows.Store(&a.Look)
	n.going, n.gone = context.WithCancel(context.Background())
	var err error
	if n.key, err = a.Store.Secret(ctx, "visitor", contact.VisitorKeySize); err != nil {
		return fmt.Errorf("read the secret of visitors' tokens: %w", err)
	}
	if n.Bans == nil {
		if n.Bans, err = contact.OpenBans(ctx, a.Store, s.cfg.Now); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.accounts[a.ID] != nil {
		return errors.New("visitors of account " + a.ID + " are let in already, or none are any more")
	}
	s.accounts[a.ID] = n
	n.Bans.Listen(n.cutBanned)
	return nil
}

// Remove cuts the connections of an account's visitors, who may come back, and waits until the
// last of them has ended.
func (s *Server) Remove(id string) {
	s.mu.Lock()
	a := s.accounts[id]
	delete(s.accounts, id)
	s.mu.Unlock()
	if a != nil {
		a.end()
	}
}

// Close removes all accounts.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	all := s.accounts
	s.accounts = make(map[string]*account)
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, a := range all {
		wg.Go(a.end)
	}
	wg.Wait()
}

func (a *account) end() {
	a.gone()
	a.mu.Lock()
	a.ended = true
	for _, t := range a.talks {
		for _, l := range t.lines {
			l.end(byeRestart)
		}
	}
	a.mu.Unlock()
	a.lines.Wait()
}

// account is the one called id, or nil.
func (s *Server) account(id string) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts[id]
}

// all are the accounts that there are.
func (s *Server) all() []*account {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*account, 0, len(s.accounts))
	for _, a := range s.accounts {
		list = append(list, a)
	}
	return list
}
