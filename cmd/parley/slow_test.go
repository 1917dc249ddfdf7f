package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// slowReaderIsCutAlone: devices that stop reading, under a flood, over TCP; one takes part
// in stream management and one does not. The server holds so much for them and no more;
// those who talk beside them notice nothing (I5); and what was said to them is theirs when
// they return (rules 23 and 36; CVE-2010-0305 was a queue without a bound). Talk 80 tells
// what the device sees.
func slowReaderIsCutAlone(t *testing.T) {
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "-set", "limits.queue_bytes='512 KiB'", "-set", "roster.colleagues=false", "desk.example")
	var names []string
	people := ""
	for i := range 8 {
		names = append(names, fmt.Sprintf("voice%d", i))
	}
	for _, name := range append([]string{"anna", "bob", "dora"}, names...) {
		people += name + "@desk.example\tcorrect horse 42\n"
	}
	must(t, people, "agent", "import", "-config", config)
	d := startDaemon(t, dir)
	anna := d.login("anna", "correct horse 42", "laptop").in(t)
	v := d.voices("correct horse 42", names...)

	// What a flood costs when it is read.
	const messages, size = 100, 16 << 10
	f := &flood{t: t, anna: anna, body: strings.Repeat("x", size)}
	reading := []*jabber{d.login("bob", "correct horse 42", "desk").in(t), d.login("dora", "correct horse 42", "desk").in(t)}
	for _, j := range reading {
		j.available("")
	}
	_, quiet, _ := v.during(20*time.Millisecond, func() { f.send(messages) })
	for _, j := range reading {
		if got := arrived(j.rest()); len(got) != messages {
			t.Errorf("%s has read %d messages of %d", j.jid, len(got), messages)
		}
		j.send("</stream:stream>")
		for e := j.next(); e != nil; e = j.next() {
			t.Errorf("%s got %s as well", j.jid, e)
		}
	}

	// And when it is not.
	bob, dora := d.login("bob", "correct horse 42", "phone").quietly(t), d.login("dora", "correct horse 42", "tablet").quietly(t)
	bob.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	enabled, err := bob.element()
	if err != nil {
		t.Fatal(err)
	}
	bob.send("<presence/>")
	dora.send("<presence/>")
	before := d.stands()
	cut := func() int {
		_, body := d.get("/metrics")
		return int(figures(t, body)["parley_sessions_too_slow_total"])
	}
	_, slow, worst := v.during(20*time.Millisecond, func() {
		for f.said = f.sent; cut() < 2 && f.sent < 100*messages; { // the network holds some MiB as well
			f.more(messages / 2)
		}
	})
	t.Logf("99 of a hundred messages beside a flood that is read: %v, that is not: %v, the worst %v", quiet, slow, worst)
	most := 5*quiet + time.Second
	if all() {
		most = 2 * quiet
	}
	if slow > most {
		t.Errorf("p99 is %v beside devices that do not read, and %v beside those that do", slow, quiet)
	}
	if n := cut(); n != 2 {
		t.Fatalf("%d are cut after %d messages of %d bytes each", n, f.sent-f.said, size)
	}

	// Bob cannot go on where he was, and is given all of it, once and in order. Dora has
	// got what had left before: together with that it is all, and nothing else twice than
	// what was being written when the line was cut.
	back := d.login("bob", "correct horse 42", "phone")
	back.resume = enabled.attr("id")
	if _, err := back.try(t); err == nil || !strings.Contains(err.Error(), "item-not-found") {
		t.Errorf("the session that was cut: %v, want item-not-found", err)
	}
	var had []string
	for {
		e, err := dora.element()
		if err != nil {
			break
		}
		had = append(had, arrived([]*tree{e})...)
	}
	f.check(d, "bob", nil)
	f.check(d, "dora", had)
	var after standing
	eventually(t, "those who returned are forgotten", func() bool { // they left without a word
		after = d.stands()
		return after.goroutines <= before.goroutines
	})
	if after.heap > before.heap+1<<20 {
		t.Errorf("before there were %v, afterwards there are %v", before, after)
	}
}

// A flood is many messages of Anna's to Bob and Dora alike.
type flood struct {
	t    *testing.T
	anna *jabber
	body string
	said int // before the last send
	sent int
}

func (f *flood) send(n int) {
	f.said = f.sent
	f.more(n)
}

func (f *flood) more(n int) {
	for range n {
		f.sent++
		for _, to := range []string{"bob", "dora"} {
			f.anna.send("<message to='%s@desk.example' type='chat' id='%d'><body>%s</body></message>", to, f.sent, f.body)
		}
		if f.sent%10 == 0 {
			f.anna.rest()
		}
	}
}

// arrived are the ids of the messages among elements.
func arrived(all []*tree) (ids []string) {
	for _, e := range all {
		if e.name.Local == "message" {
			ids = append(ids, e.attr("id"))
		}
	}
	return ids
}

// check lets somebody return who had some of the flood, and looks for the rest.
func (f *flood) check(d *daemon, name string, had []string) {
	f.t.Helper()
	j := d.login(name, "correct horse 42", "return").in(f.t)
	j.send("<presence/>")
	n := f.said
	for i, id := range had {
		if n++; id != fmt.Sprint(n) {
			f.t.Fatalf("%s had %s as number %d, want %d", name, id, i, n)
		}
	}
	first := arrived([]*tree{j.until("what waited", func(e *tree) bool { return e.name.Local == "message" })})[0]
	again := -1
	for k := f.said + 1; k <= n+1; k++ {
		if first == fmt.Sprint(k) {
			again = n + 1 - k
		}
	}
	if again < 0 || again > writtenAtOnce/len(f.body)+1 {
		f.t.Fatalf("%s, who had up to %d, is given %s first", name, n, first)
	}
	for k := n + 2 - again; k <= f.sent; k++ {
		e := j.until("what waited", func(e *tree) bool { return e.name.Local == "message" })
		if e.attr("id") != fmt.Sprint(k) || e.child("body").text() != f.body {
			f.t.Fatalf("%s is given %s, want %d", name, e.attr("id"), k)
		}
	}
	if got := j.rest(); len(arrived(got)) > 0 {
		f.t.Errorf("%s is given %s as well", name, got)
	}
	j.drop()
	if err := j.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
		f.t.Error(err)
	}
}

// writtenAtOnce is what the server writes at a time, at most.
const writtenAtOnce = 64 << 10
