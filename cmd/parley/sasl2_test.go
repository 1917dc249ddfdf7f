package main

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"mellium.im/sasl"
)

// A knock is one sign-in by SASL2 (XEP-0388): what is asked for with it, and the mechanism.
type knock struct {
	login
	client    string // the id of the user-agent
	says      string // and what is in it
	from      string // what the stream says whose it is
	mechanism string // of the token, or "" for the password
	token     string
	foreign   bool   // bound to another connection
	wants     string // elements
}

const (
	nsFastTokens = "urn:xmpp:fast:0"
	laptopID     = "d4565fa7-4d72-4749-b3d3-740edbf87770"
	phoneID      = "0d1b9cd5-5ca5-4d4c-9c5a-5be1fd5f8f4b"
)

// try signs in and returns <success/>; what follows it is left to be read.
func (k knock) try(t *testing.T) (*jabber, *tree, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	raw, err := k.dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { raw.Close() })
	j := &jabber{t: t, conn: tls.Client(raw, &tls.Config{ServerName: k.domain, RootCAs: k.roots, MinVersion: tls.VersionTLS12})}
	j.in = bufio.NewReader(j.conn)
	if err := errors.Join(j.conn.SetDeadline(time.Now().Add(patience)), k.header(j)); err != nil {
		return nil, nil, err
	}
	var success *tree
	if k.mechanism == "" {
		success, err = k.byPassword(j)
	} else {
		success, err = k.byToken(j)
	}
	return j, success, err
}

// header opens the stream and passes over the features.
func (k knock) header(j *jabber) error {
	j.send("<?xml version='1.0'?><stream:stream from='%s' to='%s' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", k.from, k.domain)
	return j.features()
}

func (k knock) ask(j *jabber, mechanism string, first []byte) (*tree, error) {
	j.send("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='%s'><initial-response>%s</initial-response><user-agent id='%s'>%s</user-agent>%s</authenticate>",
		mechanism, base64.StdEncoding.EncodeToString(first), k.client, k.says, k.wants)
	return j.element()
}

// expect decodes what an element of that name has to say to the mechanism.
func expect(e *tree, name, inner string) ([]byte, error) {
	if e.name.Local != name {
		return nil, fmt.Errorf("not signed in: %s", e)
	}
	if inner != "" {
		e = e.child(inner)
	}
	return base64.StdEncoding.DecodeString(e.text())
}

func (k knock) byPassword(j *jabber) (*tree, error) {
	client := sasl.NewClient(sasl.ScramSha256Plus, sasl.TLSState(j.conn.ConnectionState()), sasl.RemoteMechanisms(sasl.ScramSha256Plus.Name),
		sasl.Credentials(func() (username, password, identity []byte) { return []byte(k.name), []byte(k.password), nil }))
	_, msg, err := client.Step(nil)
	if err != nil {
		return nil, err
	}
	e, err := k.ask(j, sasl.ScramSha256Plus.Name, msg)
	if err != nil {
		return nil, err
	}
	if msg, err = expect(e, "challenge", ""); err != nil {
		return nil, err
	}
	if _, msg, err = client.Step(msg); err != nil {
		return nil, err
	}
	j.send("<response xmlns='urn:xmpp:sasl:2'>%s</response>", base64.StdEncoding.EncodeToString(msg))
	if e, err = j.element(); err != nil {
		return nil, err
	}
	if msg, err = expect(e, "success", "additional-data"); err != nil {
		return nil, err
	}
	_, _, err = client.Step(msg)
	return e, err
}

// byToken is draft-schmaus-kitten-sasl-ht: one message each way.
func (k knock) byToken(j *jabber) (*tree, error) {
	var binding []byte
	state := j.conn.ConnectionState()
	switch {
	case strings.HasSuffix(k.mechanism, "-EXPR"):
		var err error
		if binding, err = state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err != nil {
			return nil, err
		}
	case strings.HasSuffix(k.mechanism, "-ENDP"):
		sum := sha256.Sum256(state.PeerCertificates[0].Raw)
		binding = sum[:]
	}
	if k.foreign {
		binding = append([]byte(nil), binding...)
		binding[0] ^= 1
	}
	sign := func(who string) []byte {
		m := hmac.New(sha256.New, []byte(k.token))
		m.Write([]byte(who))
		m.Write(binding)
		return m.Sum(nil)
	}
	e, err := k.ask(j, k.mechanism, append([]byte(k.name+"\x00"), sign("Initiator")...))
	if err != nil {
		return nil, err
	}
	last, err := expect(e, "success", "additional-data")
	if err == nil && !hmac.Equal(last, sign("Responder")) {
		err = errors.New("the server does not know the token")
	}
	return e, err
}

