package hook

import (
	"context"
	"time"

	"parley.im/parley/store"
)

// An Account is whose events are sent.
type Account struct {
	ID     string
	Domain string
	Store  Store
	// Keep is how long what was said is kept, and with it what is known of deliveries; 0 is
	// for ever.
	Keep time.Duration
}

// A Store is what the sender needs of a store.Account.
type Store interface {
	Newest() store.Ordinal
	Watch(ch chan<- struct{}) (stop func())
	Read(ctx context.Context, after store.Ordinal, max int, yield func(*store.Entry) error) error
	Entries(ctx context.Context, ordinals []store.Ordinal, yield func(*store.Entry) error) error
	ArchiveID(viewer store.AgentID, o store.Ordinal) string

	Token(ctx context.Context) (store.Token, error)

	store.Journaler // is told of an endpoint that fails or is disabled

	Endpoints(ctx context.Context) ([]store.Endpoint, error)
	UpdateEndpoint(ctx context.Context, e store.Endpoint) error
	Retries(ctx context.Context, endpoint string) ([]store.Retry, error)
	ForgetDeliveries(ctx context.Context, before time.Time) (int, error)
	Advance(ctx context.Context, p store.Progress) error

	// Setting and SetSetting keep since when an endpoint fails.
	Setting(ctx context.Context, name string) (string, error)
	SetSetting(ctx context.Context, name, value string) error
}

// eventID is the id under which receivers know an event. It is the same on
// every attempt, and tells nothing about how many events there are.
func (a *Account) eventID(o store.Ordinal) string {
	return "evt_" + a.Store.ArchiveID(0, o)
}
