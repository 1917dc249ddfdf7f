package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/store/keys"
)

// I2: a message that begins a conversation is written in steps: its secret into the key
// database, that synced, then its rows into the log, that synced. The server is killed at
// each of them in turn; the client, not acknowledged, sends again to the next one.
// Afterwards everything is there once, and no secret without its conversation.
func TestI2BetweenSteps(t *testing.T) {
	t.Parallel()
	const most = 12 // steps at one file
	anna, peers := "anna@localhost", make([]string, 2*most)
	for i := range peers {
		peers[i] = fmt.Sprintf("peer%d@localhost", i)
	}
	s := newScene(t, append([]string{anna}, peers...)...)
	dir := filepath.Dir(s.config)
	var told []string
	for _, name := range []string{"keys/desk.db-wal", "data/accounts/desk/data.db-wal"} {
		deaths := 0
		for step := 1; step <= most; step++ {
			id := fmt.Sprintf("m%d", len(told)+1)
			if told = append(told, id); s.killedAt(filepath.Join(dir, name), step, anna, peers[len(told)-1], id) {
				deaths++
			} else {
				break
			}
		}
		if deaths < 2 {
			t.Errorf("%d kills at %s, want one at a write and one at a sync at least", deaths, name)
		}
	}
	p := startParley(t, s.config)
	s.began(p.ready(t))
	var found []string
	if err := s.visit(anna).archived(func(_ string, m *element) { found = append(found, m.attr("id")) }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(found, told) {
		t.Errorf("the archive has %v, want %v", found, told)
	}
	p.stop(t)
	p.sound(t)
	s.noOrphans()
}

// killedAt starts the server so that it is killed at the nth write to a file, or sync of
// it, and has a client send a message through that, and again if it is not acknowledged.
// It answers whether the kill came between.
func (c *scene) killedAt(file string, n int, from, to, id string) (killed bool) {
	c.t.Helper()
	trace := filepath.Join(c.t.TempDir(), "trace")
	p := startParley(c.t, c.config, strace(c.t, trace, "-P", file, "-e", "trace=pwrite64,fdatasync,fsync",
		"-e", "inject=pwrite64,fdatasync,fsync:signal=KILL:when="+strconv.Itoa(n))...)
	defer p.kill()
	if addr := p.ready(c.t); addr != "" {
		c.began(addr)
		if c.tellOnce(from, to, id) == nil {
			return false
		}
	}
	<-p.ended
	p.sound(c.t)
	again := startParley(c.t, c.config)
	defer again.kill()
	c.began(again.ready(c.t))
	if err := c.tellOnce(from, to, id); err != nil {
		c.t.Fatalf("%s, killed at step %d of %s: %v\n%s", id, n, file, err, again.out)
	}
	again.sound(c.t)
	return true
}

// tellOnce signs in and sends a message; nil if it is acknowledged.
func (c *scene) tellOnce(from, to, id string) error {
	s, err := dialStream(c.addr, c.roots, from, scenePassword)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	if err := s.bind("tell"); err != nil {
		return err
	}
	if _, err := s.enable(false); err != nil {
		return err
	}
	return s.tell(to, id)
}

// noOrphans looks into the stores, while no server runs, for secrets that belong to no
// conversation.
func (c *scene) noOrphans() {
	c.t.Helper()
	f, err := conf.Load(c.config, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	inst, err := openInstallation(context.Background(), f, slog.New(slog.DiscardHandler))
	if err != nil {
		c.t.Fatal(err)
	}
	defer inst.Close()
	a, err := inst.account(context.Background(), "desk")
	if err != nil {
		c.t.Fatal(err)
	}
	all, err := a.store.Conversations(context.Background(), 0, 1000)
	if err != nil {
		c.t.Fatal(err)
	}
	known := make(map[int64]bool)
	for _, s := range all {
		known[int64(s.ID)] = true
	}
	if err := a.keys.All(context.Background(), keys.OfConversation, func(id keys.ID) {
		if !known[id.Number] {
			c.t.Errorf("secret %d belongs to no conversation", id.Number)
		}
	}); err != nil {
		c.t.Fatal(err)
	}
}

// I2: what a killed server had written, but not synced, is found by the next one, for
// which it looks as if it were kept. Before anybody is told so, it is synced.
func TestI2FoundIsSynced(t *testing.T) {
	t.Parallel()
	const anna, bob = "anna@localhost", "bob@localhost"
	s := newScene(t, anna, bob)
	log := filepath.Join(filepath.Dir(s.config), "data/accounts/desk/data.db-wal")
	dir := t.TempDir()

	// Each sync takes so long that the server can be killed at it.
	p := startParley(t, s.config, strace(t, filepath.Join(dir, "first"), "-P", log, "-e", "trace=fdatasync,fsync",
		"-e", "inject=fdatasync,fsync:delay_enter=1000000")...)
	s.began(p.ready(t))
	client := s.visit(anna)
	if _, err := client.enable(false); err != nil {
		t.Fatal(err)
	}
	if err := client.tell(bob, "m1"); err != nil { // which makes the conversation
		t.Fatal(err)
	}
	before := changed(t, log)
	if err := client.send(hello(bob, "m2")); err != nil {
		t.Fatal(err)
	}
	last, since := before, time.Now()
	eventually(t, "the message is written", func() bool {
		if now := changed(t, log); now != last {
			last, since = now, time.Now()
		}
		return last != before && time.Since(since) > 300*time.Millisecond
	})
	p.kill()
	client.conn.Close()

	out := filepath.Join(dir, "second")
	p = startParley(t, s.config, strace(t, out, "-e", tracedCalls)...)
	s.began(p.ready(t))
	client = s.visit(anna)
	defer client.conn.Close()
	s.exchange(client, bob, "m2")
	calls, x := traced(t, p, out, peer(client))
	if slices.ContainsFunc(calls, func(c *systemCall) bool {
		return c.writes("<"+log) && c.begun > x.read.done && c.begun < x.ack.begun
	}) {
		t.Fatal("the message was not found, so that this shows nothing")
	}
	if !slices.ContainsFunc(calls, func(c *systemCall) bool { return c.syncs(log) && c.done < x.ack.begun }) {
		t.Error("acknowledged from a write-ahead log that nobody has synced")
	}
}

// changed is when a file was last written.
func changed(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}
