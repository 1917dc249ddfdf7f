package main

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"parley.im/parley/store"
)

// handleHolds registers the commands about holds. That one was set or ended is logged as
// every change by an operator is.
func (o *operator) handleHolds() {
	o.handle("PUT /v1/accounts/{account}/hold", o.setHold(true))
	o.handle("DELETE /v1/accounts/{account}/hold", o.setHold(false))
	o.handle("PUT /v1/accounts/{account}/conversations/{conversation}/hold", o.setHold(true))
	o.handle("DELETE /v1/accounts/{account}/conversations/{conversation}/hold", o.setHold(false))
}

func (o *operator) setHold(begin bool) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		a, err := o.inst.account(r.Context(), r.PathValue("account"))
		if err != nil {
			return nil, err
		}
		id := int64(0)
		if text := r.PathValue("conversation"); text != "" {
			if id, err = strconv.ParseInt(text, 10, 64); err != nil || id < 1 {
				return nil, refuse("not a conversation's number: %q", text)
			}
		}
		var in holdInfo
		if begin {
			if err := decode(r, &in); err != nil {
				return nil, err
			}
			if in.Until.IsZero() {
				in.Until = store.Forever
			}
			if !in.Until.After(o.inst.now()) {
				return nil, refuse("the hold would have ended on %s", in.Until.UTC().Format(time.DateTime))
			}
		}
		err = a.store.Hold(r.Context(), store.ConversationID(id), in.Until)
		if errors.Is(err, store.ErrNotFound) {
			return nil, missing("there is no conversation %d in account %s", id, a.id)
		}
		if err == nil && o.inst.retention != nil {
			o.inst.retention.changed(a)
		}
		return in, err
	}
}
