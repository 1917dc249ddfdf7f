package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"parley.im/parley/auth"
	"parley.im/parley/conf"
	"parley.im/parley/store"
	"parley.im/parley/xmppd"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/hook"
	"parley.im/parley/xmppd/notify"
	"parley.im/parley/xmppd/panics"
	"parley.im/parley/xmppd/upload"
	"parley.im/parley/xmppd/visit"
	"parley.im/parley/xmppd/web"
	"parley.im/parley/xmppd/wire"
)

// Deadlines of an orderly end.
const (
	sessionsDrain = 20 * time.Second // sessions say goodbye
	hooksDrain    = 5 * time.Second  // webhooks in flight get their answers
)

// A server is everything that runs: the one place where the parts meet.
type server struct {
	begun   *conf.File // the configuration that it was started with
	inst    *installation
	log     *slog.Logger
	xmpp    *xmppd.Server
	hooks   *hook.Sender
	visit   *visit.Server
	files   *upload.Server
	notes   *notify.Notifier
	sign    *lifeSign // nil before there is one
	health  *health
	control net.Listener
	xmppOn  []xmppd.Port
	httpsOn []net.Listener
	handed  *handed    // HTTPS of ports that are for both
	release func()     // of the data folder
	stale   chan stale // copies that became too old

	redirectOn []net.Listener
	redirect   *redirect
	watch      *certificateWatch
	acme       *acmeKeys // nil without

	passing        bool // as in world
	pages          func(*http.ServeMux)
	passwordChange bool        // agents may change their passwords; until the end, whatever is read again
	supervisor     *supervisor // who waits for it to be ready

	// Held while accounts come and go; taken before mu. None does once the server stops.
	changing sync.Mutex

	mu       sync.Mutex // guards what follows
	services map[*account]*service
	stopped  bool
}

// A service is an account in operation.
type service struct {
	stop func() // ends its webhooks and its mail
	done chan struct{}
}

// A world is what a server finds around itself. Tests bring their own.
type world struct {
	listen  func(network, address string) (net.Listener, error)
	control func(path string) (net.Listener, error)
	hook    func(*hook.Config)
	pages   func(*http.ServeMux) // more of them; nil for none
	passing bool                 // all of it is thrown away, and nobody needs a copy of its root key
}

var realWorld = world{listen: net.Listen, control: listenControl, hook: func(*hook.Config) {}}

// newServer puts the parts together, in the order in which they need each other.
// Nothing is served before run.
func newServer(ctx context.Context, f *conf.File, log *slog.Logger, w world) (*server, error) {
	s := &server{begun: f, log: log, supervisor: new(supervisor), services: make(map[*account]*service), passing: w.passing, pages: w.pages}
	if err := s.begin(ctx, f, w); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *server) begin(ctx context.Context, f *conf.File, w world) (err error) {

	// The data folder, which is nobody else's from here on, and the keys.
	certificates, faults := loadCertificates(f)
	if faults = append(faults, checkDomains(f)...); len(faults) > 0 {
		return several(faults)
	}
	// Mail, which is to hear of panics from here on.
	mail, err := mailConfig(f, s.log)
	if err != nil {
		return err
	}
	s.notes = notify.New(mail)
	s.log = slog.New(s.notes.Handler(s.log.Handler(), version()))

	if s.release, err = waitForData(ctx, f.Data, nil); err != nil {
		return err
	}
	if s.inst, err = openInstallation(ctx, f, s.log); err != nil {
		return err
	}

	ends, err := s.appear(f.Data, f.Mail.Every)
	if err != nil {
		s.log.Warn("an end without order will not be noticed", "err", err) // a full disk keeps nobody from starting
	}
	if ends > 0 {
		s.log.Warn("the last server ended without being told to", "attempt", ends)
		s.notes.Ended(ends, s.inst.now(), version())
	}

	// The daemon, without accounts yet.
	if err := s.beginACME(f); err != nil {
		return err
	}
	c := xmppConfig(f, s.log)
	if s.acme != nil {
		c.Challenge = s.acme.manager.GetCertificate
	}
	c.Transcript = func(ctx context.Context, account, address string, agent store.AgentID) error {
		return s.visit.SendTranscript(ctx, account, address, agent)
	}
	s.xmpp = xmppd.New(c)
	s.passwordChange = f.Auth.PasswordChange
	s.watch = newCertificateWatch(s)
	if err := s.watch.set(f, certificates); err != nil {
		return err
	}
	s.inst.live = s
	s.inst.retention = newRetention(s.inst)
	s.inst.onLoginFailed = func(a *account, f auth.Failure) { s.xmpp.LoginFailed(a.id, f) }

	// The listeners, so that two servers on one port are found out early.
	if err := s.listenAll(f, w); err != nil {
		return err
	}

	// Webhooks, visitors, and then the accounts, each with its store.
	s.hooks = hook.New(s.hookConfig(f, w))
	s.visit = newVisit(s.inst, f, transcripts(mail), s.log)
	s.files = upload.NewServer(s.log)
	for _, a := range s.inst.list() {
		if err := s.start(ctx, a); err != nil {
			return err
		}
	}

	// Copies of all that, elsewhere.
	if err := s.openBackups(f); err != nil {
		return err
	}
	s.health = newHealth(s)
	s.beginRedirect()
	return nil
}

