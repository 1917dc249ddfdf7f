package contact

import (
	"slices"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// A Watcher is told of one contact's changes, in their order and once they are durable, and of its
// signals. Its methods must neither wait nor call the Contacts.
type Watcher interface {
	Changed(*desk.Change)
	Signalled(Signal)
}

// Watch begins to tell w of a contact.
func (k *Contacts) Watch(id store.ConversationID, w Watcher) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watchers[id] = append(k.watchers[id], w)
}

// Unwatch ends that: w is not called any more when it returns.
func (k *Contacts) Unwatch(id store.ConversationID, w Watcher) {
	k.mu.Lock()
	defer k.mu.Unlock()
	rest := slices.DeleteFunc(k.watchers[id], func(other Watcher) bool { return other == w })
	if len(rest) == 0 {
		delete(k.watchers, id)
	} else {
		k.watchers[id] = rest
	}
}
