package sqlite

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// openTest opens an account in a temporary folder.
func openTest(t testing.TB, change func(*Config)) *Account {
	t.Helper()
	dir := t.TempDir()
	k, err := keys.Open(t.Context(), keys.Config{Dir: dir + "/keys", Account: "desk", Root: seal.NewKey()})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Dir: dir + "/data", Account: "desk", Keys: k, Sealed: true}
	if change != nil {
		change(&cfg)
	}
	a, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(a.Close(), k.Close()); err != nil {
			t.Error(err)
		}
	})
	return a
}

// selfTalk is an agent's conversation with herself.
func selfTalk(t testing.TB, a *Account, name string) *conversation {
	t.Helper()
	agent, err := a.AddAgent(t.Context(), name, "", store.Credential{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Direct(t.Context(), agent.ID, agent.ID)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*conversation)
}

func message(c *conversation, text string) store.Op {
	return store.Op{Conversation: c, Kind: store.KindMessage, Actor: c.a, At: time.Now(), Data: []byte(text)}
}

// hold keeps the writer busy until the func it answers is called, so that what is
// queued meanwhile becomes one group.
func hold(t *testing.T, a *Account) (release func()) {
	t.Helper()
	busy, free := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.update(context.Background(), func(*conn.Conn) error {
			close(busy)
			<-free
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	<-busy
	return func() {
		close(free)
		wg.Wait()
	}
}

// A write that fails undoes itself alone. One that breaks the whole transaction makes
// its group be tried one by one.
func TestOneFailureFailsNobodyElse(t *testing.T) {
	odd := errors.New("an odd failure")
	for name, fault := range map[string]func(*conn.Conn) error{
		"itself": func(db *conn.Conn) error {
			return errors.Join(db.Exec("INSERT INTO setting (name, value) VALUES ('fault', '')"), odd)
		},
		"the transaction": func(db *conn.Conn) error { return errors.Join(db.Exec("ROLLBACK"), odd) },
	} {
		t.Run(name, func(t *testing.T) {
			a := openTest(t, nil)
			c := selfTalk(t, a, "anna")
			release := hold(t, a)
			var wg sync.WaitGroup
			batches := make([]*store.Batch, 20)
			for i := range batches {
				wg.Add(1)
				op := message(c, fmt.Sprint(i))
				op.RepeatID = fmt.Sprint("id", i/2*2) // every other one is a repetition
				batches[i] = &store.Batch{Ops: []store.Op{op}, Done: func(*store.Batch) { wg.Done() }}
				a.Append(batches[i])
				if i == 10 {
					w := &write{do: fault, done: make(chan error, 1)}
					a.queue.put(item{write: w})
					wg.Go(func() {
						if err := <-w.done; !errors.Is(err, odd) {
							t.Errorf("the failing write answers %v", err)
						}
					})
				}
			}
			release()
			wg.Wait()
			for i, b := range batches {
				op := b.Ops[0]
				if b.Err != nil || op.Ordinal != store.Ordinal(i/2+1) || op.N != int64(i/2+1) || op.Repeated != (i%2 == 1) {
					t.Errorf("batch %d: %v, ordinal %d, n %d, repeated %v", i, b.Err, op.Ordinal, op.N, op.Repeated)
				}
			}
			if err := a.Verify(t.Context(), true); err != nil {
				t.Error(err)
			}
			if _, err := a.Setting(t.Context(), "fault"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("half of a failed write is kept: %v", err)
			}
			if err := a.Err(); err != nil {
				t.Errorf("the account says %v", err)
			}
		})
	}
}

// A group is bounded, so that those in it don't wait long.
func TestGroupsAreBounded(t *testing.T) {
	a := openTest(t, nil)
	c := selfTalk(t, a, "anna")
	release := hold(t, a)
	var wg sync.WaitGroup
	sizes, told := make(chan int, 100), 0
	a.OnGroup(func() {
		sizes <- told
		told = 0
	})
	add := func(count, size int) {
		for range count {
			wg.Add(1)
			a.Append(&store.Batch{Ops: []store.Op{message(c, strings.Repeat("x", size))}, Done: func(b *store.Batch) {
				told += len(b.Ops)
				wg.Done()
			}})
		}
	}
	add(2*groupOps+10, 1)
	add(5, groupBytes/2-1)
	release()
	wg.Wait()
	var got []int
	for range 5 {
		got = append(got, <-sizes)
	}
	if fmt.Sprint(got) != "[512 512 11 2 2]" {
		t.Errorf("groups have %v records", got)
	}
}

// Three writes to B-trees for a message and no more: log, place for each 16th, and the
// conversation's header, which is written once for a group.
func TestWritesForEachMessage(t *testing.T) {
	a := openTest(t, nil)
	for statement, want := range map[string]string{
		insertRow:    "Insert",
		insertPlace:  "IdxInsert", // the table is its own index
		updateHeader: "Insert",
	} {
		var writes []string
		if err := a.read(t.Context(), func(db *conn.Conn) error {
			args := make([]any, strings.Count(statement, "?"))
			return db.Query("EXPLAIN "+statement, args, func(r conn.Row) error {
				switch op := r.Text(1); op {
				case "Insert", "IdxInsert", "Delete", "IdxDelete":
					writes = append(writes, op)
				}
				return nil
			})
		}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(writes, " "); got != want {
			t.Errorf("%s\nwrites %q, want %q", statement, got, want)
		}
	}
}

// The write-ahead log stays bounded while writing goes on and somebody reads.
func TestLogIsCheckpointedUnderLoad(t *testing.T) {
	a := openTest(t, nil)
	c := selfTalk(t, a, "anna")
	stop := make(chan struct{})
	var readers, wg sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := a.Page(context.Background(), store.Page{Agent: c.a, Max: 100}, func(*store.Entry) error { return nil }); err != nil {
				t.Error(err)
				return
			}
		}
	})
	// Six times what a checkpoint waits for.
	text := strings.Repeat("x", 8000)
	for range 6 * checkpointPages / 2 / 32 {
		for range 32 {
			wg.Add(1)
			a.Append(&store.Batch{Ops: []store.Op{message(c, text)}, Done: func(b *store.Batch) {
				if b.Err != nil {
					t.Error(b.Err)
				}
				wg.Done()
			}})
		}
		wg.Wait()
	}
	close(stop)
	readers.Wait()
	info, err := os.Stat(a.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if limit := int64(4 * checkpointPages * 4096); info.Size() > limit {
		t.Errorf("the write-ahead log has %d bytes, want %d at most", info.Size(), limit)
	}
	if err := a.Verify(t.Context(), true); err != nil {
		t.Error(err)
	}
}

// What a crash left unfinished is done at the next start.
func TestStartEndsWhatACrashLeft(t *testing.T) {
	dir, root := t.TempDir(), seal.NewKey()
	open := func() (*Account, *keys.Account) {
		k, err := keys.Open(t.Context(), keys.Config{Dir: dir + "/keys", Account: "desk", Root: root})
		if err != nil {
			t.Fatal(err)
		}
		a, err := Open(t.Context(), Config{Dir: dir + "/data", Account: "desk", Keys: k, Sealed: true})
		if err != nil {
			t.Fatal(err)
		}
		return a, k
	}
	shut := func(a *Account, k *keys.Account) {
		t.Helper()
		if err := errors.Join(a.Close(), k.Close()); err != nil {
			t.Fatal(err)
		}
	}
	a, k := open()
	c, kept := selfTalk(t, a, "anna"), selfTalk(t, a, "ben")
	for _, c := range []*conversation{c, kept} {
		done := make(chan struct{})
		a.Append(&store.Batch{Ops: []store.Op{message(c, "x")}, Done: func(*store.Batch) { close(done) }})
		<-done
	}
	// Secrets without rows, and a tombstone without a shredding.
	orphans := []keys.ID{{Owner: keys.OfConversation, Number: 77, Generation: 1}, agentSecret(88),
		{Owner: keys.OfConversation, Number: int64(kept.id), Generation: 2}}
	if _, err := k.Create(t.Context(), orphans...); err != nil {
		t.Fatal(err)
	}
	if err := a.update(t.Context(), func(db *conn.Conn) error {
		return db.Exec("UPDATE conversation SET shredded = ? WHERE id = ?", tombstone, int64(c.id))
	}); err != nil {
		t.Fatal(err)
	}
	shut(a, k)

	a, k = open()
	defer shut(a, k)
	for _, id := range append(orphans, keys.ID{Owner: keys.OfConversation, Number: int64(c.id), Generation: 1}) {
		if _, err := k.Get(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("secret %v is there: %v", id, err)
		}
	}
	count := 0
	if err := a.Read(t.Context(), 0, 10, func(e *store.Entry) error {
		if count++; e.Conversation != kept.id || string(e.Data) != "x" {
			t.Errorf("the log holds %+v", e)
		}
		return nil
	}); err != nil || count != 1 {
		t.Errorf("%d records are left (%v), want 1", count, err)
	}
	if next := selfTalk(t, a, "cleo"); next.id <= 77 || next.a <= 88 {
		t.Errorf("ids %d and %d were given before", next.id, next.a)
	}
}

var update = flag.Bool("update", false, "write schema.sql anew")

// schema.sql is what the migrations come to.
func TestSchemaFile(t *testing.T) {
	a := openTest(t, nil)
	var got string
	if err := a.read(t.Context(), func(db *conn.Conn) (err error) {
		got, err = db.Schema()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	got = "-- The present schema, made of migrations/ by 'go test -run SchemaFile -update'.\n\n" + got
	if *update {
		if err := os.WriteFile("schema.sql", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Error("schema.sql is stale: run 'go test ./store/sqlite -run SchemaFile -update'")
	}
}

// A program that is older than the file refuses it.
func TestNewerSchemaIsRefused(t *testing.T) {
	a := openTest(t, nil)
	if err := a.update(t.Context(), func(db *conn.Conn) error { return db.Script("PRAGMA user_version = 99") }); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), a.cfg)
	if !errors.Is(err, conn.ErrNewer) || !strings.Contains(err.Error(), "schema 99") {
		t.Errorf("Open = %v", err)
	}
}

// Marks are forgotten after ten minutes, and when there are too many.
func TestRepeatsExpire(t *testing.T) {
	var r repeats
	for i := range int64(10) {
		r.add(i, seen{ordinal: i, at: i * 60_000})
	}
	if _, ok := r.find(0, repeatFor); ok {
		t.Error("a mark of ten minutes ago is found")
	}
	if _, ok := r.find(1, repeatFor); !ok {
		t.Error("a mark of nine minutes ago is not found")
	}
	r.add(0, seen{ordinal: 99, at: repeatFor}) // came again, and stays
	r.expire(repeatFor + 9*60_000)
	if s, ok := r.find(0, repeatFor); !ok || s.ordinal != 99 || len(r.by) != 1 {
		t.Errorf("%d marks are left, the newer is %+v", len(r.by), s)
	}
	for i := range int64(repeatMax + 500) {
		r.add(i+1000, seen{ordinal: i + 100, at: repeatFor})
	}
	r.expire(repeatFor)
	if len(r.by) > repeatMax+1 {
		t.Errorf("%d marks are kept, want %d at most", len(r.by), repeatMax)
	}
	r.expire(3 * repeatFor)
	if len(r.by)+len(r.order) > 0 {
		t.Errorf("%d marks and %d places are left", len(r.by), len(r.order))
	}
}
