package store

import (
	"context"
	"io"
	"time"
)

// An Account is one account's store: its log, and what hangs on it. It is safe
// for concurrent use. Reads that find nothing answer ErrNotFound.
type Account interface {
	// Journal is the conversation of what belongs to no conversation of people.
	Journal(ctx context.Context) (Conversation, error)
	// Direct is the conversation of agents a and b (in either order; they may be
	// the same), created at its first use with its secret durable before its first
	// row. It is cheap while somebody holds the conversation.
	Direct(ctx context.Context, a, b AgentID) (Conversation, error)
	// FindDirect is Direct for readers: it creates nothing.
	FindDirect(ctx context.Context, a, b AgentID) (ConversationID, error)
	// Directs yields the conversations that an agent has, each with the name of the other
	// one: "" if she was deleted, the agent's own if they are one.
	Directs(ctx context.Context, agent AgentID, yield func(peer string, id ConversationID) error) error

	// NewContact makes the conversation of a visitor's contact, its secret durable first.
	// The first change makes the contact; a start finds that there never was one, and
	// destroys the conversation.
	NewContact(ctx context.Context) (Conversation, error)
	// OpenContact opens one that is there. It is cheap while somebody holds it.
	OpenContact(ctx context.Context, id ConversationID) (Conversation, error)
	// Contact is a contact as it is now, ContactAt the one that has an address.
	Contact(ctx context.Context, id ConversationID) (Contact, error)
	ContactAt(ctx context.Context, address string) (Contact, error)
	// Contacts lists those that q asks for. A page costs the same however many there are,
	// if q has one condition, or one that few of them meet. Where many meet each of
	// several, but few all of them, those that meet one are looked through, some at a time.
	Contacts(ctx context.Context, q ContactQuery) ([]Contact, error)

	// Append queues a batch and returns at once; b.Done is called later.
	Append(b *Batch)
	// OnGroup registers the one func that the dispatcher calls after it has called the
	// Dones of a group of commits. It is set before the first Append and must not wait.
	OnGroup(f func())
	// Newest is the ordinal of the last record committed; 0 for an empty log.
	Newest() Ordinal
	// Watch registers a channel that gets a value (without waiting, so it should hold
	// one) after each group that was committed. The func ends it.
	Watch(ch chan<- struct{}) (stop func())

	// Read yields up to max entries of the whole log that follow after, in order.
	Read(ctx context.Context, after Ordinal, max int, yield func(*Entry) error) error
	// Happened yields the journal's entries that follow after, up to and with to: what
	// happened besides what was said. It costs little for each message between them.
	Happened(ctx context.Context, after, to Ordinal, yield func(*Entry) error) error
	// Page yields a part of what an agent may see and says whether it holds all that
	// is left in its direction. The Entry is valid during the call only.
	Page(ctx context.Context, p Page, yield func(*Entry) error) (complete bool, err error)
	// Count is the number of entries that p would yield without Max.
	Count(ctx context.Context, p Page) (int, error)
	// Visible says whether the agent may see the record, shredded or not. What a page
	// leaves out (Only, Except) is visible still: its ids were good, and stay so for
	// paging.
	Visible(ctx context.Context, agent AgentID, o Ordinal) (bool, error)
	// Inbox yields up to max messages said to the agent by others that follow after.
	Inbox(ctx context.Context, agent AgentID, after Ordinal, max int, yield func(*Entry) error) error
	// InboxNewest is the ordinal of the last record in any of the agent's
	// conversations; what an agent's cursor has passed needs no Inbox.
	InboxNewest(ctx context.Context, agent AgentID) (Ordinal, error)
	// Delivery is how far the agent has received; the zero value if nothing is known.
	Delivery(ctx context.Context, agent AgentID) (Delivery, error)
	// SaveDelivery keeps d with the next commit, or within a second.
	SaveDelivery(agent AgentID, d Delivery)
	// ArchiveID is the unpredictable id under which viewer knows the record (0 is the
	// account itself, for webhooks): 26 characters of base32.
	ArchiveID(viewer AgentID, o Ordinal) string
	// ParseArchiveID undoes ArchiveID. An id that is not viewer's answers ErrNotFound.
	ParseArchiveID(viewer AgentID, id string) (Ordinal, error)

	// Conversations lists up to max of them that follow after, by id; those that were
	// shredded, too.
	Conversations(ctx context.Context, after ConversationID, max int) ([]Summary, error)
	// Conversation is one of them.
	Conversation(ctx context.Context, id ConversationID) (Summary, error)
	// Transcript yields a conversation's records in order, for the operator.
	Transcript(ctx context.Context, id ConversationID, yield func(*Entry) error) error
	// Records yields up to max of a conversation's records that follow number after.
	Records(ctx context.Context, id ConversationID, after int64, max int, yield func(*Entry) error) error
	// Shred destroys a conversation: tombstone, then secret (durably), then rows. One that
	// is held is ErrConflict.
	Shred(ctx context.Context, id ConversationID) error

	// Expire destroys what is older than the account keeps it, contacts as a whole and by
	// when they have ended, and ends what an earlier call has begun. It goes slowly, so that
	// whoever is at work does not wait.
	Expire(ctx context.Context, e Expiry) (Forecast, error)
	// Retain says how long records are kept from now on, before they expire; 0 is for ever.
	Retain(d time.Duration)
	// Unfinished says whether something was destroyed of which an Expire may find traces.
	Unfinished() bool
	// Written is the time of the last record that was there when the account was opened;
	// zero if there was none.
	Written() time.Time
	// Hold keeps anything of a conversation (0 is the whole account) from being destroyed
	// until then; the zero time ends that. Held says until when; zero is not held.
	Hold(ctx context.Context, id ConversationID, until time.Time) error
	Held(ctx context.Context, id ConversationID) (time.Time, error)

	AddAgent(ctx context.Context, name, role string, c Credential) (Agent, error)
	// ImportAgents adds many agents with a credential each in one transaction, and
	// answers one error for each: nil or ErrConflict.
	ImportAgents(ctx context.Context, names []string, role string, c []Credential) ([]error, error)
	Agent(ctx context.Context, name string) (Agent, error)
	Agents(ctx context.Context) ([]Agent, error)
	DisableAgent(ctx context.Context, id AgentID, disabled bool) error
	SetRole(ctx context.Context, id AgentID, role string) error
	// DeleteAgent removes the agent, her credentials and memberships. Conversations
	// of agents that nobody can see any more are shredded; contacts stay.
	DeleteAgent(ctx context.Context, id AgentID) error
	Credentials(ctx context.Context, id AgentID) ([]Credential, error)
	// SetCredential adds a credential, or replaces the agent's of the same label. One
	// with an ID replaces that very one, and keeps its ID; it answers ErrNotFound where
	// somebody else has deleted or replaced it.
	SetCredential(ctx context.Context, c Credential) error
	DeleteCredential(ctx context.Context, id int64) error

	// KeepOwn keeps, replaces and takes away what agents have of their own, all or
	// nothing; it is durable when KeepOwn returns.
	KeepOwn(ctx context.Context, list ...Own) error
	// KeepOwnLater is KeepOwn for what nobody waits for: it returns at once. What changes
	// often is kept as it was last, within a second or two; KeepOwn is not for that name.
	KeepOwnLater(o Own)
	// OwnOf yields a part of what an agent has of her own, by name. The value is valid
	// during the call only.
	OwnOf(ctx context.Context, agent AgentID, part Part, yield func(name string, value []byte) error) error
	// OwnNamed is one thing of that, nil if there is none.
	OwnNamed(ctx context.Context, agent AgentID, part Part, name string) (value []byte, err error)

	// Token is the account's secret token, made at the first call and kept sealed.
	Token(ctx context.Context) (Token, error)
	// RotateToken makes another one. The one before is good until then, which may be now.
	// In the same transaction it appends event, the JSON of a KindTokenRotated, to the
	// journal. Of two at once one gets ErrConflict.
	RotateToken(ctx context.Context, until time.Time, event []byte) (Token, error)

	// Secret is the account's secret of that name, made from crypto/rand at the first
	// call (size bytes) and kept sealed: "salt", "id", "index".
	Secret(ctx context.Context, name string, size int) ([]byte, error)
	// Setting is a plain value that the running server has learned.
	Setting(ctx context.Context, name string) (string, error)
	SetSetting(ctx context.Context, name, value string) error

	// Endpoints lists them by when they were made. One that was changed outside the server is
	// Disabled, and has no Secret.
	Endpoints(ctx context.Context) ([]Endpoint, error)
	// AddEndpoint answers ErrConflict for an id that is there already, and ErrTooMany beyond
	// MaxEndpoints, however many add at once; AddAPIKey the same.
	AddEndpoint(ctx context.Context, e Endpoint) error
	// UpdateEndpoint changes what deliveries may change: Disabled, Why.
	UpdateEndpoint(ctx context.Context, e Endpoint) error
	// ChangeEndpoint changes all but ID, Created and Cursor, as change does, while nobody else
	// changes it, and answers what it is then. An error of change is the answer, and nothing
	// happens.
	ChangeEndpoint(ctx context.Context, id string, change func(*Endpoint) error) (Endpoint, error)
	DeleteEndpoint(ctx context.Context, id string) error
	Advance(ctx context.Context, p Progress) error
	// Retries are those of an endpoint that are not given up, by Next.
	Retries(ctx context.Context, endpoint string) ([]Retry, error)
	// DeadLetters are what an endpoint was given up for, of what was tried first since then.
	DeadLetters(ctx context.Context, endpoint string, since time.Time) ([]Ordinal, error)
	// SendAgain has events sent to an endpoint as if they had just happened, whether they
	// were delivered, wait, or were given up.
	SendAgain(ctx context.Context, endpoint string, ordinals []Ordinal, now time.Time) error
	// ForgetDeliveries deletes what endpoints were given up for, of what was tried first
	// before then, and of their delivery logs what is from before then. It answers how much
	// that was.
	ForgetDeliveries(ctx context.Context, before time.Time) (int, error)
	// Within says after which ordinal and up to which all records of a time are, others
	// perhaps among them.
	Within(ctx context.Context, start, end time.Time) (after, last Ordinal, err error)
	// Attempts are the newest of an endpoint's delivery log, newest first.
	Attempts(ctx context.Context, endpoint string, max int) ([]Attempt, error)
	// Entries reads single records by their ordinals, in order.
	Entries(ctx context.Context, ordinals []Ordinal, yield func(*Entry) error) error

	// NewFile begins a file of that id, which must be nobody's: else it is ErrConflict.
	NewFile(ctx context.Context, id string) (Draft, error)
	// File is a file without its bytes, OpenFile reads those: what is not as it was written is ErrTampered when
	// it is read.
	File(ctx context.Context, id string) (File, error)
	OpenFile(ctx context.Context, id string) (File, io.ReadSeekCloser, error)
	// GiveFile has what an agent has sent belong to a conversation that is open, from here on, and keeps records that
	// tell of it. What belongs to it already stays so, and is not told of again; if it belongs to another one it is ErrConflict.
	GiveFile(ctx context.Context, id string, to Conversation, told ...Op) error
	// Files are those of a conversation, by time.
	Files(ctx context.Context, of ConversationID) ([]File, error)
	// FilesSize is how many bytes the files of a conversation have, or with 0 all files of the account.
	FilesSize(ctx context.Context, of ConversationID) (int64, error)
	// DropFiles destroys what was made before then and belongs to no conversation.
	DropFiles(ctx context.Context, before time.Time) error

	APIKeys(ctx context.Context) ([]APIKey, error)
	APIKey(ctx context.Context, id string) (APIKey, error)
	AddAPIKey(ctx context.Context, k APIKey) error
	DeleteAPIKey(ctx context.Context, id string) error
	// ClaimAnswer keeps claim under key, durably, unless something is there already: then it
	// gives that, and keeps nothing.
	ClaimAnswer(ctx context.Context, key [32]byte, claim []byte) (kept []byte, err error)
	// KeepAnswer keeps another value under a key that was claimed, or with nil forgets it.
	KeepAnswer(ctx context.Context, key [32]byte, answer []byte) error
	// ForgetAnswers forgets what was claimed before then.
	ForgetAnswers(ctx context.Context, before time.Time) error
	// Verify walks everything that is kept and answers what is not as it was written: an
	// error for each thing that is affected, joined, each an ErrTampered. With whole set it
	// looks at the files' structure, too, which makes whoever writes wait.
	Verify(ctx context.Context, whole bool) error
	// Accept takes a log as it is from here on, though it was found to be older than what
	// was known of it.
	Accept(ctx context.Context) error

	// SaveResumes keeps the sessions that a shutdown cut; TakeResumes gives and forgets
	// them.
	SaveResumes(ctx context.Context, r []Resume) error
	TakeResumes(ctx context.Context) ([]Resume, error)

	// Err is nil while the store takes writes, and else what stands in the way.
	Err() error
	// Close ends the account's goroutines after what was appended is decided. It may
	// be called twice.
	Close() error
}

// A Summary is a conversation in a list.
type Summary struct {
	ID       ConversationID
	Nature   Nature
	Agents   []AgentID // of a direct one
	Records  int64     // that are there
	Gone     int64     // that were destroyed before them
	First    Ordinal
	Last     Ordinal
	Held     time.Time // until then nothing of it is destroyed
	Shredded bool
}
