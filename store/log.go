package store

import "time"

// An Ordinal is a record's place in its account's log. The first is 1; the
// numbers grow with every record and are never used again. Ordinals of records
// that were destroyed stay good for paging.
type Ordinal int64

// A ConversationID names a conversation within its account.
type ConversationID int64

// An AgentID is an agent's internal identity. It is never used again, so that
// an agent who is created anew under an old name owns nothing of the old one.
// Zero is the server itself.
type AgentID int64

// A Kind says what a record is. The numbers are part of the format on disk and
// of the additional data that seals a record; they never change.
type Kind uint8

// The kinds of records. Each is also an event; Event gives its name.
const (
	KindMessage          Kind = 1
	KindAgentAvailable   Kind = 2
	KindAgentUnavailable Kind = 3
	KindLoginFailed      Kind = 4
	KindWebhookTest      Kind = 5
	KindWebhookDisabled  Kind = 6
	KindPolicyChanged    Kind = 7
	KindTokenRotated     Kind = 8

	KindCertificateExpiring Kind = 16
	KindAuditHead           Kind = 17
	KindKeyUnavailable      Kind = 10
	KindKeyShredded         Kind = 12
	KindBackupStale         Kind = 13
	KindWebhookFailing      Kind = 18

	// Of contacts.
	KindContactCreated     Kind = 20
	KindContactQueued      Kind = 21
	KindContactOffered     Kind = 22
	KindContactDeclined    Kind = 23
	KindContactMissed      Kind = 24
	KindContactAssigned    Kind = 25
	KindContactTransferred Kind = 26
	KindContactUpdated     Kind = 27
	KindContactClosed      Kind = 28
	KindContactFinalized   Kind = 29
	KindContactRated       Kind = 30
	KindTranscriptSent     Kind = 31
	KindOfflineMessage     Kind = 32
	KindMessageDelivered   Kind = 33
	KindMessageRead        Kind = 34
	KindAttachmentCreated  Kind = 36
	KindAttachmentRejected Kind = 37
	KindAgentPaused        Kind = 38
	KindVisitorIdentified  Kind = 44
	KindVisitorBanned      Kind = 45
	KindVisitorErased      Kind = 46
)

var events = map[Kind]string{
	KindMessage:          "message.created",
	KindAgentAvailable:   "agent.available",
	KindAgentUnavailable: "agent.unavailable",
	KindLoginFailed:      "security.login_failed",
	KindWebhookTest:      "webhook.test",
	KindWebhookDisabled:  "webhook.disabled",
	KindPolicyChanged:    "security.policy_changed",
	KindTokenRotated:     "security.token_rotated",

	KindCertificateExpiring: "certificate.expiring",
	KindAuditHead:           "security.audit_head",
	KindKeyUnavailable:      "key.unavailable",
	KindKeyShredded:         "key.shredded",
	KindBackupStale:         "backup.stale",
	KindWebhookFailing:      "webhook.failing",

	KindContactCreated:     "contact.created",
	KindContactQueued:      "contact.queued",
	KindContactOffered:     "contact.offered",
	KindContactDeclined:    "contact.declined",
	KindContactMissed:      "contact.missed",
	KindContactAssigned:    "contact.assigned",
	KindContactTransferred: "contact.transferred",
	KindContactUpdated:     "contact.updated",
	KindContactClosed:      "contact.closed",
	KindContactFinalized:   "contact.finalized",
	KindContactRated:       "contact.rated",
	KindTranscriptSent:     "transcript.sent",
	KindOfflineMessage:     "offline_message.created",
	KindMessageDelivered:   "message.delivered",
	KindMessageRead:        "message.read",
	KindAttachmentCreated:  "attachment.created",
	KindAttachmentRejected: "attachment.rejected",
	KindAgentPaused:        "agent.paused",
	KindVisitorIdentified:  "visitor.identified",
	KindVisitorBanned:      "visitor.banned",
	KindVisitorErased:      "visitor.erased",
}

// Event is the name under which webhooks tell of such a record, or "" if the
// kind is unknown.
func (k Kind) Event() string { return events[k] }

// A Nature says what kind of conversation it is. The numbers never change.
type Nature uint8

// The natures of conversations.
const (
	// Journal is the one conversation of each account that holds what belongs
	// to no conversation of people: who came and went, failed sign-ins.
	Journal Nature = 1
	// Direct is two agents talking.
	Direct Nature = 2
	// Support is a visitor's contact.
	Support Nature = 3
)

// A Conversation is an open conversation: its secret is at hand, so that
// appending to it waits for nothing. It is got from the Account and may be held
// as long as it is of use; all who hold it hold the same one.
type Conversation interface {
	ID() ConversationID
	Nature() Nature
}

// An Op appends one record.
type Op struct {
	Conversation Conversation
	Kind         Kind
	Actor        AgentID   // who did it
	At           time.Time // kept in milliseconds
	Data         []byte    // what is sealed: an encoded Message, or JSON of an event. Not kept after Done.

	// RepeatID and Content let the engine notice what a client sends again after a
	// cut: the same actor, conversation, id and content within ten minutes is not
	// appended again. An empty RepeatID switches this off.
	RepeatID string
	Content  []byte

	// Set by the engine before Done is called.
	Ordinal  Ordinal
	N        int64 // the record's number in its conversation, from 1, gapless
	Repeated bool  // nothing was appended; Ordinal and N are the first copy's
}

// A Batch is appended whole or not at all. It belongs to the engine from Append
// until Done is called.
type Batch struct {
	Ops []Op

	// Contact is a change of a contact, or nil. It is made also where some of Ops turn out
	// to be repetitions.
	Contact *ContactChange

	// Lazy says that nobody waits for this batch: it may wait a little (50 ms) for
	// others to share a commit with.
	Lazy bool

	// Done is called once, from the account's dispatcher: one goroutine that calls
	// all Dones of the account one after another, in the order of ordinals. It must
	// not wait. Err says whether the batch is durable.
	Done func(*Batch)

	// Err is nil when the batch is on stable storage. ErrFull and ErrUnavailable
	// mean that nothing was kept and the sender may try again, ErrConflict that the
	// contact is another one meanwhile.
	Err error
}

// An Entry is a record as it is read back.
type Entry struct {
	Ordinal      Ordinal
	Conversation ConversationID
	N            int64
	At           time.Time
	Kind         Kind
	Actor        AgentID
	Data         []byte // nil when Locked
	// Clear is set when the record is not encrypted where it is kept.
	Clear bool
	// Locked is set when the record's secret is gone or cannot be had now.
	Locked bool
	// Tampered is set beside Locked when the record, or its secret, is not what was written.
	Tampered bool
}

// A Page asks for a part of what one agent may see, in the order of ordinals.
type Page struct {
	Agent AgentID
	With  ConversationID // only this conversation; 0 is all
	// Only and Except are conversations that the agent's archive has or leaves out by
	// her own choice (XEP-0441). An empty Only that is not nil is none.
	Only, Except []ConversationID

	Start, End time.Time // inclusive; zero is open
	After      Ordinal   // only what follows it; 0 is from the beginning
	Before     Ordinal   // only what precedes it; 0 is to the end
	Max        int       // entries at most
	Backwards  bool      // the last Max instead of the first; still yielded in order
}
