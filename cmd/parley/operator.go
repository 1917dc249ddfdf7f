package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"

	"parley.im/parley/conf"
	"parley.im/parley/xmppd/web"
)

// requestMax bounds what a command sends at once, imports aside.
const requestMax = 1 << 20

// An operator answers the operator's commands: JSON over HTTP, on the control
// socket of a running server or, when none runs, within the command itself. What
// concerns one account is the REST API's to answer.
type operator struct {
	inst *installation
	mux  *http.ServeMux
}

func newOperator(i *installation) *operator {
	o := &operator{inst: i, mux: http.NewServeMux()}
	o.handle("GET /v1/accounts", o.listAccounts)
	o.handle("POST /v1/accounts", o.addAccount)
	o.handle("PUT /v1/accounts/{account}/disabled", o.disableAccount)
	o.handle("DELETE /v1/accounts/{account}", o.deleteAccount)
	o.handle("POST /v1/accounts/{account}/reissue", o.reissueAccount)
	o.handle("POST /v1/import", o.importAgents)
	o.handle("GET /v1/audit/verify", o.verifyAudit)
	o.handle("GET /v1/accounts/{account}/audit/verify", o.verifyAudit)
	o.stream("GET /v1/audit", o.listAudit)
	o.stream("GET /v1/accounts/{account}/audit", o.listAudit)

	o.handleHolds()
	o.handleVerify()
	o.handleKeys()
	o.mux.HandleFunc("/v1/accounts/{account}/{rest...}", func(w http.ResponseWriter, r *http.Request) {
		a, err := i.account(r.Context(), r.PathValue("account"))
		o.pass(w, r, a, err)
	})
	o.mux.HandleFunc("/v1/domains/{domain}/{rest...}", func(w http.ResponseWriter, r *http.Request) {
		a, err := i.ofDomain(r.Context(), r.PathValue("domain"))
		o.pass(w, r, a, err)
	})
	o.keepBackups()
	return o
}

// ServeHTTP answers one command.
func (o *operator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !web.Straight(r.URL) { // the mux would send the command to what it takes this for
		writeFailure(w, missing("there is no %q", r.URL.Path))
		return
	}
	o.mux.ServeHTTP(w, r)
}

// stream registers what writes its answer itself.
func (o *operator) stream(pattern string, answer func(http.ResponseWriter, *http.Request) error) {
	o.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := o.recorded(pattern, r, func(r *http.Request) error { return answer(w, r) }); err != nil {
			writeFailure(w, err)
		}
	})
}

// peerOf is the user who gave a command.
func peerOf(ctx context.Context) uint32 {
	if uid, ok := ctx.Value(peerKey{}).(uint32); ok {
		return uid
	}
	return uint32(os.Geteuid())
}

// pass lets the API answer for an account.
func (o *operator) pass(w http.ResponseWriter, r *http.Request, a *account, err error) {
	if err != nil {
		writeFailure(w, err)
		return
	}
	o.inst.api.Operate(w, r, a.web(), peerOf(r.Context()), web.Prefix+r.PathValue("rest"))
}

// handle registers what answers with a value, or an error, as JSON.
func (o *operator) handle(pattern string, answer func(*http.Request) (any, error)) {
	o.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var v any
		err := o.recorded(pattern, r, func(r *http.Request) (err error) {
			v, err = answer(r)
			return err
		})
		if err != nil {
			writeFailure(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v) // an error means that the peer is gone
	})
}

// writeFailure answers with an error as the API does.
func writeFailure(w http.ResponseWriter, err error) {
	r := *web.RefusalOf(err)
	r.Text, r.Hint = err.Error(), hintOf(err)
	if faults, ok := errors.AsType[conf.Faults](err); ok && len(faults) > 0 {
		r.Text, r.Hint = faults[0].Error(), faults[0].Hint
		for _, other := range faults[1:] {
			r.Others = append(r.Others, web.Fault{Text: other.Error(), Hint: other.Hint})
		}
	}
	r.Write(w)
}

// failureOf is such an answer as an error again.
func failureOf(r *web.Refusal) error {
	if r.Others == nil {
		return withHint(errors.New(r.Text), "%s", r.Hint)
	}
	faults := conf.Faults{{Text: r.Text, Hint: r.Hint}}
	for _, other := range r.Others {
		faults = append(faults, &conf.Fault{Text: other.Text, Hint: other.Hint})
	}
	return faults
}

func refuse(format string, args ...any) error   { return web.Refuse(web.Invalid, format, args...) }
func conflict(format string, args ...any) error { return web.Refuse(web.Conflict, format, args...) }
func missing(format string, args ...any) error  { return web.Refuse(web.NotFound, format, args...) }

// decode reads a request's JSON.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, requestMax))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return refuse("not a request as it should be")
	}
	return nil
}

// done answers what has no more to say.
var done = struct {
	Done bool `json:"done"`
}{true}
