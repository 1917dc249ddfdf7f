package hook

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite"
)

// A ledger is a real, sealed store of an account with two agents, with a look
// at what the sender tells it, and a way to have it refuse.
type ledger struct {
	store.Account
	t       testing.TB
	dir     string
	pair    store.Conversation // of the two agents
	journal store.Conversation

	advanced chan store.Progress // gets each progress that was kept, if there is room

	mu      sync.Mutex
	rotated bool
	deaf    error // what Advance answers instead of keeping anything
}

func newLedger(t testing.TB) *ledger {
	t.Helper()
	return newLedgerOf(t, true)
}

func newLedgerOf(t testing.TB, sealed bool) *ledger {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	k, err := keys.Open(ctx, keys.Config{Dir: filepath.Join(dir, "keys"), Account: "desk", Root: seal.NewKey()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	a, err := sqlite.Open(ctx, sqlite.Config{Dir: filepath.Join(dir, "data"), Account: "desk", Keys: k, Sealed: sealed})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	l := &ledger{Account: a, t: t, dir: dir, advanced: make(chan store.Progress, 10_000)}
	if l.journal, err = a.Journal(ctx); err != nil {
		t.Fatal(err)
	}
	l.pair = l.between("anna", "ben")
	return l
}

// between makes two agents and opens their conversation.
func (l *ledger) between(names ...string) store.Conversation {
	l.t.Helper()
	var ids []store.AgentID
	for _, name := range names {
		g, err := l.AddAgent(l.t.Context(), name, "agent", store.Credential{Scope: "xmpp", Label: "password"})
		if err != nil {
			l.t.Fatal(err)
		}
		ids = append(ids, g.ID)
	}
	c, err := l.Direct(l.t.Context(), ids[0], ids[1])
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// put appends records of a conversation, and waits for their commit.
func (l *ledger) put(c store.Conversation, kind store.Kind, data ...string) {
	l.t.Helper()
	for part := range slices.Chunk(data, 100) {
		done := make(chan error, 1)
		b := &store.Batch{Done: func(b *store.Batch) { done <- b.Err }}
		for _, d := range part {
			b.Ops = append(b.Ops, store.Op{Conversation: c, Kind: kind, Actor: 1, At: time.Now(), Data: []byte(d)})
		}
		l.Append(b)
		if err := <-done; err != nil {
			l.t.Fatal(err)
		}
	}
}

// add appends events to the journal.
func (l *ledger) add(kind store.Kind, data ...string) {
	l.t.Helper()
	l.put(l.journal, kind, data...)
}

// say appends messages with these texts.
func (l *ledger) say(texts ...string) {
	l.t.Helper()
	l.sayIn(l.pair, texts...)
}

func (l *ledger) sayIn(c store.Conversation, texts ...string) {
	l.t.Helper()
	var data []string
	for i, text := range texts {
		data = append(data, string(store.AppendMessage(nil, &store.Message{
			Type: "chat", From: "anna@desk.example/phone", To: "ben@desk.example",
			ID: fmt.Sprint("m", i), Inner: []byte("<body>" + text + "</body>"),
		})))
	}
	l.put(c, store.KindMessage, data...)
}

// with adds an endpoint.
func (l *ledger) with(e store.Endpoint) *ledger {
	l.t.Helper()
	if e.Secret == "" {
		e.Secret = sampleSecret
	}
	if err := l.AddEndpoint(l.t.Context(), e); err != nil {
		l.t.Fatal(err)
	}
	return l
}

// Token is the one of the format's vectors, until the account has another.
func (l *ledger) Token(ctx context.Context) (store.Token, error) {
	t, err := l.Account.Token(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.rotated {
		t.Value = sampleToken
	}
	return t, err
}

// rotate gives the account another token.
func (l *ledger) rotate(overlap time.Duration) store.Token {
	l.t.Helper()
	t, err := l.RotateToken(l.t.Context(), time.Now().Add(overlap), []byte(`{}`))
	if err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rotated = true
	return t
}

// refuse has Advance answer err; nil ends that.
func (l *ledger) refuse(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf = err
}

func (l *ledger) Advance(ctx context.Context, p store.Progress) error {
	l.mu.Lock()
	deaf := l.deaf
	l.mu.Unlock()
	if deaf != nil {
		return deaf
	}
	if err := l.Account.Advance(ctx, p); err != nil {
		return err
	}
	select {
	case l.advanced <- p:
	default:
	}
	return nil
}

// next waits until an attempt of the endpoint's was kept.
func (l *ledger) next(endpoint string) store.Progress {
	l.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case p := <-l.advanced:
			if p.Endpoint == endpoint && len(p.Attempts) > 0 {
				return p
			}
		case <-timeout:
			l.t.Fatalf("nothing was kept about %s", endpoint)
		}
	}
}

// tried is the endpoint's delivery log, oldest first.
func (l *ledger) tried(endpoint string) []store.Attempt {
	l.t.Helper()
	list, err := l.Attempts(l.t.Context(), endpoint, 10_000)
	if err != nil {
		l.t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

// rows are the endpoint's retries.
func (l *ledger) rows(endpoint string) []store.Retry {
	l.t.Helper()
	list, err := l.Retries(l.t.Context(), endpoint)
	if err != nil {
		l.t.Fatal(err)
	}
	return list
}

func (l *ledger) get(id string) store.Endpoint {
	l.t.Helper()
	list, err := l.Endpoints(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	for _, e := range list {
		if e.ID == id {
			return e
		}
	}
	l.t.Fatalf("no endpoint %s", id)
	return store.Endpoint{}
}
