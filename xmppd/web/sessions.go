package web

import (
	"context"
	"net/http"
	"time"

	"parley.im/parley/store/audit"
)

// A SessionInfo is one of an agent's sessions that live: a device of hers that is signed in.
type SessionInfo struct {
	ID         string    `json:"id"`
	Resource   string    `json:"resource"`
	Since      time.Time `json:"since,omitzero" doc:"When it began; missing if before the server's start."`
	Connected  bool      `json:"connected" doc:"Whether it has a connection: one that has lost it can be resumed for a while."`
	From       string    `json:"from,omitempty" doc:"The address that it comes from."`
	TLS        string    `json:"tls,omitempty" doc:"Version and cipher suite of its connection."`
	Software   string    `json:"software,omitempty" doc:"What the client says that it is."`
	Device     string    `json:"device,omitempty" doc:"What the client says that it runs on."`
	Credential string    `json:"credential,omitempty" doc:"The id of what it signed in with; missing if that was before the server's start."`
}

type SessionPath struct {
	AgentPath
	Session string `path:"session" maxLength:"64" doc:"The session's id."`
}

func (a *API) sessionRoutes() {
	const list = "/v1/agents/{jid}/sessions"
	handle(a, route{id: "list-sessions", method: http.MethodGet, path: list, does: "List an agent's sessions"}, a.listSessions)
	handle(a, route{id: "end-session", method: http.MethodDelete, path: list + "/{session}", does: "End a session; its client may sign in again"}, a.endSession)
}

func (a *API) listSessions(ctx context.Context, c *caller, in *AgentPath) (*body[List[SessionInfo]], error) {
	g, err := c.agentOf(ctx, in.JID)
	live := a.inst.Live()
	if err != nil || live == nil {
		return whole[SessionInfo](nil), err
	}
	return whole(live.Sessions(c.ID, g)), nil
}

func (a *API) endSession(ctx context.Context, c *caller, in *SessionPath) (*struct{}, error) {
	g, err := a.changeable(ctx, c, in.JID, IfMatch{})
	if err != nil {
		return nil, err
	}
	if live := a.inst.Live(); live == nil || !live.EndSession(c.ID, g, in.Session) {
		return nil, missing("%s@%s has no session %q", g.Name, c.Domain, in.Session)
	}
	audit.Tell(ctx, "session", in.Session)
	return nil, nil
}
