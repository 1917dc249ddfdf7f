package xmppd

import (
	"errors"
	"sync/atomic"
	"testing"

	"parley.im/parley/xmppd/desk"
)

// What is begun beside the sessions, from any goroutine, ends before Shutdown returns, or does not begin.
func TestAside(t *testing.T) {
	s := newTestServer(t, testLimits)
	var running atomic.Int64
	began := make(chan struct{}, 1)
	refused := make(chan struct{})
	go func() {
		defer close(refused)
		for s.aside(func() {
			running.Add(1)
			select {
			case began <- struct{}{}:
			default:
			}
			running.Add(-1)
		}) {
		}
	}()
	<-began
	release, held := make(chan struct{}), make(chan struct{})
	s.aside(func() {
		running.Add(1)
		close(held)
		<-release
		running.Add(-1)
	})
	<-held
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(t.Context()) }()
	<-refused // from now on nothing begins
	select {
	case err := <-ended:
		t.Fatalf("it has not waited: %v", err)
	default:
	}
	close(release)
	if err := <-ended; err != nil || running.Load() != 0 {
		t.Errorf("it ends while %d go on: %v", running.Load(), err)
	}
	if s.aside(func() { t.Error("it begins afterwards") }) {
		t.Error("it says that it begins")
	}
}

// An account that comes when the server ends is not taken up: nobody would put it away.
func TestAccountComesTooLate(t *testing.T) {
	d := newOffice(t, "anna")
	if err := d.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := desk.Defaults()
	if err := d.server.AddAccount(t.Context(), Account{ID: "shop", Domain: "shop.example", Store: d.store, Support: &s}); !errors.Is(err, ErrClosed) {
		t.Errorf("it is answered with %v", err)
	}
	if err := d.server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
