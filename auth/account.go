package auth

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"mellium.im/xmpp/jid"

	"parley.im/parley/auth/scram"
	"parley.im/parley/store"
)

// A Store is the part of store.Account that sign-in needs.
type Store interface {
	Agent(ctx context.Context, name string) (store.Agent, error)
	Agents(ctx context.Context) ([]store.Agent, error)
	Credentials(ctx context.Context, id store.AgentID) ([]store.Credential, error)
	SetCredential(ctx context.Context, c store.Credential) error
	Secret(ctx context.Context, name string, size int) ([]byte, error)
	Setting(ctx context.Context, name string) (string, error)
	SetSetting(ctx context.Context, name, value string) error
	OwnOf(ctx context.Context, agent store.AgentID, part store.Part, yield func(name string, value []byte) error) error
	OwnNamed(ctx context.Context, agent store.AgentID, part store.Part, name string) ([]byte, error)
	KeepOwn(ctx context.Context, list ...store.Own) error
}

// The bounds of the iteration count.
const (
	DefaultIterations = 100_000
	MinIterations     = 10_000
)

// A Config is what the operator may choose. Zero values are the defaults.
type Config struct {
	// Iterations is the cost of a password. What holds is said by Cost: see the
	// package's comment.
	Iterations int
	// DropSHA1 leaves out SCRAM-SHA-1, in what is announced and in new verifiers.
	// Credentials made so can't sign in with it later.
	DropSHA1 bool
	// NoBinding leaves out the mechanisms with channel binding and their list, for
	// clients that choose one of them and then fail. Sign-ins can then be relayed by
	// whoever holds a certificate that the client trusts.
	NoBinding bool
	// DevicesOnly lets only devices' secrets sign in over XMPP, which is for accounts
	// that ask for a second factor.
	DevicesOnly bool

	Lockout Lockout
	Policy  Policy

	// OnFailure, if set, is told of every sign-in that failed, before its answer
	// leaves. It must not wait.
	OnFailure func(Failure)
}

// An Account signs in the agents of one account. It is safe for concurrent use.
type Account struct {
	// Fixed.
	store  Store
	domain jid.JID
	now    func() time.Time
	salt   []byte // the account's salt key
	guard  *guard
	tokens tokenLocks

	options atomic.Pointer[options] // as they are now; see Configure
	current atomic.Pointer[cost]
	mu      sync.Mutex // held while current changes
}

// New prepares the sign-in for the account of that XMPP domain. It fails on options
// that can't be, and when the store does.
// A nil now is time.Now.
func New(ctx context.Context, st Store, domain string, c Config, now func() time.Time) (*Account, error) {
	if now == nil {
		now = time.Now
	}
	if c.Iterations == 0 {
		c.Iterations = DefaultIterations
	}
	if c.Iterations < MinIterations {
		return nil, fmt.Errorf("%d iterations: at least %d are needed", c.Iterations, MinIterations)
	}
	d, err := jid.New("", domain, "")
	if err != nil {
		return nil, fmt.Errorf("domain %q: %v", domain, err)
	}
	salt, err := st.Secret(ctx, "salt", 32)
	if err != nil {
		return nil, fmt.Errorf("read salt key: %w", err)
	}
	o := newOptions(c)
	a := &Account{store: st, domain: d, now: now, salt: salt, guard: newGuard(o.Lockout)}
	a.options.Store(o)
	return a, a.loadCost(ctx)
}

// options are a Config with its defaults, and what follows from it.
type options struct {
	Config
	hashes []scram.Hash
}

func newOptions(c Config) *options {
	c.Lockout, c.Policy = c.Lockout.withDefaults(), c.Policy.withDefaults()
	o := &options{Config: c, hashes: scram.Hashes[:]}
	if c.DropSHA1 {
		o.hashes = []scram.Hash{scram.SHA512, scram.SHA256}
	}
	return o
}

// Configure changes the options for what comes after: sign-ins under way may fail over it.
// Iterations are what the next Reissue takes, and Lockout.Entries stay as they were.
func (a *Account) Configure(c Config) {
	o := newOptions(c)
	a.options.Store(o)
	a.guard.configure(o.Lockout)
}

// Offer is what a stream over that channel is to announce, in this order. Channel
// binding is offered as a whole or not at all.
func (a *Account) Offer(ch scram.Channel) scram.Offer {
	var o scram.Offer
	options := a.options.Load()
	// XEP-0440 §3: who offers any binding offers tls-server-end-point.
	if ch.EndPoint != nil && !options.NoBinding {
		o.Bindings = append(o.Bindings, scram.BindEndPoint)
		if ch.Exporter != nil {
			o.Bindings = append(o.Bindings, scram.BindExporter)
		}
		for _, h := range options.hashes {
			o.Mechanisms = append(o.Mechanisms, h.Mechanism(true))
		}
	}
	for _, h := range options.hashes {
		o.Mechanisms = append(o.Mechanisms, h.Mechanism(false))
	}
	return o
}

// A Failure is a sign-in that failed.
type Failure struct {
	Name      string        // prepared; empty if there was none that could be
	Known     bool          // there is such an agent; only looked up once there is a proof
	Agent     store.AgentID // if Known
	Addr      netip.Addr
	Mechanism string
	Reason    Reason
	At        time.Time
}

// A Reason says why a sign-in failed: for the account's own people, not for the
// peer.
type Reason string

// The reasons.
const (
	BadMechanism Reason = "mechanism"       // not announced
	BadMessage   Reason = "malformed"       // not what the mechanism sends
	BadName      Reason = "name"            // no name could be like that
	BadAuthzid   Reason = "authzid"         // wanted to act as somebody else
	BadBinding   Reason = "channel-binding" // another connection, or a downgrade
	BadProof     Reason = "proof"           // wrong password, or no such agent
	Locked       Reason = "locked"          // right proof while locked
	Disabled     Reason = "disabled"        // right proof of a disabled agent
	Expired      Reason = "expired"         // a token that was right once
)
