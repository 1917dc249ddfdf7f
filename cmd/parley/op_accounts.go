package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/store/audit"
	"parley.im/parley/store/keys"
	"parley.im/parley/xmppd/web"
)

// accountInfo is an account as it is shown.
func (i *installation) accountInfo(a *account) web.AccountInfo {
	info := web.AccountInfo{
		ID: a.id, Domain: a.domain, Profile: a.conf.Profile, Sealed: a.conf.Sealed(),
		Disabled: a.disabled, Declared: i.config().At(a.id),
	}
	if kept := a.keeps(); kept > 0 {
		info.Retention = days(kept)
	}
	return info
}

func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
	return d.String()
}

func (o *operator) listAccounts(*http.Request) (any, error) {
	list := make([]web.AccountInfo, 0)
	for _, a := range o.inst.list() {
		list = append(list, o.inst.accountInfo(a))
	}
	return list, nil
}

func (i *installation) showAccount(ctx context.Context, a *account) (web.AccountInfo, error) {
	info := i.accountInfo(a)
	agents, err := a.store.Agents(ctx)
	if err != nil {
		return info, err
	}
	endpoints, err := a.store.Endpoints(ctx)
	if err != nil {
		return info, err
	}
	if held, err := a.store.Held(ctx, 0); err != nil {
		return info, err
	} else if held.After(i.now()) {
		info.HeldUntil = held
	}
	nAgents, nWebhooks := len(agents), len(endpoints)
	info.Agents, info.Webhooks = &nAgents, &nWebhooks
	holds, configured := a.auth.Cost()
	if info.Iterations = holds; holds != configured {
		info.Configured = configured
	}
	return info, nil
}

// reissueAccount begins a new generation of passwords. Sessions go on; nobody signs in
// with an old password.
func (o *operator) reissueAccount(r *http.Request) (any, error) {
	a, err := o.inst.account(r.Context(), r.PathValue("account"))
	if err != nil {
		return nil, err
	}
	if err := a.auth.Reissue(r.Context()); err != nil {
		return nil, err
	}
	info := o.inst.accountInfo(a)
	info.Iterations, _ = a.auth.Cost()
	info.Stale, err = a.auth.Stale(r.Context())
	return info, err
}

// addAccount writes accounts.d/ID.toml and makes the stores.
func (o *operator) addAccount(r *http.Request) (any, error) {
	var in struct{ ID, Domain, Profile string }
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	f := o.inst.config()
	domain, _, err := parseDomain(in.Domain)
	if err != nil {
		return nil, refuse("%v", err)
	}
	if err := conf.CheckID(in.ID); err != nil {
		return nil, refuse("account id: %v", err)
	}
	for _, a := range o.inst.list() {
		if a.id == in.ID || a.domain == domain {
			return nil, conflict("there is an account %s with the domain %s already", a.id, a.domain)
		}
	}
	text := fmt.Sprintf("id = %q\ndomain = %q\nprofile = %q\n", in.ID, domain, in.Profile)
	file := newFile{filepath.Join(f.AccountsDir(), in.ID+".toml"), []byte(text), 0o644}
	if err := writeNew([]newFile{file}); err != nil {
		return nil, err
	}
	if err := o.inst.accountsChanged(r.Context()); err != nil {
		if err2 := os.Remove(file.path); err2 != nil {
			return nil, errors.Join(err, err2)
		}
		return nil, errors.Join(err, o.inst.accountsChanged(r.Context())) // without it again
	}
	a, err := o.inst.account(r.Context(), in.ID)
	if err != nil {
		return nil, err
	}
	audit.About(r.Context(), "account/"+in.ID)
	return o.inst.accountInfo(a), nil
}

// ownFile is the file of an account that has one of its own.
func (o *operator) ownFile(id string) (string, error) {
	f := o.inst.config()
	at := f.At(id)
	if at == "" {
		return "", missing("there is no account %q", id)
	}
	path := at[:strings.LastIndexByte(at, ':')]
	if filepath.Dir(path) != f.AccountsDir() {
		return "", withHint(refuse("account %s is declared in %s", id, at), "change it there; a running server reads it again on SIGHUP")
	}
	return path, nil
}

// disableAccount changes one line of the account's file.
func (o *operator) disableAccount(r *http.Request) (any, error) {
	var in struct{ Disabled bool }
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	path, err := o.ownFile(r.PathValue("account"))
	if err != nil {
		return nil, err
	}
	before, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for line := range strings.Lines(string(before)) {
		if key, _, ok := strings.Cut(line, "="); !ok || strings.TrimSpace(key) != "disabled" {
			b.WriteString(line)
		}
	}
	if text := b.String(); text != "" && !strings.HasSuffix(text, "\n") {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "disabled = %v\n", in.Disabled)
	if err := replaceFile(path, []byte(b.String())); err != nil {
		return nil, err
	}
	if err := o.inst.accountsChanged(r.Context()); err != nil {
		return nil, errors.Join(err, replaceFile(path, before))
	}
	return done, nil
}

// deleteAccount destroys a disabled account: its declaration, its keys, then its data,
// which without the keys is of no use any more.
func (o *operator) deleteAccount(r *http.Request) (any, error) {
	id := r.PathValue("account")
	path, err := o.ownFile(id)
	if err != nil {
		return nil, err
	}
	a, err := o.inst.account(r.Context(), id)
	if err != nil {
		return nil, err
	}
	if !a.disabled {
		return nil, withHint(refuse("account %s is not disabled", id),
			"deleting destroys all that was ever said in it; 'parley account disable %s' first", id)
	}
	if err := notHeld(r.Context(), a); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	if err := o.inst.accountsChanged(r.Context()); err != nil {
		return nil, err
	}
	if err := a.wait(r.Context()); err != nil {
		return nil, err
	}
	if err := keys.Delete(a.keysDir, id); err != nil {
		return nil, err
	}
	if err := o.inst.auditForget(id); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(a.dir); err != nil {
		return nil, err
	}
	return done, nil
}

// wait returns when the account is closed.
func (a *account) wait(ctx context.Context) error {
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
