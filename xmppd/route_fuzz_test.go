package xmppd

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
	"parley.im/parley/xmppd/xmpptest"
)

// FuzzRoute lets a bound client send anything, and behind that stanzas made of what the
// handlers look at, with anything missing (chooser). Nothing panics or is "something wrong
// here"; a request gets one answer, and an error or a result none (RFC 6120 §8.2.3,
// §8.3.1; rule 9); the server counts each stanza once (XEP-0198 §4; rule 32); and no
// session is left behind.
func FuzzRoute(f *testing.F) {
	for _, text := range oddStanzas {
		f.Add(text, []byte(nil))
	}
	for i := range 64 { // what a generator makes of these, mutation goes on from
		f.Add("", bytes.Repeat([]byte{byte(i), byte(7 * i), byte(i * i)}, 20))
	}
	paths, err := filepath.Glob("../testdata/talks/*.talk")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no talks: %v", err)
	}
	for _, path := range paths {
		talk, err := xmpptest.Load(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, text := range talk.Sent() {
			f.Add(text, []byte(nil))
		}
		f.Add(strings.Join(talk.Sent(), ""), []byte(nil))
	}
	d := newCounter(f)
	f.Fuzz(func(t *testing.T, text string, choices []byte) {
		text += (&chooser{choices}).stanzas()
		sent, whole := elements(text)
		if !whole {
			t.Skip("FuzzReader tries what is no whole element")
		}
		d.complaints.Store(t)
		defer d.complaints.Store(nil)
		phone, bob := d.device(t, d.anna, "phone"), d.device(t, d.bob, "desk")
		phone.say("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq><presence><priority>-1</priority></presence>")
		bob.say("<presence/>")
		laptop := d.device(t, d.anna, "laptop")
		laptop.say("<enable xmlns='urn:xmpp:sm:3'/>" + text + lastRequest)
		laptop.until("id='" + lastID + "'") // or the stream has ended
		laptop.say("<r xmlns='urn:xmpp:sm:3'/>" + wire.StreamEnd)
		laptop.check(sent)
		for _, o := range []*testDevice{phone, bob} {
			o.session.end(wire.StreamError{Condition: wire.SystemShutdown})
		}
		phone.heard()
		bob.checkFrom("anna@desk.example/laptop", "anna@desk.example/phone", "bob@desk.example/desk")
		for _, g := range []*agent{d.anna, d.bob} {
			if n := len(g.list()); n != 0 || g.online.Load() != 0 || g.present != 0 {
				t.Errorf("%s has %d sessions left, counted as %d, of which %d are available", g.name, n, g.online.Load(), g.present)
			}
			g.mu.Lock() // what this one left behind is not for the next
			newest := g.delivery.Newest()
			g.delivery = im.NewDelivery(store.Delivery{Cursor: newest}, newest)
			g.mu.Unlock()
		}
	})
}

// elements are the kinds and attributes of a stream's elements, as far as it goes on,
// and of lastRequest; false if the text stops within one.
func elements(text string) (all []wire.Stanza, whole bool) {
	if _, err := readAll(text); !errors.Is(err, io.ErrUnexpectedEOF) {
		whole = true // the stream ends before
	}
	all, _ = readAll(text + lastRequest)
	return all, whole || len(all) > 0 && string(all[len(all)-1].ID) == lastID
}

func readAll(text string) (all []wire.Stanza, err error) {
	r := wire.NewReader(strings.NewReader(testHeader+text), wire.Limits{})
	if _, err := r.Header(); err != nil {
		return nil, err
	}
	for {
		st, err := r.Next()
		if err != nil {
			return all, err
		}
		all = append(all, wire.Stanza{Kind: st.Kind, Type: clone(st.Type), ID: clone(st.ID), To: clone(st.To)})
	}
}

// lastRequest is answered when all before it is: long answers come in their order.
const (
	lastID      = "last-of-all"
	lastRequest = "<iq type='set' id='" + lastID + "'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set></query></iq>"
)

const testHeader = "<stream:stream to='desk.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

// A said is an element that the server said.
type said struct {
	XMLName xml.Name
	Type    string `xml:"type,attr"`
	ID      string `xml:"id,attr"`
	From    string `xml:"from,attr"`
	H       string `xml:"h,attr"`
	IDs     []struct {
		By string `xml:"by,attr"`
	} `xml:"urn:xmpp:sid:0 stanza-id"`
}

// all is what was heard, taken apart.
func (o *testDevice) all() []said {
	o.t.Helper()
	heard := o.heard()
	var got struct {
		All []said `xml:",any"`
	}
	if err := xml.Unmarshal([]byte(testHeader+strings.TrimSuffix(heard, wire.StreamEnd)+wire.StreamEnd), &got); err != nil {
		o.t.Fatalf("the server said what is no XML: %v in %q", err, heard)
	}
	return got.All
}

// checkFrom looks whether each stanza comes from who sent it, and names this agent's
// archive only if the server does (rules 1, 38 and 39).
func (o *testDevice) checkFrom(senders ...string) {
	o.t.Helper()
	for _, e := range o.all() {
		if e.XMLName.Space != wire.NSClient {
			continue
		}
		ours := 0
		for _, id := range e.IDs {
			if o.session.agent.account.owns([]byte(id.By)) {
				ours++
			}
		}
		if !slices.Contains(senders, e.From) || ours > 1 {
			o.t.Errorf("%s from %q with %d ids of the server's: %s", e.XMLName.Local, e.From, ours, o.heard())
		}
	}
}

// check looks at what came for what was sent.
func (o *testDevice) check(sent []wire.Stanza) {
	o.t.Helper()
	errs, h, answers := 0, "", make(map[string]int)
	for _, e := range o.all() {
		switch {
		case e.XMLName.Space == wire.NSStream:
			return // an error of the stream: nobody counts any more
		case e.XMLName.Local == "a":
			h = e.H
		case e.Type == "error":
			errs++
		}
		if e.XMLName.Local == "iq" && (e.Type == "result" || e.Type == "error") {
			answers[e.ID]++
		}
	}
	stanzas, mayFail := 0, 0
	ids := make(map[string]int)
	for i := range sent {
		if st := &sent[i]; st.Kind != wire.Nonza {
			stanzas++
			ids[string(st.ID)]++
			if st.Answerable() || bytes.Contains(st.To, []byte("/")) { // it may be one of her own devices
				mayFail++
			}
		}
	}
	if h != strconv.Itoa(stanzas) {
		o.t.Errorf("the server counts %q stanzas, sent were %d: %s", h, stanzas, o.heard())
	}
	if errs > mayFail {
		o.t.Errorf("%d errors came for %d stanzas that can have any: %s", errs, mayFail, o.heard())
	}
	for i := range sent {
		st := &sent[i]
		if typ := string(st.Type); st.Kind != wire.IQ || typ != "get" && typ != "set" || ids[string(st.ID)] != 1 {
			continue
		}
		if n := answers[string(st.ID)]; n > 1 || n == 0 && !bytes.Contains(st.To, []byte("/")) { // Bob's devices answer nothing
			o.t.Errorf("request %q to %q got %d answers: %s", st.ID, st.To, n, o.heard())
		}
	}
}
