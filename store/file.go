package store

import (
	"context"
	"io"
	"time"
)

// A File is something that somebody has sent. Its bytes are sealed with a key of its own, in chunks; that
// key, its name and its type are sealed with the secret of the conversation in which it was said or, before
// it is said to a visitor, of the agent who has it: whichever is destroyed, it goes with that.
type File struct {
	ID           string // letters and digits, by chance; never another's
	Agent        AgentID
	Conversation ConversationID // 0 if it was not said to a visitor, or by one
	Made         time.Time      // when it was kept
	Size         int64          // bytes
	Name, Type   string         // Type is a media type, such as "image/png"

	// Locked is set when its secret is gone or can't be had now: Name and Type are "" then.
	Locked bool
}

// A Draft is a file that is being written, sealed from the first byte on. Keep or Drop ends it.
type Draft interface {
	io.Writer
	// Open reads what was written. Nothing more can be written then.
	Open() (io.ReadSeekCloser, error)
	// Keep makes it a file, durably, together with records that tell of it, of conversations that are open.
	// Drop, which may follow, does nothing then.
	Keep(ctx context.Context, f File, told ...Op) error
	// Drop forgets it.
	Drop()
}
