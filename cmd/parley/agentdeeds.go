package main

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
	"parley.im/parley/xmppd"
	"parley.im/parley/xmppd/desk"
)

// agentCaller is an agent as the audit log has her.
func agentCaller(agent store.AgentID, from netip.Addr) audit.Caller {
	return audit.Caller{Actor: audit.Actor{Kind: audit.Agent, ID: strconv.FormatInt(int64(agent), 10)}, Address: from.String()}
}

// agentDoes keeps records of what an account's agents do with what others have.
func (s *server) agentDoes(account string) func(context.Context, xmppd.Deed, func(context.Context) error) error {
	return func(ctx context.Context, d xmppd.Deed, do func(context.Context) error) error {
		r := audit.Record{Action: d.Action, Object: d.Object}
		if r.Object == "" {
			r.Object = objectOf(account, "")
		}
		return s.inst.audited(audit.Called(ctx, agentCaller(d.Agent, d.From)), account, r, do)
	}
}

// ruledOut says whether an error is what the desk says to an agent who wants what can't be.
func ruledOut(err error) bool {
	return slices.ContainsFunc([]error{xmppd.ErrNotSupervisor, desk.ErrClosed, desk.ErrNotNow, desk.ErrUnknown}, func(rule error) bool { return errors.Is(err, rule) })
}
