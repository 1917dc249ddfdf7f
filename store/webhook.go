package store

import (
	"encoding/json"
	"strings"
	"time"
)

// MaxEndpoints is how many endpoints an account can have.
const MaxEndpoints = 50

// An Endpoint is where an account wants its events sent.
type Endpoint struct {
	ID       string // "wh_…"
	URL      string
	Events   []string // names and wildcards such as "agent.*"; empty is all
	Secret   string   // "whsec_…"; kept sealed
	Created  time.Time
	Disabled bool
	Why      string // why it is disabled
	// Cursor is how far the log has been read for this endpoint: every event up to it
	// was delivered, or stands in a Retry.
	Cursor Ordinal

	EndpointOptions
}

// Wants says whether the endpoint is to hear of the entry. A test is for the endpoint that
// it names, whatever else that one asked for; that one fails is for the others.
func (ep *Endpoint) Wants(e *Entry) bool {
	name := e.Kind.Event()
	switch {
	case name == "" || e.Locked:
		return false // nothing can be told: it counts as settled
	case e.Kind == KindWebhookTest:
		return named(e) == ep.ID
	case e.Kind == KindWebhookFailing && named(e) == ep.ID:
		return false
	}
	return matches(ep.Events, name)
}

// matches says whether a list of event names and wildcards such as "agent.*"
// takes in the event. The empty list takes in all.
func matches(list []string, name string) bool {
	for _, want := range list {
		prefix, wild := strings.CutSuffix(want, "*")
		switch {
		case want == name, want == "*":
			return true
		case wild && strings.HasSuffix(prefix, ".") && strings.HasPrefix(name, prefix):
			return true
		}
	}
	return len(list) == 0
}

// named is the endpoint that a record is about.
func named(e *Entry) string {
	var data struct {
		Endpoint string `json:"endpoint"`
	}
	if json.Unmarshal(e.Data, &data) != nil {
		return ""
	}
	return data.Endpoint
}

// EndpointOptions are what an endpoint may want otherwise. They are kept sealed.
type EndpointOptions struct {
	Description string `json:",omitempty"` // for people
	Thin        bool   `json:",omitempty"` // who wrote to whom, without what was said
	Clear       bool   `json:",omitempty"` // what was said may go over plain http: the owner has confirmed it
	InOrder     bool   `json:",omitempty"` // the events of a conversation one after the other
	Vivocha     bool   `json:",omitempty"` // bodies as receivers of Vivocha's webhooks know them
	Hub         bool   `json:",omitempty"` // the header x-hub-signature, too
	Auth        EndpointAuth
	Again       time.Time `json:",omitzero"` // when something was last asked for again; a change makes it known

	SignKey SignKey `json:",omitempty"` // signs what is sent, besides the secret

	// Previous and PreviousKey are the secret and the key before these. What is sent is
	// signed with them, too, until then.
	Previous      string    `json:",omitempty"`
	PreviousKey   SignKey   `json:",omitempty"`
	PreviousUntil time.Time `json:",omitzero"`
}

// An EndpointAuth is how a receiver wants to know the sender besides the signature
// (RFC 7617, RFC 6750). The zero value is not at all.
type EndpointAuth struct {
	User, Password string `json:",omitempty"` // Basic
	Bearer         string `json:",omitempty"`
}

// A Retry is an event that an endpoint did not take yet.
type Retry struct {
	Endpoint string
	Ordinal  Ordinal
	Attempt  int       // attempts made so far
	Next     time.Time // when to try again; zero when given up (a dead letter)
	First    time.Time // when it was tried first
}

// An Attempt is one try to deliver, as the delivery log keeps it: an endpoint's newest 10,000.
type Attempt struct {
	ID           string // "dlv_…"
	Endpoint     string
	Ordinal      Ordinal
	Conversation ConversationID
	Event        string
	Number       int // 1 for the first
	At           time.Time
	Status       int // of HTTP; 0 when there was no answer
	Took         time.Duration
	Err          string // what went wrong, for people; never a secret or a body
	Answer       []byte // first 4 KiB of the answer, kept sealed with the conversation's secret
}

// A Progress is what one round of an endpoint's deliveries came to, kept in one
// transaction: the attempts for the log, the retries to put in place (those with
// the same endpoint and ordinal are replaced), those that are settled, and how far
// the log has been read.
type Progress struct {
	Endpoint string
	Attempts []Attempt
	Retries  []Retry
	Settled  []Ordinal
	Cursor   Ordinal // 0 leaves it
}
