package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"parley.im/parley/store/audit"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/web"
)

// A deed is what the audit log calls an operator's command. Those that concern one account
// are the REST API's, which has a table of its own (package web, permissions).
type deed struct {
	action string   // of two with a | between, the second is for {"disabled": false}
	tell   []string // fields of the request whose values the record holds
	wide   bool     // it goes into the installation's log, although it names an account
}

// deeds are the commands that have a record, by their patterns. One that changes something
// and has no line here is called by its pattern: nothing goes without a record. WCP-10
var deeds = map[string]deed{
	"POST /v1/accounts":                   {action: "account.create", tell: []string{"id", "domain", "profile"}},
	"PUT /v1/accounts/{account}/disabled": {action: "account.disable|account.enable"},
	"DELETE /v1/accounts/{account}":       {action: "account.delete", wide: true}, // its own log goes with it
	"POST /v1/accounts/{account}/reissue": {action: "account.reissue"},
	"POST /v1/import":                     {action: "agents.import"},

	"PUT /v1/accounts/{account}/hold":                                 {action: "account.hold"},
	"DELETE /v1/accounts/{account}/hold":                              {action: "account.release"},
	"PUT /v1/accounts/{account}/conversations/{conversation}/hold":    {action: "conversation.hold"},
	"DELETE /v1/accounts/{account}/conversations/{conversation}/hold": {action: "conversation.release"},

	// It changes nothing; but that somebody has looked is worth proving later.
	"POST /v1/accounts/{account}/verify": {action: "account.verify"},
	"POST /v1/accounts/{account}/accept": {action: "account.accept"},

	"POST /v1/keys/root":                     {action: "rootkey.rotate"}, // tells nothing of the key
	"POST /v1/keys/copy":                     {action: "rootkey.confirm-copy"},
	"POST /v1/accounts/{account}/rotate-key": {action: "account.rotate-key"},
	"POST /v1/backups":                       {action: "backup.create", tell: []string{"full"}},
}

// recorded lets do answer a request that matched pattern, with a record around it if it
// changes something. The error is do's, or why there can be no record: then nothing was
// done.
func (o *operator) recorded(pattern string, r *http.Request, do func(*http.Request) error) error {
	if r.Method == http.MethodGet {
		return do(r)
	}
	d, known := deeds[pattern]
	if !known {
		d.action = pattern
	}
	fields := peek(r)
	account := r.PathValue("account")
	about := ""
	if n := r.PathValue("conversation"); n != "" {
		about = web.Prefix + "conversations/" + n
	}
	rec := audit.Record{Action: d.name(fields), Object: objectOf(account, about), Detail: d.details(fields)}
	if d.wide || o.inst.config().At(account) == "" {
		account = ""
	}
	ctx := audit.Called(r.Context(), operatorOf(peerOf(r.Context())))
	return o.inst.audited(ctx, account, rec, func(ctx context.Context) error { return do(r.WithContext(ctx)) })
}

// audited keeps the record of do around doing it, in the log of an account; "" is the
// installation's. While do runs, audit.About and audit.Tell add to the record. Whoever
// answers commands, by whatever way they came, calls this.
func (i *installation) audited(ctx context.Context, account string, r audit.Record, do func(context.Context) error) error {
	log, err := i.auditLog(account)
	if err != nil {
		return err
	}
	who, _ := audit.CallerOf(ctx)
	r.Actor, r.Address = who.Actor, who.Address
	e, err := log.Begin(r)
	if err != nil {
		return err
	}
	outcome := audit.Failed // unless do returns
	defer func() {
		if outcome == audit.Failed && err == nil {
			i.finished(account, e, outcome)
		}
	}()
	err = do(audit.With(ctx, e))
	switch {
	case err == nil:
		outcome = audit.Done
	case refusedBy(err):
		outcome = audit.Refused
	}
	return errors.Join(err, i.finished(account, e, outcome))
}

func (i *installation) finished(account string, e *audit.Entry, outcome string) error {
	err := e.Finish(outcome)
	i.log.Info("audited", "account", account, "actor", e.Actor.Kind+"/"+e.Actor.ID, "action", e.Action, "object", e.Object, "outcome", outcome)
	return err
}

