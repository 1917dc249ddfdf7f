package store

import (
	"context"
	"time"
)

// A Journaler is the part of an Account that Journalize needs.
type Journaler interface {
	Journal(ctx context.Context) (Conversation, error)
	Append(b *Batch)
}

// Journalize appends an event (data is its JSON) to an account's journal and waits until it
// is durable, or until ctx ends: then it may have been appended or not.
func Journalize(ctx context.Context, a Journaler, kind Kind, data []byte, at time.Time) (Ordinal, error) {
	j, err := a.Journal(ctx)
	if err != nil {
		return 0, err
	}
	decided := make(chan struct{})
	b := &Batch{
		Ops:  []Op{{Conversation: j, Kind: kind, At: at, Data: data}},
		Done: func(*Batch) { close(decided) },
	}
	a.Append(b)
	select {
	case <-decided:
		return b.Ops[0].Ordinal, b.Err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
