package xmppd

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// come lets somebody take a turn for a while, and note the name at its beginning.
func come(q *turns, t *turn, long time.Duration, began func()) {
	go func() { // ends with its turn
		q.take(t)
		began()
		<-time.After(long)
		q.leave(t)
	}()
	synctest.Wait()
}

// standing is how many turns are free and how many are held.
func (q *turns) standing() [2]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return [2]int{q.free, len(q.held)}
}

// First come, first served, one of each kind after the other: there may be any number of
// newcomers.
func TestTurnsAlternate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &turns{lease: time.Minute, free: 1}
		var order []string
		for i, kind := range []int{sessions, newcomers, newcomers, newcomers, sessions, secured} {
			name := fmt.Sprint([]string{"session", "newcomer", "secured"}[kind], i)
			come(q, &turn{kind: kind}, time.Second, func() { order = append(order, name) })
		}
		<-time.After(10 * time.Second)
		if want := []string{"session0", "newcomer1", "secured5", "session4", "newcomer2", "newcomer3"}; !slices.Equal(order, want) {
			t.Errorf("the order is %v, want %v", order, want)
		}
		if got := q.standing(); got != [2]int{1, 0} {
			t.Errorf("afterwards %d are free, and %d held", got[0], got[1])
		}
	})
}

// Whoever keeps a turn too long loses it to the next, and giving it back later gives nothing
// back twice.
func TestALongTurnEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &turns{lease: turnLease, free: 1}
		long := new(turn)
		come(q, long, time.Minute, func() {})
		from, began := time.Now(), make(chan time.Duration, 1)
		come(q, new(turn), time.Hour, func() { began <- time.Since(from) })
		if at := <-began; at < turnLease || at > 3*turnLease {
			t.Errorf("the next turn began after %v, want %v to %v", at, turnLease, 3*turnLease)
		}
		<-time.After(time.Minute) // the long one is left meanwhile
		if got := q.standing(); got != [2]int{0, 1} {
			t.Errorf("while the second turn lasts, %d are free, and %d held", got[0], got[1])
		}
		<-time.After(2 * time.Hour)
		if got := q.standing(); got != [2]int{1, 0} {
			t.Errorf("afterwards %d are free, and %d held", got[0], got[1])
		}
	})
}

// While somebody modest is served, what is done in turns is a small part of the time;
// otherwise all of it.
func TestTurnsRest(t *testing.T) {
	const each, times = time.Millisecond, 100
	for _, c := range []struct {
		modest bool
		want   time.Duration
	}{{false, times * each}, {true, (1 + restTimes) * times * each}} {
		synctest.Test(t, func(t *testing.T) {
			q := &turns{lease: turnLease, free: 1}
			from := time.Now()
			var mine turn
			for range times {
				if c.modest {
					q.served(time.Now())
				}
				q.take(&mine)
				<-time.After(each)
				q.leave(&mine)
			}
			if took := time.Since(from); took < c.want*9/10 || took > c.want*11/10 {
				t.Errorf("modest %t: it took %v, want %v", c.modest, took, c.want)
			}
			<-time.After(time.Second) // the last rest
		})
	}
}

// newWritten is a session, and what has been written to it so far.
func newWritten(t *testing.T) (*Session, func() string) {
	l := testLimits
	l.Queue, l.QueueBytes = 64, 64<<10
	s := newTestAgent(newTestServer(t, l), "anna").away("phone")
	ours, theirs := net.Pipe()
	var mu sync.Mutex
	var got []byte
	done := make(chan struct{})
	go func() { // ends with the pipe
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := theirs.Read(buf)
			mu.Lock()
			got = append(got, buf[:n]...)
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	s.epoch = newEpoch(ours, nil)
	t.Cleanup(func() {
		s.mu.Lock()
		s.epoch = nil
		s.mu.Unlock()
		ours.Close()
		<-done
	})
	return s, func() string {
		mu.Lock()
		defer mu.Unlock()
		return string(got)
	}
}

// What waits for its turn to be written leaves at once with what cannot wait, and once.
func TestUrgentTakesAlongWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, got := newWritten(t)
		q := &s.server.turns
		var first turn
		q.free = 1
		q.take(&first) // nobody else's turn comes
		s.push(presenceFrom("a", ""))
		s.kickSoon()
		s.kickSoon()
		synctest.Wait()
		if n := len(got()); n != 0 {
			t.Errorf("%d bytes came before their turn", n)
		}
		s.push(presenceFrom("b", ""))
		s.kick()
		synctest.Wait()
		want := string(presenceFrom("a", "").data) + string(presenceFrom("b", "").data)
		if g := got(); g != want {
			t.Errorf("got %q, want %q", g, want)
		}
		s.push(presenceFrom("c", ""))
		s.kickSoon()
		q.leave(&first)
		<-time.After(time.Second)
		if want += string(presenceFrom("c", "").data); got() != want {
			t.Errorf("at last %q, want %q", got(), want)
		}
	})
}

// What an agent's sessions make many read is counted together: signing in again renews
// nothing.
func TestPresenceIsCountedByAgent(t *testing.T) {
	d := newOffice(t, "anna", "bob")
	bob := d.device("bob", "desk", "1")
	for range 3 {
		anna := d.device("anna", "phone", "1")
		anna.spent.silent = time.Time{}
		anna.tells(presenceBurst)
		anna.gone()
	}
	anna := d.device("anna", "phone", "1")
	if left := time.Until(anna.spent.silent); left < (longestPause-1)*time.Second || left > longestPause*time.Second {
		t.Errorf("anna's fourth session is silent for %v, want %d s", left, longestPause)
	}
	bob.says(t, "<presence/>")
	if !bob.spent.silent.Before(time.Now().Add(time.Second)) {
		t.Error("bob is to be silent, too")
	}
}
