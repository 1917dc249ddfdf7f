package hook

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley.im/parley/store"
)

// A feed is one account's endpoints at work. All fields belong to run.
type feed struct {
	s       *Sender
	account *Account
	log     *slog.Logger
	tail    *tail // shared by the workers
	workers map[string]*worker
	token   atomic.Pointer[store.Token] // shared by the workers; set by refresh
	wg      sync.WaitGroup
}

// listAgain is the pause before the list of endpoints is asked for again.
const listAgain = 5 * time.Second

func (f *feed) run(ctx context.Context, reload <-chan struct{}) error {
	defer f.wg.Wait()
	if err := f.refresh(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("webhooks of %s: %w", f.account.ID, err)
	}
	news := make(chan struct{}, 1)
	defer f.account.Store.Watch(news)()
	again := time.NewTimer(0)
	again.Stop()
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-news:
			for _, w := range f.workers {
				w.rouse()
			}
			continue
		case <-reload:
		case <-again.C:
		}
		if err := f.refresh(ctx); err != nil && ctx.Err() == nil {
			f.log.Warn("webhook endpoints cannot be listed", "err", err, "wait", listAgain)
			again.Reset(listAgain)
		}
	}
}

// refresh makes the workers agree with the store's list of endpoints, and sign with its
// token. Endpoints that did not change are left alone.
func (f *feed) refresh(ctx context.Context) error {
	token, err := f.account.Store.Token(ctx)
	if err != nil {
		return err
	}
	f.token.Store(&token)
	wanted, err := f.enabled(ctx)
	if err != nil {
		return err
	}
	stopped := false
	for id, w := range f.workers {
		if e, ok := wanted[id]; !ok || !w.serves(e) {
			w.stop()
			delete(f.workers, id)
			stopped = true
		}
	}
	if stopped {
		// Who stopped may have moved a cursor that the list still has elsewhere.
		if wanted, err = f.enabled(ctx); err != nil {
			return err
		}
	}
	for id, e := range wanted {
		if f.workers[id] == nil {
			w := newWorker(f, e)
			f.workers[id] = w
			f.wg.Go(func() { w.run(ctx) })
		}
	}
	return nil
}

func (f *feed) enabled(ctx context.Context) (map[string]store.Endpoint, error) {
	list, err := f.account.Store.Endpoints(ctx)
	if err != nil {
		return nil, fmt.Errorf("list endpoints: %w", err)
	}
	m := make(map[string]store.Endpoint)
	for _, e := range list {
		if !e.Disabled {
			m[e.ID] = e
		}
	}
	return m, nil
}

// serves says whether the worker is running for this very endpoint.
func (w *worker) serves(e store.Endpoint) bool {
	select {
	case <-w.done:
		return false
	default:
	}
	return w.endpoint.URL == e.URL && w.endpoint.Secret == e.Secret && slices.Equal(w.endpoint.Events, e.Events) &&
		w.endpoint.EndpointOptions == e.EndpointOptions
}
