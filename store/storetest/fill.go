package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"parley.im/parley/store"
)

// A Filling is what an account has behind it: one agent's many conversations, each
// finished after a while, and what the others said among themselves meanwhile.
type Filling struct {
	Agents        []store.Agent // the first is whose conversations matter
	Domain        string
	Conversations int // hers, at most one with each of the others
	Said          int // messages in each of them, on average
	Active        int // how many of them go on at the same time
	Records       int // of the account, in all
	Start, End    time.Time
	Body          int // bytes of each message's text
}

// At is when record i of the filling was written.
func (f *Filling) At(i int) time.Time {
	return f.Start.Add(f.End.Sub(f.Start) / time.Duration(f.Records) * time.Duration(i)).Truncate(time.Millisecond)
}

const (
	fillBatch  = 1000 // records in one
	fillFlight = 4    // batches under way
	fillOpen   = 256  // conversations that are opened at a time
)

// Fill appends what f says to an account. It is quick (some ten microseconds a record),
// and the same whenever it is run.
func Fill(ctx context.Context, a store.Account, f *Filling) error {
	x := &filler{Filling: f, a: a, rnd: rand.New(rand.NewPCG(1, 2)), text: strings.Repeat("o", f.Body)}
	hers, err := x.open(ctx, f.Conversations, func(i int) (int, int) { return 0, i + 1 })
	if err != nil {
		return err
	}
	others := len(f.Agents) - 1
	theirs, err := x.open(ctx, others/2, func(i int) (int, int) { return 2*i + 1, 2*i + 2 })
	if err != nil {
		return err
	}
	total := f.Conversations * f.Said
	for i, said := 0, 0; i < f.Records; i++ {
		// Hers are spread evenly; which of them a record belongs to moves on slowly.
		if said < (i+1)*total/f.Records {
			first := min(max(0, said/f.Said-f.Active/2), f.Conversations-f.Active)
			x.say(i, &hers[first+x.rnd.IntN(f.Active)])
			said++
			continue
		}
		x.say(i, &theirs[x.rnd.IntN(len(theirs))])
	}
	return x.end()
}

// A filler is Fill at work.
type filler struct {
	*Filling
	a    store.Account
	rnd  *rand.Rand
	text string

	batch  *store.Batch
	flight chan struct{}
	wg     sync.WaitGroup
	mu     sync.Mutex
	errs   []error
}

// A place to talk, with who talks there by their index.
type talking struct {
	c    store.Conversation
	x, y int
}

// open opens count conversations; their secrets share commits.
func (x *filler) open(ctx context.Context, count int, pair func(int) (int, int)) ([]talking, error) {
	all := make([]talking, count)
	var wg sync.WaitGroup
	errs := make([]error, fillOpen)
	for worker := range fillOpen {
		wg.Go(func() {
			for i := worker; i < count && errs[worker] == nil; i += fillOpen {
				p, q := pair(i)
				c, err := x.a.Direct(ctx, x.Agents[p].ID, x.Agents[q].ID)
				all[i], errs[worker] = talking{c, p, q}, err
			}
		})
	}
	wg.Wait()
	return all, errors.Join(errs...)
}

// say adds one message to the batch, and appends that when it is large enough.
func (x *filler) say(i int, t *talking) {
	from, to := t.x, t.y
	if x.rnd.IntN(2) == 0 {
		from, to = to, from
	}
	if x.batch == nil {
		x.batch = &store.Batch{Ops: make([]store.Op, 0, fillBatch), Done: x.done}
	}
	x.batch.Ops = append(x.batch.Ops, store.Op{Conversation: t.c, Kind: store.KindMessage, Actor: x.Agents[from].ID, At: x.At(i),
		Data: store.AppendMessage(nil, &store.Message{Type: "chat", ID: fmt.Sprint("m", i),
			From: x.Agents[from].Name + "@" + x.Domain + "/phone", To: x.Agents[to].Name + "@" + x.Domain,
			Inner: fmt.Appendf(nil, "<body>%d %s</body>", i, x.text)})})
	if len(x.batch.Ops) == fillBatch {
		x.flush()
	}
}

func (x *filler) flush() {
	if x.flight == nil {
		x.flight = make(chan struct{}, fillFlight)
	}
	x.flight <- struct{}{}
	x.wg.Add(1)
	x.a.Append(x.batch)
	x.batch = nil
}

func (x *filler) done(b *store.Batch) {
	if b.Err != nil {
		x.mu.Lock()
		x.errs = append(x.errs, b.Err)
		x.mu.Unlock()
	}
	<-x.flight
	x.wg.Done()
}

func (x *filler) end() error {
	if x.batch != nil {
		x.flush()
	}
	x.wg.Wait()
	return errors.Join(x.errs...)
}
