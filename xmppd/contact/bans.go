package contact

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// A Ban keeps somebody from writing to an account (WCP-8). Who that is can't be read from it: it
// is compared by the account's secret.
type Ban struct {
	ID      string        `json:"id"`
	Kind    BanKind       `json:"kind"`
	Mark    []byte        `json:"mark"`
	Created time.Time     `json:"created"`
	Until   time.Time     `json:"until"`
	Contact string        `json:"contact,omitempty"` // the address of the one that it is for
	Agent   store.AgentID `json:"agent,omitempty"`   // who banned; 0 where a program or an operator did
}

// A BanKind is what somebody is known by.
type BanKind string

// The kinds.
const (
	BanAddress BanKind = "address" // an IPv4 address, or the first 64 bits of one of IPv6
	BanVisitor BanKind = "visitor" // an internal id, of somebody the shop has vouched for or not
)

const (
	bansSetting = "visit.bans"
	bansMax     = 1000 // of an account; the oldest goes
)

// VisitorKeySize is the size of the account's secret that its visitors' marks are made with, in
// bytes: as large as what HMAC makes of it.
const VisitorKeySize = 32

// Bans are an account's. They are safe for concurrent use.
type Bans struct {
	store store.Account
	now   func() time.Time
	key   []byte

	changing sync.Mutex // held while they are kept

	mu      sync.RWMutex // guards what follows
	list    []Ban
	changed func() // tells whom a new ban may concern; nil is nobody
}

// OpenBans reads those of an account. There is one Bans of it at a time.
func OpenBans(ctx context.Context, st store.Account, now func() time.Time) (*Bans, error) {
	b := &Bans{store: st, now: now}
	var err error
	if b.key, err = st.Secret(ctx, "visitor", VisitorKeySize); err != nil {
		return nil, fmt.Errorf("read the secret of visitors' marks: %w", err)
	}
	text, err := st.Setting(ctx, bansSetting)
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &b.list)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("read who is banned: %w", err)
	}
	return b, nil
}

// Listen has f called when somebody is banned from now on. It replaces who listened before.
func (b *Bans) Listen(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changed = f
}

// mark is what a ban remembers of somebody.
func (b *Bans) mark(kind BanKind, value string) []byte {
	h := hmac.New(sha256.New, b.key)
	h.Write([]byte("ban\x00" + string(kind) + " " + value))
	return h.Sum(nil)
}

// Has says whether somebody is banned.
func (b *Bans) Has(kind BanKind, value string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.list) == 0 || value == "" {
		return false
	}
	mark, now := b.mark(kind, value), b.now()
	return slices.ContainsFunc(b.list, func(ban Ban) bool {
		return ban.Kind == kind && hmac.Equal(ban.Mark, mark) && now.Before(ban.Until)
	})
}

// List are those that hold now.
func (b *Bans) List() []Ban {
	b.mu.RLock()
	defer b.mu.RUnlock()
	now := b.now()
	return slices.DeleteFunc(slices.Clone(b.list), func(ban Ban) bool { return !now.Before(ban.Until) })
}

// A BanWish says who is banned, and for how long.
type BanWish struct {
	Visitor string         // an internal id; "" is nobody's
	From    []netip.Prefix // where somebody writes from
	For     time.Duration
	Contact string        // the address of the one that it is for, if any
	Agent   store.AgentID // who bans, if an agent does
	By      string        // her name
}

// AddContact bans the visitor of the contact with that address: by who they are, by where whence
// says that they write from, or by both.
func (b *Bans) AddContact(ctx context.Context, address string, by []BanKind, whence func(store.ConversationID) []netip.Prefix, w BanWish) ([]Ban, error) {
	c, err := b.store.ContactAt(ctx, address)
	if err != nil {
		return nil, err
	}
	w.Contact = c.Address
	if slices.Contains(by, BanVisitor) {
		w.Visitor = c.Visitor
	}
	if slices.Contains(by, BanAddress) && whence != nil {
		w.From = whence(c.ID)
	}
	return b.Add(ctx, w)
}

