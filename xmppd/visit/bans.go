package visit

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"parley.im/parley/store"
)

// A Ban keeps somebody from writing to an account. Who that is can't be read from it: it is
// compared by the account's secret.
type Ban struct {
	ID      string    `json:"id"`
	Kind    BanKind   `json:"kind"`
	Mark    []byte    `json:"mark"`
	Created time.Time `json:"created"`
	Until   time.Time `json:"until"`
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

// bans are an account's.
type bans struct {
	changing sync.Mutex // held while they are kept

	mu   sync.RWMutex // guards what follows
	list []Ban
}

func (a *account) readBans(ctx context.Context) error {
	text, err := a.Store.Setting(ctx, bansSetting)
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &a.bans.list)
	}
	if err != nil && !isMissing(err) {
		return fmt.Errorf("read who is banned: %w", err)
	}
	return nil
}

// mark is what a ban remembers of somebody.
func (a *account) mark(kind BanKind, value string) []byte {
	return a.mac(toBan, []byte(string(kind)+" "+value))
}

// banned says whether somebody is.
func (a *account) banned(kind BanKind, value string) bool {
	a.bans.mu.RLock()
	defer a.bans.mu.RUnlock()
	if len(a.bans.list) == 0 || value == "" {
		return false
	}
	mark, now := a.mark(kind, value), a.server.cfg.Now()
	return slices.ContainsFunc(a.bans.list, func(b Ban) bool {
		return b.Kind == kind && hmac.Equal(b.Mark, mark) && now.Before(b.Until)
	})
}

// changeBans keeps another list.
func (a *account) changeBans(ctx context.Context, change func([]Ban) []Ban) error {
	a.bans.changing.Lock()
	defer a.bans.changing.Unlock()
	now := a.server.cfg.Now()
	list := slices.DeleteFunc(change(slices.Clone(a.bans.list)), func(b Ban) bool { return !now.Before(b.Until) })
	if len(list) > bansMax {
		list = list[len(list)-bansMax:]
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if err := a.Store.SetSetting(ctx, bansSetting, string(text)); err != nil {
		return fmt.Errorf("keep who is banned: %w", err)
	}
	a.bans.mu.Lock()
	defer a.bans.mu.Unlock()
	a.bans.list = list
	return nil
}

// Bans are an account's that hold now.
func (s *Server) Bans(account string) []Ban {
	a := s.account(account)
	if a == nil {
		return nil
	}
	a.bans.mu.RLock()
	defer a.bans.mu.RUnlock()
	now := s.cfg.Now()
	return slices.DeleteFunc(slices.Clone(a.bans.list), func(b Ban) bool { return !now.Before(b.Until) })
}

// Ban keeps a contact's visitor from writing for a while: by who they are, by where the contact
// was opened and is open now, or by both. Their connections end.
func (s *Server) Ban(ctx context.Context, account string, id store.ConversationID, d time.Duration, by ...BanKind) error {
	a := s.account(account)
	if a == nil {
		return store.ErrNotFound
	}
	c, err := a.Contacts.Contact(id)
	if err != nil {
		return err
	}
	where := a.lineAddresses(id)
	if from, ok := s.crowd.whence(opened{a, id}); ok {
		where = append(where, from)
	}
	now := s.cfg.Now()
	err = a.changeBans(ctx, func(list []Ban) []Ban {
		add := func(kind BanKind, value string) {
			list = append(list, Ban{ID: a.stranger(""), Kind: kind, Mark: a.mark(kind, value), Created: now, Until: now.Add(d)})
		}
		if slices.Contains(by, BanVisitor) {
			add(BanVisitor, c.Visitor)
		}
		if !slices.Contains(by, BanAddress) {
			return list
		}
		slices.SortFunc(where, func(x, y netip.Prefix) int { return x.Addr().Compare(y.Addr()) })
		for _, from := range slices.Compact(where) {
			if from.IsValid() { // not all of whom nobody knows where they are
				add(BanAddress, from.String())
			}
		}
		return list
	})
	if err == nil {
		a.cutBanned()
	}
	return err
}

// Unban ends one.
func (s *Server) Unban(ctx context.Context, account, id string) error {
	a := s.account(account)
	if a == nil {
		return store.ErrNotFound
	}
	found := false
	err := a.changeBans(ctx, func(list []Ban) []Ban {
		return slices.DeleteFunc(list, func(b Ban) bool {
			found = found || b.ID == id
			return b.ID == id
		})
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return err
}

// cutBanned ends the connections of all who are banned.
func (a *account) cutBanned() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.talks {
		for _, l := range t.lines {
			if a.banned(BanVisitor, t.visitor) || a.banned(BanAddress, l.from.String()) {
				l.end(byeBanned)
			}
		}
	}
}

// lineAddresses are where a contact is open.
func (a *account) lineAddresses(id store.ConversationID) (list []netip.Prefix) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.talks[id]; t != nil {
		for _, l := range t.lines {
			list = append(list, l.from)
		}
	}
	return list
}
