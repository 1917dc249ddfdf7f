package main

import (
	"context"
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
	"parley.im/parley/xmppd/hook"
	"parley.im/parley/xmppd/web"
)

// A webInstallation is the installation as the REST API sees it.
type webInstallation struct{ *installation }

func (i *installation) newAPI() *web.API {
	return web.New(web.Config{
		Installation: webInstallation{i}, ClientAddr: i.clientAddr, Origin: i.config().Hosts.API, PerMinute: i.config().API.PerMinute,
		Now: func() time.Time { return i.now() }, Log: i.log,
	})
}

func (a *account) web() web.Account {
	return web.Account{ID: a.id, Domain: a.domain, Sealed: a.conf.Sealed(), Store: a.store, Auth: a.auth, Bans: a.bans, People: a.people}
}

// WebAccount is an account that is in operation.
func (i webInstallation) WebAccount(ctx context.Context, id string) (web.Account, error) {
	a, err := i.account(ctx, id)
	switch {
	case err != nil:
		return web.Account{}, err
	case a.disabled:
		return web.Account{}, store.ErrNotFound
	}
	return a.web(), nil
}

// ShowAccount tells about an account.
func (i webInstallation) ShowAccount(ctx context.Context, id string) (web.AccountInfo, error) {
	a, err := i.account(ctx, id)
	if err != nil {
		return web.AccountInfo{}, err
	}
	return i.installation.showAccount(ctx, a)
}

// RenderEvent is the JSON that a webhook gets for a record.
func (i webInstallation) RenderEvent(a web.Account, e *store.Entry) ([]byte, error) {
	return hook.Body(&hook.Account{ID: a.ID, Domain: a.Domain, Store: a.Store}, e, i.config().Hosts.API)
}

// Audit keeps a record of what somebody does.
func (i webInstallation) Audit(ctx context.Context, d web.Deed, do func(context.Context) error) error {
	who := audit.Caller{Actor: audit.Actor{Kind: audit.Key, ID: d.Key}, Address: d.From.String()}
	if d.Operator {
		who = operatorOf(d.UID)
	}
	verb, what, _ := strings.Cut(d.Operation, "-")
	return i.audited(audit.Called(ctx, who), d.Account, audit.Record{Action: what + "." + verb, Object: objectOf(d.Account, d.Object)}, do)
}

// CopiesUntil is when the last copy of the keys that there are now has expired.
func (i webInstallation) CopiesUntil() time.Time {
	b := i.config().Backup
	if len(b.Recipients) == 0 {
		return time.Time{}
	}
	return i.now().Add(b.KeepKeys)
}

// Live is the server that runs.
func (i webInstallation) Live() web.Live {
	if i.live == nil {
		return nil
	}
	return i.live
}
