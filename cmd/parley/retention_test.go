package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/xmppd/xmpptest"
)

// VIV-8, I3: when the clock is past the limit nothing of what was said is left in any
// file, sealed or not: not in the log, not among what receivers answered, nor in what
// was kept of sessions.
func TestI3NothingIsLeftOfWhatHasExpired(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"enterprise", "plus"} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			o := newOrdeal(t, profile, "retention."+profile+"=40d")
			o.talk()
			o.d.end(syscall.SIGTERM)
			o.search("before it has expired", profile == "enterprise")

			// One account is asleep and one is disabled: both are looked after.
			o.must("", "account", "list", "-config", o.conf)
			i := laterInstallation(t, o.conf, 41*24*time.Hour)
			newRetention(i).look(t.Context(), i.now(), func(time.Time) bool { return true })
			if err := i.Close(); err != nil {
				t.Fatal(err)
			}
			if where := o.m.below(t, o.dir, func(string) bool { return false }, spoken); len(where) > 0 {
				t.Errorf("of what has expired %v is left", where)
			}
			out := o.must("", "conversation", "show", "-config", o.conf)
			if in := o.m.found([]byte(out), spoken); len(in) > 0 {
				t.Errorf("conversation show tells %q", in)
			}
			// And everything goes on.
			o.d.start()
			o.talk()
			o.d.end(syscall.SIGTERM)
			o.search("after something has expired", profile == "enterprise")
		})
	}
}

// laterInstallation opens an installation by a clock that is ahead.
func laterInstallation(t *testing.T, config string, by time.Duration) *installation {
	t.Helper()
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	i, err := openInstallation(t.Context(), f, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	i.now = func() time.Time { return time.Now().Add(by) }
	return i
}

// A clock is trusted when it has been steady, or was right a moment ago; one that jumps
// by a day is not, in neither direction, until it has been steady again.
func TestClockThatJumps(t *testing.T) {
	for _, jump := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var ahead time.Duration
			s := newSteadiness(func() time.Time { return time.Now().Add(ahead) })
			began := time.Now()
			look := func(want bool, when string, written time.Time) {
				t.Helper()
				if _, trusted := s.look(); trusted(written) != want {
					t.Errorf("with a jump of %v, %s the clock is trusted: %v, want %v", jump, when, !want, want)
				}
			}
			long := began.Add(-100 * 24 * time.Hour)
			look(true, "right after records were written", began.Add(-time.Minute))
			look(false, "after a long pause", long)
			for range 5 {
				<-time.After(time.Hour)
				look(false, "for some hours after that", long)
			}
			<-time.After(time.Hour)
			look(true, "after six hours", long)
			ahead = jump
			<-time.After(time.Hour)
			look(false, "after a jump", long)
			look(false, "after a jump, though records say so", time.Now().Add(ahead))
			ahead = 0
			<-time.After(time.Hour)
			look(false, "after a jump back", long)
			for range 6 {
				<-time.After(time.Hour)
			}
			look(true, "when it was steady again", long)
		})
	}
}

// The server does it by itself, and not by a clock that was wrong for a while.
func TestServerDestroysWhatHasExpired(t *testing.T) {
	t.Parallel()
	talk, err := xmpptest.Parse("expired.talk", `What Anna says is kept for eight hours.

-- cast --
anna   agent   desk.example   "correct horse"

-- parley.toml --
[retention]
enterprise = "8h"

-- talk --
anna/laptop signs in
anna/laptop > <message to='anna@desk.example' type='chat' id='m1'><body>a note to myself</body></message>
anna/laptop < nothing
anna/laptop closes
`)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := newTalkServer(t, talk)
		talk.Play(t, s)
		records := func() (n int64) {
			for _, a := range s.server.inService() {
				all, err := a.store.Conversations(context.Background(), 0, 100)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range all {
					if c.ID > 1 {
						n += c.Records
					}
				}
			}
			return n
		}
		<-time.After(7*time.Hour + 30*time.Minute)
		if n := records(); n != 1 {
			t.Errorf("%d records are there before the time, want 1", n)
		}
		<-time.After(time.Hour)
		synctest.Wait()
		if n := records(); n != 0 {
			t.Errorf("%d records are there after the time, want none", n)
		}
		var figures []string
		for name, value := range s.server.inst.retention.figures() {
			figures = append(figures, fmt.Sprintf("%s=%d", name, value()))
		}
		for _, want := range []string{"records_destroyed_total=", "failures_total=0", "clock_waits=0"} {
			if !strings.Contains(strings.Join(figures, " "), want) {
				t.Errorf("the figures are %s, want %s", figures, want)
			}
		}
	})
}

func TestHolds(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, _, config string, list func() []string) {
		must(t, "correct horse 42\n", "agent", "add", "-password-stdin", "-config", config, "anna@desk.example")
		refused(t, "there is no conversation 99", "", "conversation", "hold", "-config", config, "99")
		refused(t, "not a conversation's number", "", "conversation", "hold", "-config", config, "x")
		refused(t, "the hold would have ended", "", "account", "hold", "-config", config, "-until", "2020-01-01", "desk")
		if _, prose, err := typed(t, "", "account", "hold", "-config", config, "-until", "soon", "desk"); exitCode(err) != 2 || !strings.Contains(prose, "not a date") {
			t.Errorf("-until soon: %v, %s", err, prose)
		}
		must(t, "", "conversation", "hold", "-config", config, "-until", "2999-12-31", "1")
		if out := must(t, "", "conversation", "list", "-config", config); !strings.Contains(out, "held until 3000-01-01 00:00:00") {
			t.Errorf("list: %s", out)
		}
		must(t, "", "conversation", "release", "-config", config, "1")
		if out := must(t, "", "conversation", "list", "-config", config); strings.Contains(out, "held") {
			t.Errorf("list after the release: %s", out)
		}
		must(t, "", "account", "hold", "-config", config, "desk")
		if out := must(t, "", "account", "show", "-config", config, "desk"); !strings.Contains(out, "hold        held\n") {
			t.Errorf("show: %s", out)
		}
		must(t, "", "account", "add", "-domain", "shop.example", "-config", config, "shop")
		must(t, "", "account", "disable", "-config", config, "shop")
		must(t, "", "conversation", "hold", "-config", config, "-account", "shop", "1")
		refused(t, "conversation 1 of account shop is held", "", "account", "delete", "-config", config, "shop")
		must(t, "", "account", "hold", "-config", config, "shop")
		refused(t, "account shop is held", "", "account", "delete", "-config", config, "shop")
		must(t, "", "account", "release", "-config", config, "shop")
		must(t, "", "conversation", "release", "-config", config, "-account", "shop", "1")
		must(t, "", "account", "delete", "-config", config, "shop")
		must(t, "", "account", "release", "-config", config, "desk")
		if out := must(t, "", "account", "show", "-config", config, "desk"); strings.Contains(out, "held") {
			t.Errorf("show after the release: %s", out)
		}
	})
}
