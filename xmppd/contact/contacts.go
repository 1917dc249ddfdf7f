package contact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// Config is what an account's Contacts need.
type Config struct {
	Domain   string // of the account
	Store    store.Account
	Settings desk.Settings
	Name     func(store.AgentID) string // of an agent; "" if there is none
	Paused   func(desk.Standing)        // as of desk.Config
	Now      func() time.Time
	Log      *slog.Logger
}

// Contacts are one account's. They are safe for concurrent use.
type Contacts struct {
	*desk.Desk
	config Config
	store  store.Account

	mu        sync.Mutex // guards what follows
	open      map[store.ConversationID]store.Conversation
	addresses map[string]store.ConversationID // of live contacts
	watchers  map[store.ConversationID][]Watcher

	// Set before the first contact.
	listeners []func(*desk.Change)
	onSignal  []func(Signal)
}

// Host is the domain that an account's visitors have their addresses at.
func Host(domain string) string { return "visitors." + domain }

// New reads the contacts that go on. Run does what time brings to them.
func New(ctx context.Context, c Config) (*Contacts, error) {
	k := &Contacts{config: c, store: c.Store, open: make(map[store.ConversationID]store.Conversation),
		addresses: make(map[string]store.ConversationID), watchers: make(map[store.ConversationID][]Watcher)}
	k.Desk = desk.New(desk.Config{Settings: c.Settings, Keeper: k, Now: c.Now, Changed: k.changed, Paused: c.Paused})
	var list []*desk.Contact
	said := make(map[store.ConversationID]time.Time)
	query := store.ContactQuery{Live: true, Max: pageSize}
	for {
		page, err := k.store.Contacts(ctx, query)
		if err != nil {
			return nil, fmt.Errorf("read contacts that go on: %w", err)
		}
		for i := range page {
			live, last, err := k.restored(ctx, &page[i])
			if err != nil {
				c.Log.Error("a contact can't go on", "conversation", page[i].ID, "err", err)
				continue
			}
			list = append(list, live)
			said[live.ID] = last
		}
		if len(page) < pageSize {
			break
		}
		query.Before = page[len(page)-1].ID
	}
	k.Restore(list, func(id store.ConversationID) time.Time { return said[id] })
	return k, nil
}

// pageSize is how many contacts, or records, are read at a time.
const pageSize = 256

// restored takes a contact up again: what it was, with what was said since that was kept.
func (k *Contacts) restored(ctx context.Context, row *store.Contact) (c *desk.Contact, last time.Time, err error) {
	if c, err = Parse(row); err != nil {
		return nil, last, err
	}
	conv, err := k.store.OpenContact(ctx, row.ID)
	if err != nil {
		return nil, last, err
	}
	c.Said = desk.Count{}
	for after := int64(0); ; {
		n := 0
		err = k.store.Records(ctx, row.ID, after, pageSize, func(e *store.Entry) error {
			n, after = n+1, e.N
			if s := SpokenBy(e); s != nil {
				last = e.At
				if s.By == desk.Visitor {
					c.Said.Visitor++
				} else if s.By == desk.Agents {
					c.Said.Agent++
				}
			}
			return nil
		})
		if err != nil {
			return nil, last, err
		}
		if n < pageSize {
			break
		}
	}
	k.open[row.ID], k.addresses[row.Address] = conv, row.ID
	return c, last, nil
}

// Parse is a contact as its row has it.
func Parse(row *store.Contact) (*desk.Contact, error) {
	switch {
	case row.Tampered:
		return nil, fmt.Errorf("contact %d: %w", row.ID, store.ErrTampered)
	case row.Locked:
		return nil, fmt.Errorf("contact %d: its key is not to be had: %w", row.ID, store.ErrUnavailable)
	}
	c := new(desk.Contact)
	if err := json.Unmarshal(row.Data, c); err != nil {
		return nil, fmt.Errorf("contact %d: not what is kept of a contact", row.ID)
	}
	c.ID, c.Address, c.Version, c.State = row.ID, row.Address, row.Version, desk.State(row.State)
	return c, nil
}

// ByAddress is the live contact with that local part.
func (k *Contacts) ByAddress(local string) (*desk.Contact, error) {
	k.mu.Lock()
	id, ok := k.addresses[local]
	k.mu.Unlock()
	if !ok {
		return nil, desk.ErrUnknown
	}
	return k.Contact(id)
}

// Show is a contact, live or not, by its address.
func (k *Contacts) Show(ctx context.Context, address string) (*desk.Contact, error) {
	if c, err := k.ByAddress(address); err == nil {
		return c, nil
	}
	row, err := k.store.ContactAt(ctx, address)
	if err != nil {
		return nil, err
	}
	return Parse(&row)
}

// Begin opens a contact: see desk.Desk.Open. It has its Address, by NewAddress. It returns when
// that is durable.
func (k *Contacts) Begin(ctx context.Context, c desk.Contact, submit bool, said *desk.Said) (*desk.Contact, error) {
	conv, err := k.store.NewContact(ctx)
	if err != nil {
		return nil, fmt.Errorf("open contact: %w", err)
	}
	c.ID = conv.ID()
	k.mu.Lock()
	k.open[c.ID], k.addresses[c.Address] = conv, c.ID
	k.mu.Unlock()
	ch, err := Wait(func(done desk.Done) { k.Open(c, submit, said, done) })
	if err != nil {
		k.forget(&c)
		return nil, err
	}
	return ch.Is, nil
}

// Wait calls begin with a Done, and returns when that was called.
func Wait(begin func(desk.Done)) (*desk.Change, error) {
	type answer struct {
		ch  *desk.Change
		err error
	}
	answered := make(chan answer, 1)
	begin(func(ch *desk.Change, err error) { answered <- answer{ch, err} })
	a := <-answered
	return a.ch, a.err
}

// forget ends what is known of a contact that is live no more.
func (k *Contacts) forget(c *desk.Contact) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.open, c.ID)
	delete(k.addresses, c.Address)
}

// conversation is a live contact's.
func (k *Contacts) conversation(id store.ConversationID) (store.Conversation, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if conv := k.open[id]; conv != nil {
		return conv, nil
	}
	return nil, errGone
}

var errGone = errors.New("the contact is not open")

// Listen has f called for each change of a contact, once it is durable and in their order, by one
// goroutine at a time. It is for what is there before the first contact, and must not wait.
func (k *Contacts) Listen(f func(*desk.Change)) { k.listeners = append(k.listeners, f) }

// changed tells all who want to know.
func (k *Contacts) changed(ch *desk.Change) {
	for _, f := range k.listeners {
		f(ch)
	}
	k.mu.Lock()
	for _, w := range k.watchers[ch.Is.ID] {
		w.Changed(ch)
	}
	k.mu.Unlock()
	if ch.Is.State == desk.Finalized {
		k.forget(ch.Is)
	}
}