const fastSignIn = "<fast xmlns='" + nsFastTokens + "'/>"

func wantsToken(mechanism string) string {
	return "<request-token xmlns='" + nsFastTokens + "' mechanism='" + mechanism + "'/>"
}

// A client exchanges its password for a token and comes back with that, on connections that
// are bound to it, until the password changes: XEP-0484, rule 15. It is that client's, for
// that mechanism, on that connection.
func TestRule15Tokens(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", "auth.lockout=false")
	anna := d.login("anna", "correct horse 42", "")
	for _, mechanism := range []string{"HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE"} {
		t.Run(mechanism, func(t *testing.T) {
			_, success, err := knock{login: anna, client: laptopID, wants: wantsToken(mechanism)}.try(t)
			if err != nil {
				t.Fatal(err)
			}
			issued := success.child("token")
			token := issued.attr("token")
			expiry, err := time.Parse(time.RFC3339, issued.attr("expiry"))
			if left := time.Until(expiry); err != nil || token == "" || left < 20*24*time.Hour || left > 22*24*time.Hour {
				t.Fatalf("the token is %s: %v", issued, err)
			}
			back := knock{login: anna, client: laptopID, mechanism: mechanism, token: token, wants: fastSignIn + "<bind xmlns='urn:xmpp:bind:0'><tag>x</tag></bind>"}
			for range 2 {
				j, success, err := back.try(t)
				if err != nil {
					t.Fatal(err)
				}
				if who := success.child("authorization-identifier").text(); !strings.HasPrefix(who, "anna@desk.example/x/") {
					t.Errorf("signed in as %q", who)
				}
				if features, err := j.element(); err != nil || features.name.Local != "features" || features.child("bind") != nil {
					t.Errorf("after the success comes %s, %v", features, err)
				}
			}
			other := back
			other.client = phoneID
			turnsAway(t, "another client", other, "not-authorized")
			other = back
			other.name = "ben"
			turnsAway(t, "another agent", other, "not-authorized")
			other = back
			other.name = "nobody"
			turnsAway(t, "nobody", other, "not-authorized")
			if mechanism != "HT-SHA-256-NONE" {
				other = back
				other.foreign = true
				turnsAway(t, "another connection", other, "not-authorized")
				other = back
				other.mechanism = "HT-SHA-256-NONE"
				turnsAway(t, "a weaker mechanism", other, "not-authorized")
			}
			other = back
			other.wants = ""
			turnsAway(t, "not by FAST", other, "invalid-mechanism")

			other = back
			other.wants = "<fast xmlns='" + nsFastTokens + "' invalidate='true'/>"
			if _, _, err := other.try(t); err != nil {
				t.Errorf("the last time: %v", err)
			}
			turnsAway(t, "after that", back, "not-authorized")
		})
	}
}

// turnsAway wants a sign-in to fail in that way, and the stream to go on.
func turnsAway(t *testing.T, what string, k knock, condition string) {
	t.Helper()
	j, e, err := k.try(t)
	if err == nil || e == nil || e.name.Local != "failure" || e.child(condition) == nil {
		t.Errorf("%s: %s, %v, want %s", what, e, err, condition)
		return
	}
	k.mechanism, k.token, k.wants, k.name, k.password = "", "", "", "anna", "correct horse 42"
	if _, err := k.byPassword(j); err != nil {
		t.Errorf("%s, and then by password on the same stream: %v", what, err)
	}
}

