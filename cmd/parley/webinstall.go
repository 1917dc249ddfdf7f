package main

import (
	"context"
	"time"

	"parley.im/parley/store"
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
	return web.Account{ID: a.id, Domain: a.domain, Store: a.store, Auth: a.auth}
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

// Audit keeps what somebody does.
func (i webInstallation) Audit(_ context.Context, d web.Deed) error {
	if !d.Operator { // whose commands are logged as they come
		i.log.Info("API request", "account", d.Account, "key", d.Key, "operation", d.Operation, "path", d.Object, "from", d.From)
	}
	return nil
}

// Live is the server that runs.
func (i webInstallation) Live() web.Live {
	if i.live == nil {
		return nil
	}
	return i.live
}
