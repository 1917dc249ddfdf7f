package main

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
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
			} else {
				audit.Tell(r.Context(), "until", in.Until.UTC().Format(time.RFC3339))
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

// notHeld refuses to delete an account while anything of it is held.
func notHeld(ctx context.Context, a *account) error {
	held, err := a.store.Held(ctx, 0)
	if err != nil {
		return err
	}
	if held.After(a.inst.now()) {
		return withHint(refuse("account %s is %s", a.id, heldText(held)), "'parley account release %s' ends that", a.id)
	}
	for after := store.ConversationID(0); ; {
		some, err := a.store.Conversations(ctx, after, 1000)
		if err != nil || len(some) == 0 {
			return err
		}
		for _, s := range some {
			if after = s.ID; s.Held.After(a.inst.now()) && !s.Shredded {
				return withHint(refuse("conversation %d of account %s is %s", s.ID, a.id, heldText(s.Held)),
					"'parley conversation release -account %s %d' ends that", a.id, s.ID)
			}
		}
	}
}
