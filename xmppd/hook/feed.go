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
	"parley.im/parley/xmppd/panics"
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

	patience map[string]*panics.Patience // with workers that break, by endpoint
}

// listAgain is the pause before the list of endpoints is asked for again; it grows.
const (
	listAgain     = 5 * time.Second
	listAgainMost = 10 * time.Minute
)

func (f *feed) run(ctx context.Context, reload <-chan struct{}) {
	defer f.wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // of workers, also where this breaks
	news := make(chan struct{}, 1)
	defer f.account.Store.Watch(news)()
	again, wait := time.NewTimer(0), listAgain
	defer again.Stop()
	old := time.NewTimer(forgetFirst)
	defer old.Stop()
	newest := f.account.Store.Newest()
	for {
		select {
		case <-ctx.Done():
			return
		case <-news:
			before := newest
			newest = f.account.Store.Newest()
			f.s.pace.note(int64(newest-before), time.Now())
			for _, w := range f.workers {
				w.rouse()
			}
			continue
		case <-old.C:
			f.forget(ctx)
			old.Reset(forgetEvery)
			continue
		case <-reload:
		case <-again.C:
		}
		err := f.refresh(ctx)
		if err == nil || ctx.Err() != nil {
			wait = listAgain
			continue
		}
		f.log.Error("webhook endpoints cannot be listed", "err", err, "wait", wait)
		again.Reset(wait)
		wait = min(2*wait, listAgainMost)
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
			w, p := newWorker(f, e), f.patience[id]
			if p == nil {
				p = new(panics.Patience)
				f.patience[id] = p
			}
			f.workers[id] = w
			f.wg.Go(func() { f.serve(ctx, w, p) })
		}
	}
	return nil
}

// serve is a worker's life. When it breaks, another one goes on from what the store knows.
// Each event is made ready and sent by itself (prepare, attempt), so that one which nobody
// thought of costs itself alone.
func (f *feed) serve(ctx context.Context, w *worker, p *panics.Patience) {
	if panics.Catch(w.log, func() { w.run(ctx) }) && p.Rest(ctx, w.log) {
		f.s.Reload(f.account.ID)
	}
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
