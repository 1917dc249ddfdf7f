package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"parley.im/parley/auth"
	"parley.im/parley/conf"
	"parley.im/parley/store"
)

// requestMax bounds what a command sends at once, imports aside.
const requestMax = 1 << 20

// An operator answers the operator's commands: JSON over HTTP, on the control
// socket of a running server or, when none runs, within the command itself.
type operator struct {
	inst *installation
	mux  *http.ServeMux
}

func newOperator(i *installation) *operator {
	o := &operator{inst: i, mux: http.NewServeMux()}
	o.handle("GET /v1/accounts", o.listAccounts)
	o.handle("POST /v1/accounts", o.addAccount)
	o.handle("GET /v1/accounts/{account}", o.showAccount)
	o.handle("PUT /v1/accounts/{account}/disabled", o.disableAccount)
	o.handle("DELETE /v1/accounts/{account}", o.deleteAccount)
	o.handle("POST /v1/accounts/{account}/reissue", o.reissueAccount)
	o.handle("POST /v1/accounts/{account}/rotate-token", o.rotateToken)

	o.handle("GET /v1/agents", o.listAgents)
	o.handle("POST /v1/agents", o.addAgent)
	o.handle("GET /v1/agents/{jid}", o.showAgent)
	o.handle("PUT /v1/agents/{jid}/password", o.setPassword)
	o.handle("PUT /v1/agents/{jid}/disabled", o.disableAgent)
	o.handle("DELETE /v1/agents/{jid}", o.deleteAgent)
	o.handle("POST /v1/import", o.importAgents)

	o.handle("GET /v1/accounts/{account}/webhooks", o.listWebhooks)
	o.handle("POST /v1/accounts/{account}/webhooks", o.addWebhook)
	o.handle("GET /v1/accounts/{account}/webhooks/{webhook}", o.showWebhook)
	o.handle("PATCH /v1/accounts/{account}/webhooks/{webhook}", o.changeWebhook)
	o.handle("DELETE /v1/accounts/{account}/webhooks/{webhook}", o.deleteWebhook)
	o.handle("POST /v1/accounts/{account}/webhooks/{webhook}/rotate", o.rotateWebhook)
	o.handle("POST /v1/accounts/{account}/webhooks/{webhook}/enable", o.enableWebhook)
	o.handle("POST /v1/accounts/{account}/webhooks/{webhook}/replay", o.replayWebhook)
	o.handle("POST /v1/accounts/{account}/webhooks/{webhook}/test", o.testWebhook)
	o.handle("GET /v1/accounts/{account}/webhooks/{webhook}/deliveries", o.listDeliveries)

	o.handle("GET /v1/accounts/{account}/conversations", o.listConversations)
	o.mux.HandleFunc("GET /v1/accounts/{account}/conversations/{conversation}", o.showConversation)
	return o
}

// ServeHTTP answers one command.
func (o *operator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.FormValue("secret") != "" || strings.Contains(r.URL.Path, "/conversations/") {
		uid, ok := r.Context().Value(peerKey{}).(uint32)
		if !ok {
			uid = uint32(os.Geteuid())
		}
		o.inst.log.Info("operator's command", "uid", uid, "method", r.Method, "path", r.URL.RequestURI())
	}
	o.mux.ServeHTTP(w, r)
}

// handle registers what answers with a value, or an error, as JSON.
func (o *operator) handle(pattern string, answer func(*http.Request) (any, error)) {
	o.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		v, err := answer(r)
		if err != nil {
			writeFailure(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v) // an error means that the peer is gone
	})
}

// A failure is an error as it travels to the command.
type failure struct {
	Text   string    `json:"error"`
	Hint   string    `json:"hint,omitempty"`
	Others []failure `json:"others,omitempty"` // where there are several
}

func newFailure(err error) failure {
	if faults, ok := errors.AsType[conf.Faults](err); ok && len(faults) > 0 {
		f := failure{Text: faults[0].Error(), Hint: faults[0].Hint}
		for _, other := range faults[1:] {
			f.Others = append(f.Others, failure{Text: other.Error(), Hint: other.Hint})
		}
		return f
	}
	return failure{Text: err.Error(), Hint: hintOf(err)}
}

// err is the failure as an error again.
func (f failure) err() error {
	if f.Others == nil {
		return withHint(errors.New(f.Text), "%s", f.Hint)
	}
	faults := conf.Faults{{Text: f.Text, Hint: f.Hint}}
	for _, other := range f.Others {
		faults = append(faults, &conf.Fault{Text: other.Text, Hint: other.Hint})
	}
	return faults
}

func writeFailure(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(statusOf(err))
	json.NewEncoder(w).Encode(newFailure(err))
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, store.ErrConflict):
		return http.StatusConflict
	case errors.Is(err, auth.ErrWeak), errors.Is(err, auth.ErrName), errors.Is(err, auth.ErrPassword), errors.Is(err, errRequest):
		return http.StatusUnprocessableEntity
	case errors.Is(err, store.ErrFull), errors.Is(err, store.ErrUnavailable):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// errRequest is in every error about what was asked for.
var errRequest = errors.New("refused")

// A refusal says why something is not done, and nothing more.
type refusal struct {
	text string
	is   error // what it counts as
}

func (e *refusal) Error() string { return e.text }
func (e *refusal) Unwrap() error { return e.is }

func refuse(format string, args ...any) error {
	return &refusal{fmt.Sprintf(format, args...), errRequest}
}

func conflict(format string, args ...any) error {
	return &refusal{fmt.Sprintf(format, args...), store.ErrConflict}
}

func missing(format string, args ...any) error {
	return &refusal{fmt.Sprintf(format, args...), store.ErrNotFound}
}

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
