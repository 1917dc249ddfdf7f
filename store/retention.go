package store

import "time"

// A Shredding is what was destroyed of one conversation at a time, for those who count.
type Shredding struct {
	Conversation ConversationID
	Secrets      int   // generations of its secret; none where nothing is sealed
	Records      int64 // that went with them
}

// An Expiry says what is to expire, and for whom.
type Expiry struct {
	// Now is the time to go by. If it is zero nothing expires: what was begun is ended.
	Now time.Time
	// Done is called for each conversation of which something was destroyed. It may be nil.
	Done func(Shredding)
}

// A Forecast says what an Expiry has left.
type Forecast struct {
	Held int       // conversations of which something would have gone, were it not for a hold
	Next time.Time // nothing expires before then; zero if nothing ever does
	// Slowest is the longest that the writer was kept from others' records at a time, their
	// commit aside.
	Slowest time.Duration
}

// Forever is the end of a hold that has none.
var Forever = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
