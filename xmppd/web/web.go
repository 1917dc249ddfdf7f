package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"parley.im/parley/auth"
	"parley.im/parley/conf"
	"parley.im/parley/store"
	"parley.im/parley/store/people"
	"parley.im/parley/xmppd/contact"
)

// An Account is an account as the API works on it.
type Account struct {
	ID, Domain string
	Sealed     bool // what it keeps is encrypted
	Store      store.Account
	Auth       *auth.Account
	Bans       *contact.Bans  // of its visitors; nil where it has none
	People     *people.People // who they are; nil where it never had any
}

// An Installation knows the accounts.
type Installation interface {
	// WebAccount is the account called id, if it is in operation; else ErrNotFound.
	WebAccount(ctx context.Context, id string) (Account, error)
	// ShowAccount tells about an account.
	ShowAccount(ctx context.Context, id string) (AccountInfo, error)
	// Settings are what the account's own people can set; SetRetention sets one of them.
	Settings(ctx context.Context, id string) (Settings, error)
	SetRetention(ctx context.Context, id, text string) error
	// Options are what holds of the account's table "desk" or "widget", and what of that its own
	// people have set; SetOptions sets some, or takes back those that are nil.
	Options(ctx context.Context, id, table string) (is, own conf.Options, err error)
	SetOptions(ctx context.Context, id, table string, change conf.Options) error
	// Skills are what is set for an agent; SetSkills sets some of it.
	Skills(ctx context.Context, id, name string) (Skills, error)
	SetSkills(ctx context.Context, id string, agent store.AgentID, change SkillsChange) error
	// RenderEvent is the JSON that a webhook would get for a record.
	RenderEvent(a Account, e *store.Entry) ([]byte, error)
	// Audit calls do, and keeps exactly one record of it. Where there can be none it doesn't
	// call do. While that runs, audit.About and audit.Tell add to the record.
	Audit(ctx context.Context, d Deed, do func(context.Context) error) error
	// CopiesUntil is when copies that were made until now can be read by nobody any more, in what was
	// destroyed now; zero where none are made.
	CopiesUntil() time.Time
	// Live is the server that runs, or nil.
	Live() Live
}

// Live is what of a running server has to know of changes.
type Live interface {
	// AgentAdded: a new agent, or one who was enabled again.
	AgentAdded(account string, g store.Agent)
	// AgentRemoved: the agent was disabled; her sessions end.
	AgentRemoved(account string, g store.Agent)
	// AgentDeleted: and she does not come back.
	AgentDeleted(account string, g store.Agent)
	// CredentialsChanged: the agent has another password; sessions of the old one end.
	CredentialsChanged(account string, g store.Agent)
	// CredentialRevoked: one of her devices' secrets is good no more; its sessions end.
	CredentialRevoked(account string, g store.Agent, credential int64)
	// Sessions are an agent's that live; EndSession ends one of them, if it is there.
	Sessions(account string, g store.Agent) []SessionInfo
	EndSession(account string, g store.Agent, id string) bool
	// RoleChanged: the agent may do something else than before.
	RoleChanged(account string, g store.Agent)
	// WebhooksChanged: an endpoint was added, changed or deleted, or the account has another
	// token.
	WebhooksChanged(account string)
	// VisitorsWhence is where a contact's visitor writes from, as far as that is known.
	VisitorsWhence(account string, id store.ConversationID) []netip.Prefix
	// Contacts are an account's that go on; nil if it has no visitors.
	Contacts(account string) *contact.Contacts
}

// A Deed is what somebody did, for the audit log.
type Deed struct {
	Account   string
	Operator  bool
	UID       uint32 // of an operator
	Key       string // of a program
	Operation string // such as "create-webhook"
	Object    string // the path
	From      netip.Addr
}

// Config is what an API needs.
type Config struct {
	Installation Installation
	// ClientAddr says where a request comes from, through proxies that are trusted.
	ClientAddr func(*http.Request) netip.Addr
	// Origin is where the API is found, such as "https://api.desk.example"; "" is not known.
	Origin string
	// PerMinute is how many requests a key may send in a minute; 0 is no limit.
	PerMinute int
	Now       func() time.Time
	Log       *slog.Logger
}

// An API answers requests. It is safe for concurrent use.
type API struct {
	Stats Stats

	cfg        Config
	inst       Installation
	log        *slog.Logger
	now        func() time.Time
	started    time.Time
	mux        *http.ServeMux
	routes     map[string]string // operations by the mux's patterns
	huma       huma.API
	json       func() []byte // the description
	yaml       func() []byte // the same
	requests   *windows      // by key
	failures   *windows      // by address: who could not say who they are
	nonces     nonces
	running    chan struct{} // requests that are worked on
	claims     chan struct{} // bodies of signed requests that are read
	sameOrigin http.CrossOriginProtection
	settings   sync.Mutex // held while settings change
	run        string     // tells this run of the program from others
}

// New makes an API. It panics when a route has no line in the table of permissions.
func New(cfg Config) *API {
	a := &API{
		cfg: cfg, inst: cfg.Installation, log: cfg.Log, now: cfg.Now, started: cfg.Now(), mux: http.NewServeMux(),
		requests: newWindows(cfg.PerMinute, time.Minute), failures: newWindows(failuresPerMinute, time.Minute),
		routes: make(map[string]string), running: make(chan struct{}, allAtOnce), claims: make(chan struct{}, claimsAtOnce), run: randomID(),
	}
	a.huma = humago.New(a.mux, description(cfg.Origin))
	a.accountRoutes()
	a.agentRoutes()
	a.credentialRoutes()
	a.sessionRoutes()
	a.webhookRoutes()
	a.conversationRoutes()
	a.contactRoutes()
	a.deskRoutes()
	a.eventRoutes()
	a.keyRoutes()
	a.banRoutes()
	a.visitorRoutes()
	a.settingsRoutes()
	a.optionRoutes()
	a.finish()
	return a
}

// handle registers what answers a route. The type of its input and output are the
// route's description.
func handle[I, O any](a *API, r route, answer func(context.Context, *caller, *I) (*O, error)) {
	p, ok := permissions[r.id]
	if !ok {
		panic("no line in the table of permissions: " + r.id)
	}
	op := r.operation(p)
	a.routes[r.method+" "+r.path] = r.id
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		c := callerOf(ctx) // who may: see dispatch
		var out *O
		do := func(ctx context.Context) (err error) {
			out, err = answer(ctx, c, in)
			return err
		}
		var err error
		if p.audited {
			err = a.inst.Audit(ctx, c.deed(r.id), do)
		} else {
			err = do(ctx)
		}
		if err != nil {
			return nil, problemOf(a.refusal(err))
		}
		return out, nil
	})
}
