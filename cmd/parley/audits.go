package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"parley.im/parley/store/audit"
	"parley.im/parley/xmppd/web"
)

func auditCommands() []command {
	which := []option{
		configOption, setOption, oneAccount,
		{name: "installation", does: "what belongs to no account: accounts added and deleted, imports, what found no account"},
	}
	filters := []option{
		{name: "since", value: "TIME", does: "from then on, such as 2026-11-27T09:30:00Z"},
		{name: "until", value: "TIME", does: "before then"},
		{name: "actor", value: "ACTOR", does: "only what operator, key, agent or server did, or one of them, such as operator/1000"},
		{name: "action", value: "ACTION", does: "only this, such as agent.create, or a kind, such as webhook.*"},
	}
	return []command{
		{
			name:    "audit list",
			does:    "Lists who changed what, and who looked at what was said.",
			more:    "Records are kept for 183 days.",
			options: slices.Concat(which, filters, []option{jsonOption}),
			run:     auditList,
		},
		{
			name:    "audit export",
			does:    "Prints audit records as lines of JSON, each with its hash.",
			more:    "A hash is SHA-256 over the hash before it, as 32 bytes, and the record as it stands there.",
			options: slices.Concat(which, filters),
			run:     auditExport,
		},
		{
			name:    "audit verify",
			does:    "Goes through the chains of audit records, and through the signed heads, and tells where they break.",
			more:    "All accounts and the installation, unless one is named. Exits 1 if anything was changed, cut or written anew.",
			options: append(which[:len(which):len(which)], jsonOption),
			run:     auditVerify,
		},
	}
}

// auditPath is where the chosen log is.
func (c *call) auditPath(ctx context.Context, cl *client) (string, error) {
	if c.on("installation") {
		return "/v1/audit", nil
	}
	id, err := c.account(ctx, cl)
	return accountPath(id) + "/audit", err
}

// records calls do with what the options ask for, one after another.
func (c *call) records(ctx context.Context, do func(*auditInfo) error) error {
	return c.withClient(ctx, func(cl *client) error {
		path, err := c.auditPath(ctx, cl)
		if err != nil {
			return err
		}
		wanted := make(url.Values)
		for _, name := range []string{"since", "until", "actor", "action"} {
			if c.on(name) {
				wanted.Set(name, c.text(name))
			}
		}
		body, err := cl.send(ctx, "GET", path+"?"+wanted.Encode(), nil)
		if err != nil {
			return err
		}
		defer body.Close()
		lines := json.NewDecoder(body)
		for {
			var info auditInfo
			err := lines.Decode(&info)
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case err == nil && info.Failure != "":
				err = errors.New(info.Failure)
			case err == nil:
				err = do(&info)
			}
			if err != nil {
				return fmt.Errorf("read the audit log: %w", err)
			}
		}
	})
}

func auditExport(ctx context.Context, c *call) error {
	lines := json.NewEncoder(c.stdout)
	lines.SetEscapeHTML(false)
	return c.records(ctx, func(info *auditInfo) error { return lines.Encode(info) })
}

func auditList(ctx context.Context, c *call) error {
	list := make([]audit.Record, 0)
	err := c.records(ctx, func(info *auditInfo) error {
		var r audit.Record
		if err := json.Unmarshal(info.Record, &r); err != nil {
			return err
		}
		list = append(list, r)
		return nil
	})
	if err != nil {
		return err
	}
	if c.on("json") {
		return c.printJSON(list)
	}
	return c.table(func(w io.Writer) {
		for _, r := range list {
			who := strings.TrimSuffix(r.Actor.Kind+"/"+r.Actor.ID, "/")
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", r.N, r.At.Format(time.DateTime), line(who), line(r.Action),
				line(r.Object), line(r.Outcome), line(detailOf(&r)))
		}
	})
}

// detailOf is what else a record says, for people.
func detailOf(r *audit.Record) string {
	var s []string
	if r.Address != "local" {
		s = append(s, "from "+r.Address)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Detail)) {
		s = append(s, name+"="+r.Detail[name])
	}
	return strings.Join(s, " ")
}

func auditVerify(ctx context.Context, c *call) error {
	reports := make(map[string]*audit.Report) // "" is the installation's
	err := c.withClient(ctx, func(cl *client) error {
		paths := map[string]string{"": "/v1/audit"}
		if c.on("account") {
			paths = map[string]string{c.text("account"): accountPath(c.text("account")) + "/audit"}
		} else if !c.on("installation") {
			var accounts []web.AccountInfo
			if err := cl.do(ctx, "GET", "/v1/accounts", nil, &accounts); err != nil {
				return err
			}
			for _, a := range accounts {
				paths[a.ID] = accountPath(a.ID) + "/audit"
			}
		}
		for _, id := range sortedKeys(paths) {
			var r audit.Report
			if err := cl.do(ctx, "GET", paths[id]+"/verify", nil, &r); err != nil {
				return err
			}
			reports[id] = &r
		}
		return nil
	})
	if err != nil {
		return err
	}
	if c.on("json") {
		if err := c.printJSON(reports); err != nil {
			return err
		}
	}
	return c.judge(reports)
}

// judge says what was found, and makes an error of faults.
func (c *call) judge(reports map[string]*audit.Report) error {
	var faults []error
	for _, id := range sortedKeys(reports) {
		r, whose := reports[id], "account "+id
		if id == "" {
			whose = "the installation"
		}
		for _, fault := range r.Faults {
			faults = append(faults, fmt.Errorf("audit log of %s: %s", whose, fault))
		}
		if len(r.Faults) == 0 {
			c.say("%s: %d records from %d to %d, each follows from the one before; %d signed heads agree", whose, r.Records, r.First, r.Last, r.Heads)
		}
	}
	if len(faults) > 0 {
		return withHint(errors.Join(faults...), "compare with a copy: a backup, an export, or the heads that were sent out as security.audit_head")
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
