package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"parley.im/parley/store/seal"
)

// I3, VIV-9, VIV-12: in a sealed profile nothing of a conversation is in clear in any
// file: while the server runs, after an orderly end, after a crash with a dump, after
// kill -9. Where nothing is sealed the same search finds what was said.
func TestI3NothingIsOnDiskInClear(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"enterprise", "plus"} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			// Not all are colleagues, so that subscriptions are asked for, and kept.
			o := newOrdeal(t, profile, "roster.colleagues=false")
			anna, ben := o.login("anna", "first").in(t), o.login("ben", "first").in(t)
			befriend(t, anna, ben)
			anna.drop()
			ben.drop()
			sealed := profile == "enterprise"
			resumption := o.talk()
			o.search("while it runs", sealed)

			o.d.end(syscall.SIGTERM)
			o.search("after an orderly end", sealed)
			o.d.start()
			again := o.login("ben", o.m.all[named][0].text)
			again.resume = resumption // so it had been kept, with what was not acknowledged
			if got := again.in(t).message("long").child("body").text(); !strings.Contains(got, o.m.of(spoken, "long message")) {
				t.Errorf("the resumed session gets %.50q again, want what was said", got)
			}

			o.talk()
			o.d.end(syscall.SIGQUIT)
			if !strings.Contains(o.d.log(), "SIGQUIT: quit") {
				t.Error("the crash has left no dump in the log")
			}
			o.search("after a crash", sealed)

			o.d.start()
			o.talk()
			o.d.end(syscall.SIGKILL)
			o.search("after kill -9", sealed)
			o.tells(t)
			o.tellsNothing(t)
			o.tells(t)
			o.d.start()
			o.has(o.login("anna", "laptop").in(t))
		})
	}
}

// search looks through all files of the installation. Only root.key may hold the root
// key, and only the log how clients name things.
func (o *ordeal) search(when string, sealed bool) {
	o.t.Helper()
	rootKey := func(path string) bool { return path == filepath.Join(o.dir, "root.key") }
	rootKeyAndLog := func(path string) bool { return rootKey(path) || path == filepath.Join(o.dir, "serve.log") }
	everywhere := []kind{unkept, secret}
	if sealed {
		everywhere = append(everywhere, spoken)
		for path, in := range o.m.below(o.t, o.dir, rootKeyAndLog, named) {
			o.t.Errorf("%s, %s holds %q", when, path, in)
		}
	}
	for path, in := range o.m.below(o.t, o.dir, rootKey, everywhere...) {
		o.t.Errorf("%s, %s holds %q", when, path, in)
	}
	// I7: the log is clean in every profile.
	if in := o.m.found([]byte(o.d.log()), spoken, unkept, secret); len(in) > 0 {
		o.t.Errorf("%s, the log holds %q", when, in)
	}
	if !sealed {
		found := make(map[string]bool)
		for _, in := range o.m.below(o.t, filepath.Join(o.dir, "data"), rootKey, spoken) {
			for _, what := range in {
				found[what] = true
			}
		}
		for _, m := range o.m.all[spoken] {
			if !found[m.in] {
				o.t.Errorf("%s, the search does not find %q although nothing is sealed", when, m.in)
			}
		}
	}
}

// of is the text of the newest mark in that.
func (m *markers) of(k kind, in string) (text string) {
	for _, x := range m.all[k] {
		if x.in == in {
			text = x.text
		}
	}
	return text
}

// tells is true of an installation that is whole: what was said can be shown.
func (o *ordeal) tells(t *testing.T) {
	t.Helper()
	out := o.must("", "conversation", "show", "-config", o.conf)
	for _, what := range []string{"body", "subject", "offline message"} {
		for _, m := range o.m.all[spoken] {
			if m.in == what && !strings.Contains(out, m.text) {
				t.Errorf("conversation show leaves out what was in %q", what)
			}
		}
	}
}

