package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"parley.im/parley/auth"
	"parley.im/parley/conf"
	"parley.im/parley/store/audit"
	"parley.im/parley/store/backup"
	"parley.im/parley/store/keys"
	"parley.im/parley/xmppd/web"
)

// commitsInFlight bounds how many accounts sync at the same time: more would only
// wait for one another in the disk's queue.
const commitsInFlight = 16

// An installation is what a running server and the operator's commands share: the
// configuration, and the accounts with their stores.
type installation struct {
	log     *slog.Logger
	root    *rootKey
	chores  chores // what commands have begun
	now     func() time.Time
	commits chan struct{}
	api     *web.API

	// Set by a running server before the first account is opened.
	live          live                         // who is told what commands changed; nil when nothing runs
	onLoginFailed func(*account, auth.Failure) // must not wait; nil when nothing runs
	retention     *retention                   // nil when nothing runs
	backups       *backup.Keeper               // nil when nothing runs, or without [backup]

	auditing sync.Mutex            // guards what follows; held while an audit log is opened
	audits   map[string]*audit.Log // open ones by account; "" is the installation's

	mu       sync.Mutex // guards what follows; taken after auditing
	conf     *conf.File
	accounts map[string]*account // by id
}

// A live server is told what the operator's commands have changed.
type live interface {
	web.Live
	// AccountsChanged: the configuration names other accounts; see reload. It returns
	// when those that were removed are closed.
	AccountsChanged(ctx context.Context) error
	// OptionsChanged: an account deals with its visitors otherwise.
	OptionsChanged(*account)
}

// openInstallation reads the root key and prepares the accounts. Each is opened
// when it is first needed. The data folder is locked by the caller.
func openInstallation(_ context.Context, f *conf.File, log *slog.Logger) (*installation, error) {
	if err := makeFolders(f); err != nil {
		return nil, err
	}
	root, err := readRoot(f)
	if err != nil {
		return nil, err
	}
	roots, err := keys.OpenRoots(f.Keys, root)
	if err != nil {
		return nil, err
	}
	i := &installation{
		log: log, root: &rootKey{dir: f.Keys, roots: roots}, now: time.Now, commits: make(chan struct{}, commitsInFlight),
		conf: f, accounts: make(map[string]*account),
	}
	for _, a := range f.Accounts {
		i.accounts[a.ID] = i.newAccount(f, a, nil)
	}
	i.api = i.newAPI()
	return i, nil
}

// config is the configuration as it was last read.
func (i *installation) config() *conf.File {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.conf
}

// list is all accounts by id, open or not.
func (i *installation) list() []*account {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := make([]*account, 0, len(i.accounts))
	for _, a := range i.accounts {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *account) int { return strings.Compare(a.id, b.id) })
	return list
}

// account opens the account called id.
func (i *installation) account(ctx context.Context, id string) (*account, error) {
	i.mu.Lock()
	a := i.accounts[id]
	i.mu.Unlock()
	if a == nil {
		return nil, missing("there is no account %q", id)
	}
	return a, a.open(ctx)
}

// ofDomain opens the account of a domain.
func (i *installation) ofDomain(ctx context.Context, domain string) (*account, error) {
	for _, a := range i.list() {
		if a.domain == domain {
			return a, a.open(ctx)
		}
	}
	return nil, missing("there is no account with the domain %q", domain)
}

// reload reads the configuration again and says which accounts are new and which
// are gone. One whose settings have changed is both: another one takes its place.
// Those that are gone are still open; the caller closes them, and only then does
// open of their successors return.
func (i *installation) reload(context.Context) (added, removed []*account, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f, err := i.conf.Reload()
	if err != nil {
		return nil, nil, err
	}
	if f.Data != i.conf.Data || f.Keys != i.conf.Keys || f.RootKey != i.conf.RootKey {
		return nil, nil, errors.New("data, keys and root_key cannot change while the server runs")
	}
	accounts := make(map[string]*account, len(f.Accounts))
	for _, a := range f.Accounts {
		old := i.accounts[a.ID]
		is := tablesOf(&a) // which the account takes over as it goes on: see settle
		if old != nil && reflect.DeepEqual(old.conf, a) && old.keep == f.Keep(a) {
			old.file.Store(is)
			accounts[a.ID] = old
			continue
		}
		a.Desk, a.Widget = is.desk, is.widget
		accounts[a.ID] = i.newAccount(f, a, old)
		added = append(added, accounts[a.ID])
	}
	for id, a := range i.accounts {
		if accounts[id] != a {
			removed = append(removed, a)
		}
	}
	i.conf, i.accounts = f, accounts
	return added, removed, nil
}

// accountsChanged makes what the configuration says about accounts hold, in the
// running server or here.
func (i *installation) accountsChanged(ctx context.Context) error {
	if i.live != nil {
		return i.live.AccountsChanged(ctx)
	}
	_, removed, err := i.reload(ctx)
	for _, a := range removed {
		err = errors.Join(err, a.close())
	}
	return err
}

// Close closes all accounts. It may be called twice.
func (i *installation) Close() error {
	i.chores.end()
	accounts := i.list()
	errs := make([]error, len(accounts))
	var wg sync.WaitGroup
	for n, a := range accounts {
		wg.Go(func() { errs[n] = a.close() })
	}
	wg.Wait()
	return errors.Join(append(errs, i.closeAudits())...)
}

// dataDir is where an account's data is.
func dataDir(f *conf.File, id string) string { return filepath.Join(f.Data, "accounts", id) }