// A changed password ends its tokens: by the agent's client, or by the operator. A restart
// does not. Rule 15.
func TestRule15ChangedPasswords(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", "auth.lockout=false")
	const mechanism = "HT-SHA-256-EXPR"
	exchange := func(password string) knock {
		t.Helper()
		anna := d.login("anna", password, "")
		_, success, err := knock{login: anna, client: laptopID, wants: wantsToken(mechanism)}.try(t)
		if err != nil {
			t.Fatal(err)
		}
		return knock{login: anna, client: laptopID, mechanism: mechanism, token: success.child("token").attr("token"), wants: fastSignIn}
	}
	lets := func(what string, k knock, condition string) {
		t.Helper()
		if _, e, err := k.try(t); (err == nil) != (condition == "") || condition != "" && (e == nil || e.child(condition) == nil) {
			t.Errorf("%s: %s, %v, want %q", what, e, err, condition)
		}
	}
	first := exchange("correct horse 42")
	lets("at first", first, "")
	d.end(syscall.SIGTERM)
	d.start()
	first.login = d.login("anna", "correct horse 42", "")
	lets("after a restart", first, "")

	anna := d.login("anna", "correct horse 42", "desk").in(t)
	if answer := anna.ask("set", "", "<query xmlns='jabber:iq:register'><username>anna</username><password>battery staple 43</password></query>"); answer.attr("type") != "result" {
		t.Fatalf("change of the password: %s", answer)
	}
	lets("after she has changed it", first, "credentials-expired")
	second := exchange("battery staple 43")
	lets("for the new one", second, "")
	must(t, "tea at four 44\n", "agent", "passwd", "-password-stdin", "-config", d.dir+"/parley.toml", "anna@desk.example")
	lets("after the operator has changed it", second, "credentials-expired")
}

// What was stolen from a browser must not shut its owner out: a token lets nobody change the
// password. Nor does it count where the stream says that it is somebody else's, and then
// nothing that was asked for with it is done (XEP-0388 §2.6.2).
func TestRule15WhatATokenIsNotFor(t *testing.T) {
	t.Parallel()
	d := healthy(t, "-set", "auth.lockout=false")
	anna := d.login("anna", "correct horse 42", "")
	const mechanism = "HT-SHA-256-NONE"
	_, success, err := knock{login: anna, client: laptopID, wants: wantsToken(mechanism)}.try(t)
	if err != nil {
		t.Fatal(err)
	}
	back := knock{login: anna, client: laptopID, mechanism: mechanism, token: success.child("token").attr("token"), wants: fastSignIn + "<bind xmlns='urn:xmpp:bind:0'/>"}
	j, _, err := back.try(t)
	if err == nil {
		_, err = j.element() // the features
	}
	if err != nil {
		t.Fatal(err)
	}
	j.send("<iq type='set' id='p'><query xmlns='jabber:iq:register'><username>anna</username><password>battery staple 43</password></query></iq>")
	if e, err := j.element(); err != nil || e.attr("type") != "error" {
		t.Errorf("a change of the password: %s, %v", e, err)
	}
	for _, from := range []string{"@", "ben@desk.example"} {
		other := back
		other.from, other.wants = from, "<fast xmlns='"+nsFastTokens+"' invalidate='true'/>"
		if _, e, err := other.try(t); err == nil || e == nil || e.child("invalid-authzid") == nil {
			t.Errorf("from %q: %s, %v", from, e, err)
		}
	}
	back.from = "anna@desk.example"
	if _, _, err := back.try(t); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// A client that counts wrongly does not get its stream back, and gets a new one in the same
// breath (XEP-0386 §3.2).
func TestRule16AWrongCountIsNoEnd(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	anna := d.login("anna", "correct horse 42", "")
	j, success, err := knock{login: anna, client: laptopID, wants: "<bind xmlns='urn:xmpp:bind:0'><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"}.try(t)
	if err != nil {
		t.Fatal(err)
	}
	id := success.child("bound").child("enabled").attr("id")
	j.conn.NetConn().Close()
	_, success, err = knock{login: anna, client: laptopID, wants: "<resume xmlns='urn:xmpp:sm:3' previd='" + id + "' h='77'/><bind xmlns='urn:xmpp:bind:0'/>"}.try(t)
	if err != nil || success.child("failed") == nil || success.child("bound") == nil {
		t.Errorf("%s, %v", success, err)
	}
}