// tellsNothing takes away what is needed for reading. VIV-11: the data folder alone
// is not enough, nor is another root key.
func (o *ordeal) tellsNothing(t *testing.T) {
	t.Helper()
	for _, lost := range []struct {
		what string
		lose func() (giveBack func() error)
	}{
		{"root key", func() func() error {
			path := filepath.Join(o.dir, "root.key")
			other := seal.NewKey()
			o.move(path, path+".away")
			if err := os.WriteFile(path, fmt.Appendf(nil, "%x\n", other[:]), 0o600); err != nil {
				t.Fatal(err)
			}
			return func() error { return os.Rename(path+".away", path) }
		}},
		{"keys", func() func() error {
			path := filepath.Join(o.dir, "keys")
			o.move(path, path+".away")
			return func() error {
				if err := os.RemoveAll(path); err != nil {
					return err
				}
				return os.Rename(path+".away", path)
			}
		}},
	} {
		giveBack := lost.lose()
		out, prose, err := typed(t, "", "conversation", "show", "-config", o.conf)
		if in := o.m.found([]byte(out+prose), spoken, unkept, named, secret); err == nil || len(in) > 0 {
			t.Errorf("without its %s the installation tells %q: %v", lost.what, in, err)
		}
		if err := giveBack(); err != nil {
			t.Fatal(err)
		}
	}
}

func (o *ordeal) move(from, to string) {
	o.t.Helper()
	if err := os.Rename(from, to); err != nil {
		o.t.Fatal(err)
	}
}

// A core would hold everything. A limit of 0 is not enough: Linux hands a core to a
// program in spite of it, but not in spite of a limit of 1.
func TestNoCoreDumps(t *testing.T) {
	dir, _ := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "desk.example")
	d := startDaemon(t, dir)
	var limit unix.Rlimit
	if err := unix.Prlimit(d.cmd.Process.Pid, unix.RLIMIT_CORE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur != 1 || limit.Max != 1 {
		t.Errorf("the limit of cores is %+v, want 1", limit)
	}
}

// I7: no password, key, token or text of a message reaches the log or an error,
// whatever goes wrong, with the most talkative settings.
func TestI7LogsAndErrorsTellNoSecrets(t *testing.T) {
	t.Parallel()
	o := newOrdeal(t, "enterprise")
	o.talk()

	// A disk on which nothing can be written.
	limitFiles(t, o.d, 0)
	anna := o.login("anna", "laptop").in(t)
	anna.send("<message to='ben@desk.example' id='full'><body>%s</body></message>", o.m.make(unkept, "message without room"))
	anna.message("full")
	anna.send("<message to='anna@desk.example' id='new'><body>%s</body></message>", o.m.make(unkept, "first message without room"))
	anna.message("new")
	o.fails(o.m.make(secret, "password without room")+"-42\n", "agent", "add", "-config", o.conf, "-password-stdin", "dora@desk.example")
	limitFiles(t, o.d, unix.RLIM_INFINITY)
	o.d.end(syscall.SIGTERM)

	// Files that were changed.
	o.change("UPDATE log SET sealed = zeroblob(length(sealed)) WHERE ordinal % 2 = 0")
	o.change("UPDATE resume SET sealed = zeroblob(length(sealed))")
	o.change("UPDATE own SET sealed = zeroblob(length(sealed))")
	o.fails("", "conversation", "show", "-config", o.conf)
	o.d.start()
	ben := o.login("ben", "desk").in(t)
	ben.available("")
	ben.archive()
	if answer := ben.ask("get", "anna@desk.example", "<vCard xmlns='vcard-temp'/>"); answer.attr("type") != "error" {
		t.Errorf("Anna's card, changed outside the server, is %s", answer)
	}
	if _, err := o.login("anna", "laptop").try(t); err == nil {
		t.Error("Anna signed in although it is not known whom she has blocked")
	}
	o.d.end(syscall.SIGTERM)
	o.change("UPDATE credential SET sealed = zeroblob(length(sealed))")
	o.d.start()
	if _, err := o.login("ben", "desk").try(t); err == nil {
		t.Error("Ben signed in although his password was changed outside the server")
	}
	o.d.end(syscall.SIGTERM)

	// Keys that are wrong.
	o.tellsNothing(t)

	log := o.d.log()
	if in := o.m.found([]byte(log), spoken, unkept, secret); len(in) > 0 {
		t.Errorf("the log holds %q", in)
	}
	if in := o.m.found([]byte(o.prose.String()), spoken, unkept, secret); len(in) > 0 {
		t.Errorf("errors hold %q", in)
	}
	for _, want := range []string{"level=DEBUG", "can't write", "webhook failed", "signed in"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q, so that it proves little", want)
		}
	}
}