// banned is the event.
type banned struct {
	Visitor string     `json:"visitor,omitempty"`
	Contact string     `json:"contact,omitempty"`
	Kinds   []BanKind  `json:"kinds"`
	Until   time.Time  `json:"until"`
	By      desk.Party `json:"by"`
	Agent   string     `json:"agent,omitempty"`
}

// Add bans somebody, and answers what that has added. It returns when that is durable, and was
// told.
func (b *Bans) Add(ctx context.Context, w BanWish) ([]Ban, error) {
	var added []Ban
	now := b.now().UTC().Truncate(time.Millisecond)
	add := func(kind BanKind, value string) {
		added = append(added, Ban{ID: "ban_" + rand.Text(), Kind: kind, Mark: b.mark(kind, value), Created: now, Until: now.Add(w.For),
			Contact: w.Contact, Agent: w.Agent})
	}
	if w.Visitor != "" {
		add(BanVisitor, w.Visitor)
	}
	slices.SortFunc(w.From, func(x, y netip.Prefix) int { return x.Addr().Compare(y.Addr()) })
	for _, from := range slices.Compact(w.From) {
		if from.IsValid() { // not all of whom nobody knows where they are
			add(BanAddress, from.String())
		}
	}
	if len(added) == 0 {
		return nil, nil
	}
	err := b.change(ctx, func(list []Ban) []Ban {
		return append(slices.DeleteFunc(list, func(old Ban) bool { return b.replaces(added, old) }), added...)
	})
	if err != nil {
		return nil, err
	}
	e := banned{Visitor: w.Visitor, Contact: w.Contact, Until: added[0].Until.UTC(), By: desk.System, Agent: w.By}
	if w.Agent != 0 {
		e.By = desk.Agents
	}
	for _, a := range added {
		if !slices.Contains(e.Kinds, a.Kind) {
			e.Kinds = append(e.Kinds, a.Kind)
		}
	}
	if err := tell(ctx, b.store, store.KindVisitorBanned, w.Agent, now, e); err != nil {
		return nil, err
	}
	b.mu.RLock()
	changed := b.changed
	b.mu.RUnlock()
	if changed != nil {
		changed()
	}
	return added, nil
}

// replaces says whether one of the new bans is of whom the old one is, and holds for longer.
func (b *Bans) replaces(added []Ban, old Ban) bool {
	return slices.ContainsFunc(added, func(n Ban) bool {
		return n.Kind == old.Kind && hmac.Equal(n.Mark, old.Mark) && !n.Until.Before(old.Until)
	})
}

// Remove ends one.
func (b *Bans) Remove(ctx context.Context, id string) error {
	found := false
	now := b.now()
	err := b.change(ctx, func(list []Ban) []Ban {
		return slices.DeleteFunc(list, func(ban Ban) bool {
			is := ban.ID == id && now.Before(ban.Until)
			found = found || is
			return is
		})
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return err
}

// change keeps another list.
func (b *Bans) change(ctx context.Context, change func([]Ban) []Ban) error {
	b.changing.Lock()
	defer b.changing.Unlock()
	now := b.now()
	list := slices.DeleteFunc(change(slices.Clone(b.list)), func(ban Ban) bool { return !now.Before(ban.Until) })
	if len(list) > bansMax {
		list = list[len(list)-bansMax:]
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if err := b.store.SetSetting(ctx, bansSetting, string(text)); err != nil {
		return fmt.Errorf("keep who is banned: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = list
	return nil
}

// Network is an address as it is counted, and banned: one of IPv4, or the first 64 bits of one of
// IPv6. All that can't be known are one, which is not valid.
func Network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// tell appends an event to the journal, and returns when it is durable. It is not for the
// account's dispatcher.
func tell(ctx context.Context, st store.Account, kind store.Kind, actor store.AgentID, now time.Time, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	journal, err := st.Journal(ctx)
	if err != nil {
		return err
	}
	kept := make(chan error, 1)
	st.Append(&store.Batch{
		Ops:  []store.Op{{Conversation: journal, Kind: kind, Actor: actor, At: now, Data: text}},
		Done: func(b *store.Batch) { kept <- b.Err },
	})
	if err := <-kept; err != nil {
		return fmt.Errorf("tell of %s: %w", kind.Event(), err)
	}
	return nil
}
