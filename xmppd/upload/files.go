package upload

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"parley.im/parley/store"
)

// Limits are what an account takes.
type Limits struct {
	Size    int64         // bytes of a file
	Contact int64         // bytes of all files of a contact
	Total   int64         // bytes of all files of the account
	Types   []string      // media types; "image/*" is all of a kind
	Links   time.Duration // how long a link holds
	Scan    []string      // a program and its arguments: see scan; nil is none
}

// Config is what Files need.
type Config struct {
	ID     string // of the account
	Store  store.Account
	Limits Limits
	Origin func() string // where links lead, such as "https://files.example"
	Now    func() time.Time
	Log    *slog.Logger
}

// Files are those of one account. They are safe for concurrent use.
type Files struct {
	Config
	key      []byte        // what links are signed with
	scanning chan struct{} // holds one for each program that looks at a file

	mu     sync.Mutex    // guards what follows
	coming map[owner]int // files that are on their way
	places int           // that it has, see Enter
}

// An owner is who sends files.
type owner struct {
	agent        store.AgentID
	conversation store.ConversationID
}

// comingMost is how many files of one owner come at a time.
const comingMost = 2

// begin counts a file that comes; end takes it out again. ok is that there may be one more.
func (f *Files) begin(o owner) (end func(), ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.coming[o] >= comingMost {
		return nil, false
	}
	f.coming[o]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.coming[o]--; f.coming[o] == 0 {
			delete(f.coming, o)
		}
	}, true
}

const keySize = 32

// New returns an account's files.
func New(ctx context.Context, c Config) (*Files, error) {
	f := &Files{Config: c, scanning: make(chan struct{}, scansAtOnce), coming: make(map[owner]int)}
	var err error
	if f.key, err = c.Store.Secret(ctx, "files", keySize); err != nil {
		return nil, fmt.Errorf("read the secret of links: %w", err)
	}
	return f, nil
}

// A Refusal is why a file is not taken, for people.
type Refusal struct {
	Why  Why
	Text string
}

func (r Refusal) Error() string { return r.Text }

// Why is the kind of a Refusal.
type Why string

// What a file may be refused for.
const (
	TooLarge Why = "too_large"
	BadType  Why = "type"
	Harmful  Why = "refused"
	Quota    Why = "limit"
	Broken   Why = "invalid"     // it did not come whole, or is not what was announced
	Later    Why = "unavailable" // not now
)

func refuse(why Why, format string, args ...any) Refusal {
	return Refusal{why, fmt.Sprintf(format, args...)}
}

// An Upload is a file that comes.
type Upload struct {
	ID           string // "" makes one
	Agent        store.AgentID
	Conversation store.ConversationID
	Name, Type   string
	Size         int64 // -1 if it is not known before
	// Told makes the records that tell of it.
	Told func(*store.File) ([]store.Op, error)
}

// NewID makes a file's id: nobody guesses it.
func NewID() string { return strings.ToLower(rand.Text()) }

// Take takes a file, once it was looked at. An error that is no Refusal is the store's.
func (f *Files) Take(ctx context.Context, u *Upload, r io.Reader) (store.File, error) {
	is, err := f.take(ctx, u, r)
	if errors.Is(err, store.ErrFull) { // which messages, being small, may not find out
		f.Log.Error("there is no room for a file", "err", err)
		err = refuse(Later, "there is no room for this file now; try again later")
	}
	return is, err
}

func (f *Files) take(ctx context.Context, u *Upload, r io.Reader) (is store.File, err error) {
	if err := f.Check(u.Type, u.Size); err != nil {
		return is, err
	}
	if err := f.Room(ctx, u.Conversation, max(u.Size, 0)); err != nil {
		return is, err
	}
	if u.ID == "" {
		u.ID = NewID()
	}
	end, ok := f.begin(owner{u.Agent, u.Conversation})
	if !ok {
		return is, refuse(Later, "%d files are coming from you; send this one when they are there", comingMost)
	}
	defer end()
	draft, err := f.Store.NewFile(ctx, u.ID)
	if errors.Is(err, store.ErrConflict) {
		return is, refuse(Broken, "this link was used already")
	}
	if err != nil {
		return is, err
	}
	defer draft.Drop()
	src := &source{r: io.LimitReader(r, f.Limits.Size+1)}
	n, err := io.Copy(draft, src)
	switch {
	case src.err != nil:
		return is, refuse(Broken, "the file did not arrive whole")
	case err != nil:
		return is, err
	case n > f.Limits.Size:
		return is, f.tooLarge()
	case u.Size >= 0 && n != u.Size:
		return is, refuse(Broken, "it has not the size that was announced")
	}
	is = store.File{ID: u.ID, Agent: u.Agent, Conversation: u.Conversation, Made: f.Now(), Size: n, Name: CleanName(u.Name), Type: mediaType(u.Type)}
	if err := f.look(ctx, &is, draft); err != nil {
		return is, err
	}
	if err := f.Room(ctx, u.Conversation, n); err != nil { // others came meanwhile
		return is, err
	}
	var told []store.Op
	if u.Told != nil {
		if told, err = u.Told(&is); err != nil {
			return is, err
		}
	}
	return is, draft.Keep(ctx, is, told...)
}

// A source notes that reading failed, which is not the store's fault.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// Check says what is known before: whether a file of that type and size (-1 is any) may come.
func (f *Files) Check(typ string, size int64) error {
	switch {
	case size > f.Limits.Size:
		return f.tooLarge()
	case !f.taken(mediaType(typ)):
		return refuse(BadType, "files of this type are not taken")
	}
	return nil
}

func (f *Files) tooLarge() Refusal {
	return refuse(TooLarge, "a file may have %d bytes at most", f.Limits.Size)
}

// Room says whether there is room for so many bytes more, in a contact (0 is none) and in all: else it is a Refusal.
func (f *Files) Room(ctx context.Context, of store.ConversationID, size int64) error {
	if of != 0 {
		n, err := f.Store.FilesSize(ctx, of)
		if err != nil || n+size > f.Limits.Contact {
			return orRefusal(err, refuse(Quota, "there are as many files in this conversation as there can be"))
		}
	}
	n, err := f.Store.FilesSize(ctx, 0)
	if err != nil || n+size > f.Limits.Total {
		return orRefusal(err, refuse(Quota, "there is no room for more files now"))
	}
	return nil
}

func orRefusal(err error, r Refusal) error {
	if err != nil {
		return err
	}
	return r
}