func xmppConfig(f *conf.File, log *slog.Logger) xmppd.Config {
	return xmppd.Config{
		Limits:         xmppLimits(f),
		Resume:         f.Resume.For,
		Colleagues:     f.Roster.Colleagues,
		ColleaguesMax:  f.Roster.ColleaguesMax,
		ArchivePage:    f.Archive.Page,
		Contact:        f.Contact.Addresses(),
		PasswordChange: f.Auth.PasswordChange,
		Log:            log,
		LogWire:        f.Log.Wire,
	}
}

func xmppLimits(f *conf.File) xmppd.Limits {
	l := f.Limits
	return xmppd.Limits{
		BeforeLogin: wire.Limits{
			Bytes: int(l.StanzaBeforeLogin), Depth: l.DepthBeforeLogin,
			Attrs: l.AttributesBeforeLogin, Children: l.ChildrenBeforeLogin,
		},
		Stanza:          wire.Limits{Bytes: int(l.Stanza), Depth: l.Depth, Attrs: l.Attributes, Children: l.Children},
		Handshake:       l.Handshake,
		Login:           l.Login,
		Unauthenticated: l.Unauthenticated, UnauthenticatedPerAddress: l.UnauthenticatedPerAddress,
		BytesPerSecond: int(l.BytesPerSecond), StanzasPerSecond: l.StanzasPerSecond,
		SessionsPerAgent: l.SessionsPerAgent,
		Queue:            l.Queue, QueueBytes: int(l.QueueBytes), Held: l.Held,
		Idle: l.Idle, Dead: l.IdleAnswer,
	}
}

func (s *server) hookConfig(f *conf.File, w world) hook.Config {
	c := hook.Config{
		Timeout: f.Webhook.Timeout, Connect: f.Webhook.Connect, Drain: hooksDrain,
		Concurrency: f.Webhook.Concurrency, Allow: f.Webhook.Allow, Ports: f.Webhook.Ports,
		API: f.Hosts.API, Own: s.own, Log: s.log,
	}
	w.hook(&c)
	return c
}

// own says whether something of this server listens at an address, where no webhook
// has any business.
func (s *server) own(to netip.AddrPort) bool {
	addr := to.Addr().Unmap()
	for _, l := range s.allListeners() {
		at, err := netip.ParseAddrPort(l.Addr().String())
		if err != nil || at.Port() != to.Port() {
			continue
		}
		if on := at.Addr().Unmap(); on == addr || on.IsUnspecified() && isLocal(addr) {
			return true
		}
	}
	return false
}

func isLocal(addr netip.Addr) bool {
	if addr.IsLoopback() || addr.IsUnspecified() {
		return true
	}
	mine, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range mine {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == addr {
			return true
		}
	}
	return false
}

