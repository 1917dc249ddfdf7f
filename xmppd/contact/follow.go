package contact

import (
	"slices"

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
	closed   bool              // guarded by contacts.mu
}

// followed is how many changes wait for a follower.
const followed = 64

// Follow begins to follow a contact.
func (k *Contacts) Follow(id store.ConversationID) *Follower {
	f := &Follower{contacts: k, id: id, Changes: make(chan *desk.Change, followed), Missed: make(chan struct{}, 1), Signals: make(chan Signal, 4)}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.followers[id] = append(k.followers[id], f)
	return f
}

// tell does not wait; contacts.mu is held.
func (f *Follower) tell(ch *desk.Change) {
	select {
	case f.Changes <- ch:
	default:
		select {
		case f.Missed <- struct{}{}:
		default:
		}
	}
}

// Close ends it. It may be called twice.
func (f *Follower) Close() {
	k := f.contacts
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	close(f.Changes)
	rest := slices.DeleteFunc(k.followers[f.id], func(other *Follower) bool { return other == f })
	if len(rest) == 0 {
		delete(k.followers, f.id)
	} else {
		k.followers[f.id] = rest
	}
}