// refusedBy says whether an error is a rule's, not ours.
func refusedBy(err error) bool {
	return ruledOut(err) || web.RefusalOf(err).Status < http.StatusInternalServerError
}

// operatorOf is a user who spoke through the control socket, or typed a command that runs here.
func operatorOf(uid uint32) audit.Caller {
	return audit.Caller{Actor: audit.Actor{Kind: audit.Operator, ID: strconv.FormatUint(uint64(uid), 10)}, Address: "local"}
}

// name is the deed's, for what the request asks for.
func (d *deed) name(fields map[string]json.RawMessage) string {
	yes, no, two := strings.Cut(d.action, "|")
	if two && string(fields["disabled"]) == "false" {
		return no
	}
	return yes
}

// details are the values that the record may hold.
func (d *deed) details(fields map[string]json.RawMessage) map[string]string {
	m := make(map[string]string)
	for _, name := range d.tell {
		var v any
		if json.Unmarshal(fields[name], &v) == nil && v != nil && v != false {
			m[name] = fmt.Sprint(v)
		}
	}
	return m
}

// peek reads a request's JSON and leaves it to be read again. What is no JSON object has
// no fields.
func peek(r *http.Request) map[string]json.RawMessage {
	if r.URL.Path == "/v1/import" || r.Body == nil {
		return nil // lines of people
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, requestMax+1))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), failing{err}, r.Body), r.Body}
	var fields map[string]json.RawMessage
	if json.Unmarshal(text, &fields) != nil {
		return nil
	}
	return fields
}

// failing is a reader that ends with an error, if there is one.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

var plainRef = regexp.MustCompile(`^((wh|ak)_[a-z0-9_-]{1,100}|ban_[A-Z2-7]{1,40}|[pv]_[a-z2-7]{1,40}|[0-9]{1,19}|[a-z0-9-]{1,32})$`)

// refs are what paths of the API are about, by their first part.
var refs = map[string]string{"webhooks": "webhook", "conversations": "conversation", "keys": "key", "agents": "agent", "credentials": "agent", "bans": "ban", "visitors": "visitor", "contacts": "contact"}

// objectOf is what a path of the API is about, as long as that is a reference: what somebody
// typed may be anything, and a name is not for the log. Agents' handlers say who it is.
func objectOf(account, path string) string {
	parts := strings.Split(strings.TrimPrefix(path, web.Prefix), "/")
	kind := refs[parts[0]]
	switch {
	case kind == "agent" && len(parts) > 1, kind == "contact" && len(parts) > 1 && !contact.IsAddress(parts[1]):
		return kind
	case kind != "" && len(parts) > 1:
		if plainRef.MatchString(parts[1]) {
			return kind + "/" + parts[1]
		}
		return kind
	case plainRef.MatchString(account):
		return "account/" + account
	}
	return "account"
}

// auditLog opens the audit log of an account; "" is the installation's.
func (i *installation) auditLog(account string) (*audit.Log, error) {
	i.auditing.Lock()
	defer i.auditing.Unlock()
	if l := i.audits[account]; l != nil {
		return l, nil
	}
	f := i.config()
	dir := f.Data
	if account != "" {
		dir = dataDir(f, account)
	}
	l, err := audit.Open(audit.Config{Dir: dir, Account: account, Now: i.now, Log: i.log.With("account", account)})
	if err != nil {
		return nil, err
	}
	if i.audits == nil {
		i.audits = make(map[string]*audit.Log)
	}
	i.audits[account] = l
	return l, nil
}

// auditForget closes the log of an account that is deleted.
func (i *installation) auditForget(account string) error {
	i.auditing.Lock()
	defer i.auditing.Unlock()
	l := i.audits[account]
	delete(i.audits, account)
	if l == nil {
		return nil
	}
	return l.Forget()
}

// closeAudits closes all audit logs. It may be called twice.
func (i *installation) closeAudits() (err error) {
	i.auditing.Lock()
	defer i.auditing.Unlock()
	for _, l := range i.audits {
		err = errors.Join(err, l.Close())
	}
	i.audits = nil
	return err
}

// auditCount is the number of records since the start.
func (i *installation) auditCount() (n int64) {
	i.auditing.Lock()
	defer i.auditing.Unlock()
	for _, l := range i.audits {
		n += l.Count()
	}
	return n
}
