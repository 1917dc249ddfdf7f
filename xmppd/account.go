package xmppd

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/auth"
	"parley.im/parley/store"
	"parley.im/parley/xmppd/upload"
	"parley.im/parley/xmppd/wire"
)

// An account is one domain while the server runs.
type account struct {
	server  *Server
	id      string
	domain  string
	store   store.Account
	auth    *auth.Account
	journal store.Conversation
	log     *slog.Logger
	closing atomic.Bool // nobody new is let in

	mu     sync.RWMutex // guards what follows
	agents map[string]*agent
	ids    map[string]store.AgentID // disabled agents, too
	byIDs  map[store.AgentID]*agent // those of agents
	names  map[store.AgentID]string // disabled and deleted agents, too

	deleted int // agents, since the start

	// Held over a change of rosters, or of who is in the team, the store's commit
	// included. Taken before an agent's mu.
	rosters sync.Mutex
	team    atomic.Pointer[team] // nil: agents don't see each other unless they want to

	// Held while an agent changes her password: hashing takes a core for a while, so in
	// an account one does at a time. Taken before an agent's mu.
	passwords sync.Mutex

	// What waits for a commit of sessions that say much, all together, small messages and
	// large ones: whoever says something now and then waits for no more than that.
	small, large turns
	changes      turns // of what agents have of their own, for the same reason

	failures failures

	support *support // nil without visitors; set before the account is in service
	files   *upload.Files

	dirtyMu sync.Mutex // guards what follows
	dirty   []*agent   // agents whose delivery changed since it was last kept

	// Touched by the store's dispatcher only.
	// The sessions that got something in this group of commits, and those that got something
	// of those who say much.
	kicked, kickedSoon []*Session
}

// How many messages of busy sessions, small and large ones, and how many changes of what agents
// have of their own may wait for a commit in one account.
const maxSmall, maxLarge, maxChanges = 128, 1, 4

// maxQuick is how large a small message is at most, in bytes.
const maxQuick = 4 << 10

// AddAccount takes an account into service: agents of its domain can sign in from
// now on, and sessions that the last shutdown cut can be resumed.
func (s *Server) AddAccount(ctx context.Context, a Account) error {
	acct := &account{
		server: s, id: a.ID, domain: a.Domain, store: a.Store, auth: a.Auth,
		log: s.log.With("account", a.ID), agents: make(map[string]*agent), ids: make(map[string]store.AgentID),
		byIDs: make(map[store.AgentID]*agent), names: make(map[store.AgentID]string),
		small: turns{free: maxSmall}, large: turns{free: maxLarge}, changes: turns{free: maxChanges},
	}
	var err error
	if acct.journal, err = a.Store.Journal(ctx); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	agents, err := a.Store.Agents(ctx)
	if err != nil {
		return fmt.Errorf("list agents: %w", err)
	}
	for _, g := range agents {
		acct.ids[g.Name], acct.names[g.ID] = g.ID, g.Name
		if !g.Disabled {
			n := newAgent(acct, g)
			acct.agents[g.Name], acct.byIDs[g.ID] = n, n
		}
	}
	acct.regroup()
	if err := acct.restore(ctx); err != nil {
		return fmt.Errorf("restore sessions: %w", err)
	}
	acct.files = a.Files
	if a.Support != nil {
		if acct.support, err = newSupport(ctx, acct, &a); err != nil {
			return fmt.Errorf("take up contacts: %w", err)
		}
		for _, g := range acct.byIDs {
			if g.online.Load() > 0 { // whose devices may come back, and are waited for
				g.tellDesk()
			}
		}
		acct.support.begin()
	}
	a.Store.OnGroup(acct.groupDone)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing.Load():
		err = ErrClosed
	case s.accounts[a.Domain] != nil:
		err = fmt.Errorf("domain %s is in service already", a.Domain)
	default:
		s.accounts[a.Domain] = acct
		return nil
	}
	if acct.support != nil {
		acct.support.end()
	}
	return err
}

// RemoveAccount ends the account's sessions and forgets it. Its store is the
// caller's to close, afterwards.
func (s *Server) RemoveAccount(ctx context.Context, id string) {
	s.mu.Lock()
	var gone *account
	for domain, a := range s.accounts {
		if a.id == id {
			gone = a
			delete(s.accounts, domain)
		}
	}
	s.mu.Unlock()
	if gone != nil {
		gone.close(ctx, false)
	}
}

// CredentialsChanged ends the sessions of an agent whose password was changed by
// somebody else, since they were signed in with the old one.
func (s *Server) CredentialsChanged(accountID string, g store.Agent) {
	if a := s.accountByID(accountID); a != nil {
		if agent := a.agent(g.Name); agent != nil {
			_, older := agent.credentialsChanged()
			end(older, passwordChanged, nil)
		}
	}
}

// CredentialRevoked ends the sessions that were signed in with one of an agent's
// credentials, which is good no more.
func (s *Server) CredentialRevoked(accountID string, g store.Agent, credential int64) {
	if a := s.accountByID(accountID); a != nil {
		if agent := a.agent(g.Name); agent != nil {
			agent.revoke(credential)
		}
	}
}

func (s *Server) accountByID(id string) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		if a.id == id {
			return a
		}
	}
	return nil
}

func (a *account) bare(name string) string { return name + "@" + a.domain }

// agent is the one of that prepared name, or nil.
func (a *account) agent(name string) *agent {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.agents[name]
}

// which are the agents who are so.
func (a *account) which(so func(*agent) bool) (list []*agent) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, g := range a.agents {
		if so(g) {
			list = append(list, g)
		}
	}
	return list
}

