package contact

import (
	"sync"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// A Follower hears of one contact's changes. Where it does not keep up, some are left out: who
// follows reads the records from where it was, whenever it is told of Missed.
type Follower struct {
	contacts *Contacts
	id       store.ConversationID
	Changes  chan *desk.Change // closed when Close is called
	Missed   chan struct{}     // holds one value when changes were left out
	Signals  chan Signal       // never closed
	once     sync.Once
}

// followed is how many changes wait for a follower.
const followed = 64

// Follow begins to follow a contact.
func (k *Contacts) Follow(id store.ConversationID) *Follower {
	f := &Follower{contacts: k, id: id, Changes: make(chan *desk.Change, followed), Missed: make(chan struct{}, 1), Signals: make(chan Signal, 4)}
	k.Watch(id, f)
	return f
}

// Changed is Watcher's.
func (f *Follower) Changed(ch *desk.Change) {
	select {
	case f.Changes <- ch:
	default:
		select {
		case f.Missed <- struct{}{}:
		default:
		}
	}
}

// Signalled is Watcher's.
func (f *Follower) Signalled(s Signal) {
	select {
	case f.Signals <- s:
	default: // it is of the moment
	}
}

// Close ends it. It may be called twice.
func (f *Follower) Close() {
	f.contacts.Unwatch(f.id, f)
	f.once.Do(func() { close(f.Changes) })
}
