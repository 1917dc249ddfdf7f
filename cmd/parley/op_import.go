package main

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"mellium.im/xmpp/jid"

	"parley.im/parley/auth"
	"parley.im/parley/store"
	"parley.im/parley/store/audit"
	"parley.im/parley/xmppd/web"
)

const (
	importBatch   = 1000     // agents in one transaction
	importLineMax = 16 << 10 // bytes in a line
)

// An importResult says what came of an import.
type importResult struct {
	Imported int           `json:"imported"`
	Faults   []importFault `json:"faults"`
}

type importFault struct {
	Line int    `json:"line"`
	Text string `json:"text"`
}

// An importing is one import on its way.
type importing struct {
	o        *operator
	noPolicy bool
	result   importResult
}

// A newcomer is one line of an import.
type newcomer struct {
	line       int
	account    *account
	name       string
	password   string
	credential store.Credential
	err        error
}

// importAgents takes lines of a JID, a tab and a password.
func (o *operator) importAgents(r *http.Request) (any, error) {
	im := &importing{o: o, noPolicy: r.FormValue("no_policy") != "", result: importResult{Faults: []importFault{}}}
	if im.noPolicy {
		o.inst.log.Info("import without policy")
		audit.Tell(r.Context(), "no_policy", "true")
	}
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, importLineMax)
	var batch []newcomer
	n := 0
	for lines.Scan() {
		n++
		if lines.Text() == "" {
			continue
		}
		batch = append(batch, im.newcomer(r.Context(), n, lines.Text()))
		if len(batch) == importBatch {
			if err := im.keep(r.Context(), batch); err != nil {
				return nil, err
			}
			batch = batch[:0]
		}
	}
	if err := im.keep(r.Context(), batch); err != nil {
		return nil, err
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		im.result.Faults = append(im.result.Faults, importFault{n + 1, "the line is too long; nothing after it was read"})
	} else if err != nil {
		return nil, err
	}
	audit.Tell(r.Context(), "imported", strconv.Itoa(im.result.Imported))
	return im.result, nil
}

func (im *importing) newcomer(ctx context.Context, n int, line string) newcomer {
	address, password, ok := strings.Cut(strings.TrimSuffix(line, "\r"), "\t")
	if !ok {
		return newcomer{line: n, err: refuse("want an address, a tab and a password")}
	}
	a, name, err := im.o.named(ctx, address)
	if err == nil {
		err = web.Reserved(name)
	}
	return newcomer{line: n, account: a, name: name, password: password, err: err}
}

// keep hashes a batch's passwords on all cores and adds its agents, those of each
// account in one transaction.
func (im *importing) keep(ctx context.Context, batch []newcomer) error {
	im.hash(ctx, batch)
	byAccount := make(map[*account][]*newcomer)
	for i := range batch {
		if n := &batch[i]; n.err == nil {
			byAccount[n.account] = append(byAccount[n.account], n)
		}
	}
	for a, list := range byAccount {
		if err := im.add(ctx, a, list); err != nil {
			return err
		}
	}
	for _, n := range batch {
		if n.err != nil {
			im.result.Faults = append(im.result.Faults, importFault{n.line, n.err.Error()})
		}
	}
	return ctx.Err()
}

func (im *importing) hash(ctx context.Context, batch []newcomer) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(batch) || ctx.Err() != nil {
					return
				}
				if n := &batch[i]; n.err == nil {
					n.credential, n.err = im.hashOne(ctx, n)
				}
			}
		})
	}
	wg.Wait()
}

func (im *importing) hashOne(ctx context.Context, n *newcomer) (store.Credential, error) {
	if !im.noPolicy {
		if err := n.account.auth.CheckPassword(n.name, n.password); err != nil {
			return store.Credential{}, err
		}
	}
	v, err := n.account.auth.Verifier(ctx, n.name, n.password)
	return store.Credential{Scope: "xmpp", Label: web.PasswordLabel, Created: im.o.inst.now(), Verifier: v}, err
}

// add adds the agents of one account and notes which were there already.
func (im *importing) add(ctx context.Context, a *account, list []*newcomer) error {
	names := make([]string, len(list))
	credentials := make([]store.Credential, len(list))
	for i, n := range list {
		names[i], credentials[i] = n.name, n.credential
	}
	errs, err := a.store.ImportAgents(ctx, names, "agent", credentials)
	if err != nil {
		return err
	}
	for i, n := range list {
		if n.err = errs[i]; errors.Is(n.err, store.ErrConflict) {
			n.err = refuse("there is an agent %s@%s already", n.name, a.domain)
		}
		if n.err != nil {
			continue
		}
		im.result.Imported++
		if im.o.inst.live == nil {
			continue
		}
		g, err := a.store.Agent(ctx, n.name)
		if err != nil {
			return err
		}
		im.o.inst.live.AgentAdded(a.id, g)
	}
	return nil
}

// named finds the account and the name that a bare JID means.
func (o *operator) named(ctx context.Context, text string) (*account, string, error) {
	j, err := parseAgent(text)
	if err != nil {
		return nil, "", err
	}
	name, err := auth.PrepareName(j.Localpart())
	if err != nil {
		return nil, "", err
	}
	a, err := o.inst.ofDomain(ctx, j.Domainpart())
	return a, name, err
}

// parseAgent reads an agent's address.
func parseAgent(text string) (jid.JID, error) {
	j, err := jid.Parse(text)
	if err != nil || j.Localpart() == "" || j.Resourcepart() != "" {
		return jid.JID{}, withHint(refuse("not an agent's address: %q", text), "such as anna@desk.example")
	}
	return j, nil
}
