package contact

import (
	"context"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// Each yields contacts, the newest first, live or not: those that q asks for, Max of them at most. What can't be read
// now it leaves out.
func (k *Contacts) Each(ctx context.Context, q store.ContactQuery, yield func(*desk.Contact)) error {
	left := q.Max
	for {
		q.Max = min(left, pageSize)
		page, err := k.store.Contacts(ctx, q)
		if err != nil {
			return err
		}
		for i := range page {
			if c, err := Parse(&page[i]); err == nil {
				yield(c)
			}
		}
		if left -= len(page); len(page) < q.Max || left <= 0 {
			return nil
		}
		q.Before = page[len(page)-1].ID
	}
}
