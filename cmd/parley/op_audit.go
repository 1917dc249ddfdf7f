package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
)

// An auditInfo is one record as it is listed and exported: the record itself is canonical
// JSON, as the hash was made of it.
type auditInfo struct {
	Hash   string          `json:"hash"`
	Record json.RawMessage `json:"record"`
	// Failure is why nothing follows that should.
	Failure string `json:"error,omitempty"`
}

// auditOf is the log that a request asks for: an account's, or the installation's.
func (o *operator) auditOf(r *http.Request) (*audit.Log, error) {
	id := r.PathValue("account")
	if id != "" {
		if _, err := o.inst.account(r.Context(), id); err != nil {
			return nil, err
		}
	}
	return o.inst.auditLog(id)
}

// listAudit answers with one line of JSON for each record that is wanted.
func (o *operator) listAudit(w http.ResponseWriter, r *http.Request) error {
	f := audit.Filter{Actor: r.FormValue("actor"), Action: r.FormValue("action")}
	for name, t := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		text := r.FormValue(name)
		if text == "" {
			continue
		}
		var err error
		if *t, err = time.Parse(time.RFC3339, text); err != nil {
			return refuse("not a time such as 2026-11-27T09:30:00Z: %q", text)
		}
	}
	l, err := o.auditOf(r)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false) // a record's bytes are what was hashed
	begun := false
	err = l.Read(f, func(li *audit.Line) error {
		begun = true
		return lines.Encode(auditInfo{Hash: li.Hash.String(), Record: li.Text})
	})
	if err != nil && begun {
		lines.Encode(auditInfo{Failure: err.Error()}) // an error means that the peer is gone
		return nil
	}
	return err
}

// verifyAudit goes through the chain, and through the heads that the account's log holds.
func (o *operator) verifyAudit(r *http.Request) (any, error) {
	l, err := o.auditOf(r)
	if err != nil {
		return nil, err
	}
	var heads []audit.Head
	var faults []string
	if id := r.PathValue("account"); id != "" {
		a, err := o.inst.account(r.Context(), id)
		if err != nil {
			return nil, err
		}
		if heads, faults, err = a.auditHeads(r.Context()); err != nil {
			return nil, err
		}
	}
	report, err := l.Verify(heads)
	if err == nil {
		report.Faults = append(report.Faults, faults...)
	}
	return report, err
}

// auditHeads are the heads in the account's log, and what is wrong with them.
func (a *account) auditHeads(ctx context.Context) (heads []audit.Head, faults []string, err error) {
	key, err := a.auditKey(ctx)
	if err != nil {
		return nil, nil, err
	}
	err = a.store.Happened(ctx, 0, a.store.Newest(), func(e *store.Entry) error {
		if e.Kind != store.KindAuditHead || e.Locked {
			return nil
		}
		var data struct{ Head audit.Head }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			faults = append(faults, fmt.Sprintf("event %d is no head: %v", e.Ordinal, err))
			return nil
		}
		if err := data.Head.Check(key.Public().(ed25519.PublicKey)); err != nil {
			faults = append(faults, err.Error())
			return nil
		}
		heads = append(heads, data.Head)
		return nil
	})
	return heads, faults, err
}

// auditKey signs the account's heads.
func (a *account) auditKey(ctx context.Context) (ed25519.PrivateKey, error) {
	seed, err := a.store.Secret(ctx, "audit", ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

const (
	headEvery   = 24 * time.Hour
	headLook    = time.Hour
	headFirst   = time.Minute  // after a start, which has other things to do
	headSetting = "audit.head" // when an account's head was signed last
)

// keepAudits signs each account's head once a day and removes records that are too old,
// until ctx ends.
func (s *server) keepAudits(ctx context.Context) {
	t := time.NewTimer(headFirst)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			t.Reset(headLook)
		}
		if err := s.inst.expireAudit(""); err != nil {
			s.log.Error("the audit log is not looked after", "err", err)
		}
		for _, a := range s.inService() {
			if err := a.daily(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("the audit log is not looked after", "account", a.id, "err", err)
			}
		}
	}
}

// daily signs a head, if the last one is a day old: an account's first, a day after the
// first look.
func (a *account) daily(ctx context.Context) error {
	now := a.inst.now()
	text, err := a.store.Setting(ctx, headSetting)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	last, err := time.Parse(time.RFC3339, text)
	// A clock that was a day ahead must not keep heads away for longer than that.
	if err == nil && now.Sub(last) < headEvery && last.Sub(now) < headEvery {
		return nil
	}
	if err == nil {
		if err := errors.Join(a.inst.expireAudit(a.id), a.signHead(ctx)); err != nil {
			return err
		}
	}
	return a.store.SetSetting(ctx, headSetting, now.UTC().Format(time.RFC3339))
}

// signHead makes an event of the log's newest hash, so that endpoints and mail carry it
// outside.
func (a *account) signHead(ctx context.Context) error {
	l, err := a.inst.auditLog(a.id)
	if err != nil {
		return err
	}
	key, err := a.auditKey(ctx)
	if err != nil {
		return err
	}
	data, err := json.Marshal(map[string]audit.Head{"head": l.Sign(key, int64(a.store.Newest()))})
	if err == nil {
		_, err = store.Journalize(ctx, a.store, store.KindAuditHead, data, a.inst.now())
	}
	return err
}

// expireAudit removes what is older than 183 days, if there is a log at all.
func (i *installation) expireAudit(account string) error {
	dir := i.config().Data
	if account != "" {
		dir = dataDir(i.config(), account)
	}
	if !audit.Exists(dir) {
		return nil
	}
	l, err := i.auditLog(account)
	if err != nil {
		return err
	}
	return l.Expire()
}
