package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parley.im/parley/xmppd/wire"
)

// Voices are honest agents who talk in pairs, and note for each message when it came and
// how often.
type voices struct {
	t   *testing.T
	all []*voice
}

// A voice is the device of one of them. Every other one takes part in stream management.
type voice struct {
	name, partner string
	conn          *tls.Conn
	in            *wire.Reader
	managed       bool
	said          int // by what talks only

	mu      sync.Mutex // guards what follows, and writing
	heard   map[string]int
	took    []time.Duration
	ended   error
	handled uint32
}

// voices signs agents in, in pairs of neighbours.
func (d *daemon) voices(password string, names ...string) *voices {
	d.t.Helper()
	v := &voices{t: d.t}
	for i, name := range names {
		l := d.login(name, password, "voice")
		o := &voice{name: name, partner: names[i^1] + "@desk.example", heard: make(map[string]int), managed: i%4 < 2}
		j := l.quietly(d.t)
		o.conn = j.conn
		o.in = wire.NewReader(io.MultiReader(strings.NewReader(fmt.Sprintf(streamHeader, l.domain)), j.in), wire.Limits{})
		if _, err := o.in.Header(); err != nil {
			d.t.Fatal(err)
		}
		if o.managed {
			o.write("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
		}
		o.write("<presence/>")
		go o.listen() // ends with the connection
		v.all = append(v.all, o)
	}
	return v
}

// quietly signs in, and leaves it to the caller to read.
func (l login) quietly(t *testing.T) *jabber {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	raw, err := l.dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	j := &jabber{t: t, conn: tls.Client(raw, &tls.Config{ServerName: l.domain, RootCAs: l.roots, MinVersion: tls.VersionTLS12})}
	j.in = bufio.NewReader(j.conn)
	if err := errors.Join(raw.SetDeadline(time.Now().Add(patience)), j.begin(l)); err != nil {
		t.Fatalf("%s signs in: %v", l.name, err)
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	return j
}

func (o *voice) write(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = io.WriteString(o.conn, text) // where the server has gone, listen finds out why
}

// listen notes what comes until the stream ends.
func (o *voice) listen() {
	counting := false
	for {
		st, err := o.in.Next()
		if err == nil && st.Kind == wire.Nonza && st.Name == "error" {
			err = errors.New(string(st.Inner))
		}
		if err != nil {
			o.mu.Lock()
			o.ended = err
			o.mu.Unlock()
			return
		}
		switch {
		case st.Kind == wire.Message && string(st.Type) != "error":
			o.note(string(st.ID))
		case st.Kind == wire.Message && strings.HasPrefix(string(st.ID), o.name+","):
			o.mu.Lock()
			o.ended = fmt.Errorf("%s was refused: %s", st.ID, st.Inner)
			o.mu.Unlock()
		case st.Kind == wire.IQ && string(st.Type) == "get": // the server's ping
			o.write("<iq type='result' id='" + string(st.ID) + "' to='" + string(st.From) + "'/>")
		case st.Name == "enabled":
			counting = true
		case st.Name == "r":
			o.mu.Lock()
			h := o.handled
			o.mu.Unlock()
			o.write("<a xmlns='urn:xmpp:sm:3' h='" + strconv.Itoa(int(h)) + "'/>")
		}
		if counting && st.Kind != wire.Nonza {
			o.mu.Lock()
			o.handled++
			o.mu.Unlock()
		}
	}
}

// note takes down a message; its id is "NAME,NUMBER,TIME".
func (o *voice) note(id string) {
	part := strings.Split(id, ",")
	if len(part) != 3 {
		return // somebody else's
	}
	at, err := strconv.ParseInt(part[2], 10, 64)
	if err != nil {
		return
	}
	took := time.Since(time.Unix(0, at))
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard[part[0]+","+part[1]]++
	o.took = append(o.took, took)
}

// during lets each say something now and then while something is done, and returns what
// the median, the 99th and the last of a hundred messages took. Nothing may be lost or
// doubled, and nobody cut off.
func (v *voices) during(every time.Duration, do func()) (median, p99, worst time.Duration) {
	v.t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i, o := range v.all {
		wg.Go(func() { o.say(every*time.Duration(i)/time.Duration(len(v.all)), every, stop) })
	}
	do()
	close(stop)
	wg.Wait()
	eventually(v.t, "all have heard what was said to them", func() bool { return v.missing() == "" })
	return v.times()
}

// say says something now and then until stop is closed.
func (o *voice) say(first, every time.Duration, stop <-chan struct{}) {
	pause := time.NewTimer(first)
	defer pause.Stop()
	for {
		select {
		case <-stop:
			return
		case <-pause.C:
		}
		o.said++
		o.write(fmt.Sprintf("<message to='%s' type='chat' id='%s,%d,%d'><body>hello</body></message>", o.partner, o.name, o.said, time.Now().UnixNano()))
		pause.Reset(every)
	}
}

// times are how long messages took since this was last asked.
func (v *voices) times() (median, p99, worst time.Duration) {
	v.t.Helper()
	var took []time.Duration
	for _, o := range v.all {
		o.mu.Lock()
		took = append(took, o.took...)
		o.took = o.took[:0]
		for id, n := range o.heard {
			if n != 1 {
				v.t.Errorf("%s heard %s %d times", o.name, id, n)
			}
		}
		o.mu.Unlock()
	}
	slices.Sort(took)
	if len(took) == 0 {
		v.t.Fatal("nobody said anything")
	}
	return took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
}

// missing says who has not heard everything yet; "" for nobody.
func (v *voices) missing() string {
	for i, o := range v.all {
		o.mu.Lock()
		ended, heard := o.ended, len(o.heard)
		o.mu.Unlock()
		if ended != nil {
			v.t.Fatalf("%s was cut off: %v", o.name, ended)
		}
		if said := v.all[i^1].said; heard != said {
			return fmt.Sprintf("%s has heard %d of %d", o.name, heard, said)
		}
	}
	return ""
}
