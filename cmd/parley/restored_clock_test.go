package main

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/store"
)

// A server that was restored from an older copy may stand on a machine whose clock is wrong:
// nothing expires by it until it has been steady for hours, however old the messages seem.
func TestRestoredServerTrustsNoClockAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		identity, options := safes(t, dir, "1h")
		args := []string{"quickstart", "-dir", dir, "-set", "auth.iterations=10000", "-set", "retention.enterprise=8h"}
		for _, option := range options {
			args = append(args, "-set", option)
		}
		must(t, "", append(args, "desk.example")...)
		must(t, "correct horse 42\n", "agent", "add", "-config", filepath.Join(dir, "parley.toml"), "-password-stdin", "anna@desk.example")
		i, notes := annasNotes(t, dir)
		done := make(chan error, 1)
		i.account1(t).store.Append(&store.Batch{
			Ops:  []store.Op{{Conversation: notes, Kind: store.KindMessage, Actor: 1, At: time.Now(), Data: []byte("a note")}},
			Done: func(b *store.Batch) { done <- b.Err },
		})
		if err := errors.Join(<-done, i.Close()); err != nil {
			t.Fatal(err)
		}
		must(t, "", "backup", "-config", filepath.Join(dir, "parley.toml"))

		<-time.After(9 * time.Hour)
		i, notes = annasNotes(t, restored(t, dir, identity))
		defer func() {
			if err := i.Close(); err != nil {
				t.Error(err)
			}
		}()
		r, clock := newRetention(i.installation), newSteadiness(i.now)
		look := func(when string, want int) {
			t.Helper()
			now, trusted := clock.look()
			r.look(t.Context(), now, trusted)
			n := 0
			err := i.account1(t).store.Transcript(t.Context(), notes.ID(), func(*store.Entry) error { n++; return nil })
			if n != want || err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s there are %d notes, want %d (%v)", when, n, want, err)
			}
			if waits := r.waiting.Load(); waits != int64(want) {
				t.Errorf("%s %d accounts wait for a clock to be trusted, want %d", when, waits, want)
			}
		}
		look("at once", 1)
		for range 5 {
			<-time.After(time.Hour)
			look("for some hours", 1)
		}
		<-time.After(time.Hour)
		look("after six hours", 0)
	})
}

// An annas is an installation with Anna's notes.
type annas struct{ *installation }

func (o annas) account1(t *testing.T) *account {
	t.Helper()
	a, err := o.account(t.Context(), "desk")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func annasNotes(t *testing.T, dir string) (annas, store.Conversation) {
	t.Helper()
	f, err := conf.Load(filepath.Join(dir, "parley.toml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	i, err := openInstallation(t.Context(), f, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	o := annas{i}
	anna, err := o.account1(t).store.Agent(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}
	notes, err := o.account1(t).store.Direct(t.Context(), anna.ID, anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	return o, notes
}