// start takes an account into operation, unless it is disabled.
func (s *server) start(ctx context.Context, a *account) error {
	if a.disabled {
		return nil
	}
	if err := a.open(ctx); err != nil {
		return err
	}
	if holds, configured := a.auth.Cost(); holds != configured {
		s.log.Warn("passwords are hashed with another count than auth.iterations says: see 'parley account reissue'",
			"account", a.id, "holds", holds, "configured", configured)
	}
	if stale, err := a.auth.Stale(ctx); err == nil && stale > 0 {
		s.log.Warn("agents need new passwords: see 'parley agent passwd'", "account", a.id, "agents", stale)
	}
	s.sayPolicy(ctx, a)
	files, err := s.filesOf(ctx, a)
	if err != nil {
		return fmt.Errorf("start account %s: %w", a.id, err)
	}
	s.files.Add(a.id, files)
	if err := s.xmpp.AddAccount(ctx, xmppd.Account{ID: a.id, Domain: a.domain, Store: a.store, Auth: a.auth, Support: a.support(), Ban: s.agentBans(a),
		Supervises: web.Supervises, Record: s.agentDoes(a.id), Files: files}); err != nil {
		return fmt.Errorf("start account %s: %w", a.id, err)
	}
	if err := s.letIn(ctx, a); err != nil {
		return fmt.Errorf("start account %s: %w", a.id, err)
	}
	hooks, stop := context.WithCancel(context.Background())
	v := &service{stop: stop, done: make(chan struct{})}
	var working sync.WaitGroup
	log := s.log.With("account", a.id)
	working.Go(func() {
		panics.Keep(hooks, log, "mail", func(ctx context.Context) {
			if err := s.notes.Run(ctx, notify.Account{ID: a.id, Domain: a.domain, Store: a.store}); err != nil {
				log.Error("alerts are not mailed", "err", err)
			}
		})
	})
	working.Go(func() {
		panics.Keep(hooks, log, "mail", func(ctx context.Context) {
			s.mailLeft(ctx, a, log)
		})
	})
	go func() { // ends with its context; stopAll waits for done
		defer close(v.done)
		defer working.Wait()
		panics.Keep(hooks, log, "webhooks", func(ctx context.Context) {
			s.hooks.Run(ctx, hook.Account{ID: a.id, Domain: a.domain, Store: a.store, Keep: a.keep})
		})
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services[a] = v
	return nil
}

// stop takes an account out of operation and closes it.
func (s *server) stop(ctx context.Context, a *account) error {
	s.mu.Lock()
	v := s.services[a]
	delete(s.services, a)
	s.mu.Unlock()
	if v != nil {
		s.visit.Remove(a.id)
		s.files.Add(a.id, nil)
		s.xmpp.RemoveAccount(ctx, a.id)
		v.stop()
		<-v.done
	}
	return a.close()
}

// run serves until ctx ends, and then ends everything in order: nothing that was
// acknowledged is lost.
func (s *server) run(ctx context.Context) error {
	errs := make(chan error, len(s.allListeners())+2)
	var serving sync.WaitGroup
	for _, l := range s.xmppOn {
		serving.Go(func() {
			if err := s.xmpp.ServePort(l); !errors.Is(err, xmppd.ErrClosed) {
				errs <- err
			}
		})
	}
	for _, l := range s.httpsOn {
		serving.Go(func() { errs <- s.health.serve(l) })
	}
	serving.Go(func() { errs <- s.health.serveHanded(s.handed) })
	for _, l := range s.redirectOn {
		serving.Go(func() { errs <- s.redirect.serve(l) })
	}
	control, stopControl := context.WithCancel(context.WithoutCancel(ctx))
	defer stopControl()
	serving.Go(func() { errs <- s.inst.serveControl(control, s.control) })
	upkeep, stopUpkeep := context.WithCancel(context.WithoutCancel(ctx))
	defer stopUpkeep()
	keep := func(part string, run func(context.Context)) {
		serving.Go(func() { panics.Keep(upkeep, s.log, part, run) })
	}
	keep("keys", s.rotateKeys)
	keep("certificates", s.watch.run)
	keep("visitors", s.visit.Run)
	if s.acme != nil {
		keep("acme", s.acme.run)
	}
	keep("audit", s.keepAudits)
	keep("answers", s.forgetAnswers)
	keep("panics", s.notes.RunPanics)
	keep("retention", s.inst.retention.run)
	keep("root key", s.careForRoot)
	stopBackups := s.runBackups(ctx)
	s.sayReady()

	var failed error
	select {
	case <-ctx.Done():
	case failed = <-errs:
	}
	s.log.Info("stopping")
	s.supervisor.tell(nowStopping, "")
	stopControl()
	stopUpkeep()
	stopBackups()
	s.visit.Close()
	s.health.stop()
	s.redirect.stop()
	s.close()
	serving.Wait()
	s.log.Info("stopped")
	return failed
}

// close ends what there is, in the order of docs/flow.md: sessions, webhooks, stores.
// It may be called twice.
func (s *server) close() {
	s.changing.Lock()
	s.mu.Lock()
	again := s.stopped
	s.stopped = true
	services := s.services
	s.services = nil
	s.mu.Unlock()
	s.changing.Unlock()
	if again {
		return
	}
	for _, l := range s.allListeners() {
		l.Close()
	}
	if s.handed != nil {
		s.handed.Close()
	}
	if s.control != nil {
		s.control.Close()
	}
	if s.visit != nil {
		s.visit.Close()
	}
	if s.xmpp != nil {
		ctx, cancel := context.WithTimeout(context.Background(), sessionsDrain)
		if err := s.xmpp.Shutdown(ctx); err != nil {
			s.log.Error("sessions not ended in order", "err", err)
		}
		cancel()
	}
	for _, v := range services {
		v.stop()
	}
	for _, v := range services {
		<-v.done
	}
	if s.inst != nil {
		if err := s.inst.Close(); err != nil {
			s.log.Error("stores not closed in order", "err", err)
		}
	}
	if s.health != nil { // it has run
		s.disappear()
	}
	if s.release != nil {
		s.release()
	}
}

// reload reads certificates, limits, accounts and how agents sign in again (SIGHUP). With a fault in any of
// them it changes nothing.
func (s *server) reload(ctx context.Context) error {
	before := s.inst.config()
	f, err := before.Reload()
	if err != nil {
		return err
	}
	certificates, faults := loadCertificates(f)
	faults = append(faults, s.sameACME(f)...)
	if faults = append(faults, checkDomains(f)...); len(faults) > 0 {
		return several(faults)
	}
	err = s.AccountsChanged(ctx)
	if f = s.inst.config(); f == before {
		return err
	}
	if err != nil {
		// One customer's trouble keeps nothing from the others.
		s.log.Error("not all accounts are in operation as the configuration has them", "err", err)
	}
	if err := s.watch.set(f, certificates); err != nil {
		return err
	}
	s.xmpp.SetLimits(xmppLimits(f))
	if waiting := f.Waiting(s.begun); len(waiting) > 0 {
		s.log.Warn("what has changed waits in part for a restart", "options", strings.Join(waiting, " "))
	}
	s.log.Info("configuration read again", "accounts", len(f.Accounts), "certificates", len(certificates))
	return nil
}

// Contacts are an account's that go on; nil if it has no visitors.
func (s *server) Contacts(account string) *contact.Contacts { return s.xmpp.Contacts(account) }

// AgentAdded lets a new agent in.
func (s *server) AgentAdded(account string, a store.Agent) { s.xmpp.AgentAdded(account, a) }

// AgentRemoved ends an agent's sessions.
func (s *server) AgentRemoved(account string, a store.Agent) { s.xmpp.AgentRemoved(account, a) }

// AgentDeleted ends an agent's sessions, and what others had with her.
func (s *server) AgentDeleted(account string, a store.Agent) {
	s.xmpp.AgentDeleted(account, a)
	s.unskilled(account)
}

// CredentialRevoked ends the sessions of one credential.
func (s *server) CredentialRevoked(account string, a store.Agent, credential int64) {
	s.xmpp.CredentialRevoked(account, a, credential)
}

// CredentialsChanged ends the sessions of the old password.
func (s *server) CredentialsChanged(account string, a store.Agent) {
	s.xmpp.CredentialsChanged(account, a)
}

// RoleChanged ends what the agent may no longer.
func (s *server) RoleChanged(account string, a store.Agent) { s.xmpp.RoleChanged(account, a) }

// WebhooksChanged lets the sender look at its endpoints again.
func (s *server) WebhooksChanged(account string) { s.hooks.Reload(account) }

// AccountsChanged starts and stops accounts as the configuration now has them.
func (s *server) AccountsChanged(ctx context.Context) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	stopped := s.stopped
	s.mu.Unlock()
	if stopped {
		return errors.New("the server stops")
	}
	added, removed, err := s.inst.reload(ctx)
	if err != nil {
		return err
	}
	for _, a := range removed {
		err = errors.Join(err, s.stop(ctx, a))
	}
	for _, a := range added {
		err = errors.Join(err, s.start(ctx, a))
	}
	s.policiesChanged(ctx)
	err = errors.Join(err, s.settleAll(ctx))
	if s.acme != nil {
		s.acme.retry()
	}
	return err
}
