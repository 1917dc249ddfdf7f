package web

import "strings"

// A Role is what somebody may, the least first.
type Role int

// The roles. Whoever has one may do what those before it may.
const (
	nobody Role = iota
	Auditor
	Agent
	Supervisor
	Admin
	Owner
)

// Roles are the names of the roles, the one with the least rights first.
var Roles = []string{"auditor", "agent", "supervisor", "admin", "owner"}

// ParseRole is the role of that name, and whether there is one.
func ParseRole(name string) (Role, bool) {
	for i, r := range Roles {
		if r == name {
			return Role(i + 1), true
		}
	}
	return nobody, false
}

// Supervises says whether a role of that name is one to look after what agents do.
func Supervises(name string) bool {
	r, known := ParseRole(name)
	return known && r >= Supervisor
}

func (r Role) String() string {
	if r == nobody {
		return "nobody"
	}
	return Roles[r-1]
}

// A permission is what a route asks of its caller.
type permission struct {
	scope   string // such as "webhooks:read"
	role    Role   // at least
	audited bool   // changes something, or shows what people said or a secret
}

// kind is what the route is about.
func (p permission) kind() string {
	kind, _, _ := strings.Cut(p.scope, ":")
	return kind
}

// permissions is the table of who may do what, by the operation's name. What has no line
// is refused: New does not even begin (WCP-1).
var permissions = map[string]permission{
	"get-account":   {"account:read", Auditor, false},
	"get-secret":    {"secret:read", Owner, true}, // VIV-7
	"rotate-secret": {"secret:write", Owner, true},

	"get-settings":    {"settings:read", Auditor, false},
	"change-settings": {"settings:write", Owner, true}, // it may destroy what was said

	"get-desk":      {"desk:read", Supervisor, false},
	"change-desk":   {"desk:write", Admin, true},
	"get-widget":    {"widget:read", Auditor, false},
	"change-widget": {"widget:write", Admin, true},

	"get-key": {"key:read", Auditor, false},

	"list-agents":  {"agents:read", Auditor, false},
	"get-agent":    {"agents:read", Auditor, false},
	"create-agent": {"agents:write", Admin, true},
	"change-agent": {"agents:write", Admin, true},
	"delete-agent": {"agents:write", Admin, true},
	"set-password": {"credentials:write", Admin, true},

	"list-credentials":  {"credentials:read", Admin, false},
	"create-credential": {"credentials:write", Admin, true},
	"delete-credential": {"credentials:write", Admin, true},

	"list-sessions": {"sessions:read", Admin, false},
	"end-session":   {"sessions:write", Admin, true},

	"list-webhooks":   {"webhooks:read", Auditor, false},
	"get-webhook":     {"webhooks:read", Auditor, false},
	"create-webhook":  {"webhooks:write", Admin, true},
	"change-webhook":  {"webhooks:write", Admin, true},
	"delete-webhook":  {"webhooks:write", Admin, true},
	"rotate-webhook":  {"webhooks:write", Admin, true},
	"enable-webhook":  {"webhooks:write", Admin, true},
	"test-webhook":    {"webhooks:write", Admin, true},
	"replay-webhook":  {"webhooks:write", Admin, true},
	"list-deliveries": {"webhooks:read", Admin, true},

	"list-conversations": {"conversations:read", Supervisor, false},
	"get-conversation":   {"conversations:read", Supervisor, false},
	"list-records":       {"transcripts:read", Supervisor, true},
	"get-record":         {"transcripts:read", Supervisor, true},
	"get-transcript":     {"transcripts:read", Supervisor, true},

	"list-contacts":          {"contacts:read", Supervisor, false},
	"get-contact":            {"contacts:read", Supervisor, true}, // a form is something that was said
	"change-contact":         {"contacts:write", Supervisor, true},
	"get-contact-transcript": {"transcripts:read", Supervisor, true},
	"export-contact":         {"transcripts:read", Supervisor, true},
	"get-contact-file":       {"transcripts:read", Supervisor, true},
	"create-message":         {"contacts:write", Supervisor, true},
	"create-note":            {"contacts:write", Supervisor, true},
	"submit-contact":         {"contacts:write", Supervisor, true},
	"transfer-contact":       {"contacts:write", Supervisor, true},
	"close-contact":          {"contacts:write", Supervisor, true},

	"list-desk-agents": {"desk:read", Supervisor, false},
	"pause-agent":      {"desk:write", Supervisor, true},
	"ready-agent":      {"desk:write", Supervisor, true},

	"list-events": {"events:read", Supervisor, true},

	"list-bans":  {"bans:read", Supervisor, false},
	"create-ban": {"bans:write", Supervisor, true},
	"delete-ban": {"bans:write", Supervisor, true},

	"find-visitors": {"visitors:read", Supervisor, true},
	"get-visitor":   {"visitors:read", Supervisor, true},
	"erase-visitor": {"visitors:write", Admin, true},

	"list-keys":  {"keys:read", Admin, false},
	"create-key": {"keys:write", Admin, true},
	"delete-key": {"keys:write", Admin, true},
}

// Scopes are all that a key can be narrowed to.
func scopes() map[string]bool {
	all := make(map[string]bool)
	for _, p := range permissions {
		all[p.scope] = true
	}
	return all
}
