package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
	"parley.im/parley/xmppd/web"
)

func verifyCommands() []command {
	return []command{{
		name: "verify",
		does: "Walks all that is kept and tells what is not as it was written: records, keys, agents, webhooks, settings, audit logs.",
		more: "Exits 1 if anything is. What was changed is shown to nobody. While a server runs the structure of the files is left out, " +
			"since that would make those who write wait. Where a row is not the one that was kept last, but opens, what is told is whose it is, not which one. " +
			"Audit logs are looked at as 'parley audit verify' does. With -accept a log, a row or a key database that was put back to an older state " +
			"(one that was copied by hand, say) is taken as it is from here on. With -backup the newest copies are restored into a temporary folder, and what comes " +
			"out is looked at in the same way, audit logs included; without -from those of each place of the configuration in turn. That needs the root key, and the identity.",
		options: append([]option{
			configOption, setOption, jsonOption,
			{name: "account", value: "ID", does: "only this account; all"},
			{name: "accept", does: "takes logs as they are, though they had come further"},
			{name: "backup", does: "looks at copies instead"},
			identityOption,
		}, placeOptions()...),
		run: verifyWhich,
	}}
}

// verifyWhich tells what is kept here from copies of it.
func verifyWhich(ctx context.Context, c *call) error {
	if c.on("backup") {
		for _, name := range []string{"json", "account", "accept"} {
			if c.on(name) {
				return c.usage("-%s does not go with -backup", name)
			}
		}
		if !c.on("identity") {
			return c.usage("-identity is missing")
		}
		return verifyBackup(ctx, c)
	}
	for _, name := range []string{"identity", "from", "keys-from", "at", "unsigned"} {
		if c.on(name) {
			return c.usage("-%s needs -backup", name)
		}
	}
	return verifyAll(ctx, c)
}

// A verifyInfo is what was found in an account, or with none in the installation's audit log.
type verifyInfo struct {
	Account string   `json:"account"`
	Records int64    `json:"records"`
	Faults  []string `json:"faults"`
}

func verifyAll(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		ids := []string{c.text("account")}
		if ids[0] == "" {
			var list []web.AccountInfo
			if err := cl.do(ctx, "GET", "/v1/accounts", nil, &list); err != nil {
				return err
			}
			ids = nil
			for _, a := range list {
				ids = append(ids, a.ID)
			}
		}
		all := make([]verifyInfo, len(ids))
		for i, id := range ids {
			if c.on("accept") {
				if err := cl.do(ctx, "POST", accountPath(id)+"/accept", nil, nil); err != nil {
					return err
				}
			}
			// An account that does not even open is a finding; the others are looked at, too.
			if err := cl.do(ctx, "POST", accountPath(id)+"/verify", nil, &all[i]); err != nil {
				all[i] = verifyInfo{Account: id, Faults: []string{err.Error()}}
				continue
			}
			all[i].addAudit(ctx, cl, accountPath(id))
		}
		if !c.on("account") {
			i := verifyInfo{Faults: []string{}}
			i.Records = i.addAudit(ctx, cl, "/v1")
			all = append(all, i)
		}
		return c.verified(all)
	})
}

// addAudit adds what is wrong with an audit log, and answers how many records it has.
func (v *verifyInfo) addAudit(ctx context.Context, cl *client, path string) (records int64) {
	var r audit.Report
	if err := cl.do(ctx, "GET", path+"/audit/verify", nil, &r); err != nil {
		r.Faults = []string{err.Error()}
	}
	for _, fault := range r.Faults {
		v.Faults = append(v.Faults, "audit log: "+fault)
	}
	return r.Records
}

func (c *call) verified(all []verifyInfo) error {
	faults := 0
	for _, v := range all {
		faults += len(v.Faults)
	}
	if c.on("json") {
		if err := c.printJSON(all); err != nil {
			return err
		}
	} else {
		for _, v := range all {
			whose := v.Account
			if whose == "" {
				whose = "the installation"
			}
			for _, fault := range v.Faults {
				fmt.Fprintf(c.stdout, "%s: %s\n", whose, line(fault))
			}
			if len(v.Faults) == 0 {
				fmt.Fprintf(c.stdout, "%s: all is as it was written (%d records)\n", whose, v.Records)
			}
		}
	}
	if faults > 0 {
		return withHint(fmt.Errorf("faults found: %d", faults),
			"what was changed stays locked; put the files back from a backup, and run 'parley verify -accept' if they are older than what was known of them")
	}
	return nil
}

func (o *operator) handleVerify() {
	o.handle("POST /v1/accounts/{account}/verify", o.verifyAccount)
	o.handle("POST /v1/accounts/{account}/accept", o.acceptAccount)
}

func (o *operator) verifyAccount(r *http.Request) (any, error) {
	a, err := o.inst.account(r.Context(), r.PathValue("account"))
	if err != nil {
		return nil, err
	}
	info := verifyInfo{Account: a.id, Records: int64(a.store.Newest()), Faults: []string{}}
	err = a.store.Verify(r.Context(), o.inst.live == nil)
	if a.people != nil && (err == nil || errors.Is(err, store.ErrTampered)) {
		err = joined(err, a.people.Verify(r.Context(), o.inst.live == nil))
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok && errors.Is(err, store.ErrTampered) {
		for _, fault := range several.Unwrap() {
			info.Faults = append(info.Faults, strings.TrimPrefix(fault.Error(), "transcript of "))
		}
		return info, nil
	}
	return info, err
}

// joined are the faults of two that were verified, in one list.
func joined(both ...error) error {
	var all []error
	for _, err := range both {
		if several, ok := err.(interface{ Unwrap() []error }); ok && errors.Is(err, store.ErrTampered) {
			all = append(all, several.Unwrap()...)
		} else {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

func (o *operator) acceptAccount(r *http.Request) (any, error) {
	a, err := o.inst.account(r.Context(), r.PathValue("account"))
	if err != nil {
		return nil, err
	}
	return done, a.store.Accept(r.Context())
}