// online are the agents who have sessions.
func (a *account) online() []*agent {
	return a.which(func(g *agent) bool { return g.online.Load() > 0 })
}

// agentOf is the agent that signed in, if she is still who she was.
func (a *account) agentOf(g store.Agent) *agent {
	if agent := a.agent(g.Name); agent != nil && agent.id == g.ID {
		return agent
	}
	return nil
}

// loaded are the agents whose rosters are known: those with sessions, and who is about
// to have one.
func (a *account) loaded() []*agent {
	return a.which(func(g *agent) bool { return g.roster.Load() != nil })
}

// happened appends an event about no conversation to the journal.
func (a *account) happened(kind store.Kind, actor store.AgentID, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		a.log.Error("cannot write event", "event", kind.Event(), "err", err)
		return
	}
	a.store.Append(&store.Batch{
		Lazy: true,
		Ops:  []store.Op{{Conversation: a.journal, Kind: kind, Actor: actor, At: time.Now(), Data: text}},
		Done: func(b *store.Batch) {
			if b.Err != nil {
				a.log.Warn("event not kept", "event", kind.Event(), "err", b.Err)
			}
		},
	})
}

// failureEvents is how many failed sign-ins of an account become events in a second:
// a stranger must not fill the log. Those beyond are counted in the next one.
const failureEvents = 10

// failures bounds the events of failed sign-ins.
type failures struct {
	mu         sync.Mutex // guards what follows
	second     int64
	told       int
	suppressed int
}

// tell says whether there may be another event in this second, and how many there
// were not since the last.
func (f *failures) tell(second int64) (suppressed int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if second != f.second {
		f.second, f.told = second, 0
	}
	if f.told == failureEvents {
		f.suppressed++
		return 0, false
	}
	f.told++
	suppressed, f.suppressed = f.suppressed, 0
	return suppressed, true
}

// LoginFailed makes the event of a failed sign-in; auth calls it through whoever
// made the account.
func (s *Server) LoginFailed(accountID string, f auth.Failure) {
	a := s.accountByID(accountID)
	if a == nil {
		return
	}
	suppressed, ok := a.failures.tell(time.Now().Unix())
	if !ok {
		return
	}
	type failure struct {
		Name      string `json:"name"`
		Known     bool   `json:"known"`
		Address   string `json:"address,omitempty"`
		Mechanism string `json:"mechanism"`
		Reason    string `json:"reason"`
		Unlisted  int    `json:"unlisted,omitempty"` // earlier failures without an event
	}
	v := failure{Name: f.Name, Known: f.Known, Mechanism: f.Mechanism, Reason: string(f.Reason), Unlisted: suppressed}
	if f.Addr.IsValid() {
		v.Address = f.Addr.String()
	}
	a.happened(store.KindLoginFailed, f.Agent, map[string]any{"login": v})
}

// groupDone runs on the dispatcher after all Dones of a group of commits: what was
// queued for a session by the whole group leaves in one write.
func (a *account) groupDone() {
	for i, s := range a.kicked {
		s.kick()
		a.kicked[i] = nil
	}
	a.kicked = a.kicked[:0]
	for i, s := range a.kickedSoon {
		s.kickSoon()
		a.kickedSoon[i] = nil
	}
	a.kickedSoon = a.kickedSoon[:0]
}

// touched notes that an agent's delivery is to be kept.
func (a *account) touched(g *agent) {
	if g.dirty.Swap(true) {
		return
	}
	a.dirtyMu.Lock()
	a.dirty = append(a.dirty, g)
	a.dirtyMu.Unlock()
}

// retryDrain is after how many seconds a backlog that could not be read is read again.
const retryDrain = 10

// look is the caretaker's visit, once a second.
func (a *account) look(now int64) {
	a.keepDeliveries()
	a.tellComings()
	for _, g := range a.online() {
		for _, s := range g.list() {
			s.look(now)
		}
		if now%retryDrain == 0 {
			g.mu.Lock()
			g.drainWith(nil) // where the store could not be read before
			g.mu.Unlock()
		}
	}
}

// keepDeliveries hands the changed delivery cursors to the store, which writes
// them with the next commit.
func (a *account) keepDeliveries() {
	a.dirtyMu.Lock()
	dirty := a.dirty
	a.dirty = nil
	a.dirtyMu.Unlock()
	for _, g := range dirty {
		g.dirty.Store(false)
		g.mu.Lock()
		d := g.delivery.Kept()
		g.mu.Unlock()
		a.store.SaveDelivery(g.id, d)
	}
}

// close ends all sessions. With keep, those that can be resumed are written,
// sealed, to the store, so that they can be after the next start.
func (a *account) close(ctx context.Context, keep bool) {
	a.closing.Store(true)
	if a.support != nil {
		a.support.end()
	}
	agents := a.online()
	var wg sync.WaitGroup
	var keepers []*Session
	for _, g := range agents {
		for _, s := range g.list() {
			if keep && s.keepable() {
				keepers = append(keepers, s)
				continue
			}
			wg.Go(func() { s.end(wire.StreamError{Condition: wire.SystemShutdown}) })
		}
	}
	// First those that end, so that those that are kept know who went (rule 31).
	wg.Wait()
	var mu sync.Mutex
	var kept []store.Resume
	for _, s := range keepers {
		wg.Go(func() {
			if r, ok := s.putAway(ctx); ok {
				mu.Lock()
				kept = append(kept, r)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, g := range agents {
		if g.available() { // on a device that may come back
			g.leaves(nil)
		}
	}
	a.tellComings()
	a.keepDeliveries()
	if len(kept) > 0 {
		if err := a.store.SaveResumes(ctx, kept); err != nil {
			a.log.Error("sessions cannot be resumed after the restart", "err", err)
		}
	}
}
