package notify

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"parley.im/parley/xmppd/notify/postbox"
)

func configOf(b *postbox.Box) Config {
	return Config{
		Server: b.Addr, TLS: Implicit, From: "parley@desk.example", To: []string{"ops@desk.example", "boss@desk.example"},
		Roots: b.Roots, Host: "desk.example", Timeout: 5 * time.Second, Waits: []time.Duration{10 * time.Millisecond},
		Pause: 5 * time.Millisecond,
	}
}

func signingIn(c Config, password string) Config {
	c.User, c.Password = "parley", func() (string, error) { return password, nil }
	return c
}

// KIS-10: mail goes over TLS, of either kind, to all operators.
func TestMailGoesOverTLS(t *testing.T) {
	for name, o := range map[string]postbox.Options{
		Implicit: {User: "parley"}, StartTLS: {StartTLS: true, User: "parley"}, None: {Plain: true},
	} {
		b := postbox.Open(t, o)
		c := configOf(b)
		c.TLS = name
		if o.User != "" {
			c = signingIn(c, "hidden 42")
		}
		if err := Send(t.Context(), &c, Mail{"Grüße\nBcc: all@desk.example", "Hello\n.\nworld ü\n"}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := b.Next()
		if m.From != "parley@desk.example" || strings.Join(m.To, " ") != "ops@desk.example boss@desk.example" ||
			m.Subject != "Grüße\uFFFDBcc: all@desk.example" || m.Text != "Hello\n.\nworld ü\n" || m.Header.Get("Bcc") != "" || m.Header.Get("Auto-Submitted") != "auto-generated" {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// What is not as it should be is an error that says so, in time, and nothing is sent.
func TestMailServersThatAreNoGood(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down.Close()
	good := postbox.Open(t, postbox.Options{})
	for _, c := range []struct {
		name string
		box  *postbox.Box
		set  func(*Config)
		want string
	}{
		{"a certificate of another name", postbox.Open(t, postbox.Options{Name: "mail.example"}), nil, "certificate is valid for mail.example, not localhost"},
		{"the same with STARTTLS", postbox.Open(t, postbox.Options{Name: "mail.example", StartTLS: true}), func(c *Config) { c.TLS = StartTLS }, "not localhost"},
		{"an authority that nobody knows", good, func(c *Config) { c.Roots = nil }, "certificate signed by unknown authority"},
		{"no STARTTLS", postbox.Open(t, postbox.Options{Plain: true}), func(c *Config) { c.TLS = StartTLS }, "does not support STARTTLS"},
		{"no TLS at all", postbox.Open(t, postbox.Options{Plain: true}), nil, "first record does not look like a TLS handshake"},
		{"TLS where none is expected", good, func(c *Config) { c.TLS = None }, "no answer in time"},
		{"it is down", good, func(c *Config) { c.Server = down.Addr().String() }, "connection refused"},
		{"it says nothing", good, func(c *Config) { c.Server = silent.Addr().String() }, "no answer in time"},
		{"a wrong password", postbox.Open(t, postbox.Options{User: "parley"}), func(c *Config) { *c = signingIn(*c, "wrong 42") }, "535"},
		{"a password in clear", postbox.Open(t, postbox.Options{Plain: true, User: "parley"}), func(c *Config) {
			*c = signingIn(*c, "hidden 42")
			c.TLS = None
		}, "auth"},
		{"no address", good, func(c *Config) { c.To = []string{"nobody"} }, "mail.to"},
	} {
		config := configOf(c.box)
		config.Timeout = 500 * time.Millisecond
		if c.set != nil {
			c.set(&config)
		}
		began := time.Now()
		err := Send(t.Context(), &config, Mail{"x", "y"})
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.want)) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "wrong 42") || strings.Contains(err.Error(), "hidden 42")) {
			t.Errorf("%s: the error holds the password: %v", c.name, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %v", c.name, took)
		}
		if c.box.Waiting() > 0 {
			t.Errorf("%s: a mail was sent", c.name)
		}
	}
}

// A server that takes every byte as if it were its last holds nobody for longer than the
// time-out.
func TestMailServerThatDrips(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() { // ends with the connection
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			if _, err := conn.Write([]byte("220-welcome\r\n")); err != nil {
				return
			}
		}
	}()
	c := Config{Server: l.Addr().String(), TLS: None, From: "a@desk.example", To: []string{"b@desk.example"}, Timeout: 300 * time.Millisecond}
	if err := Send(t.Context(), &c, Mail{"x", "y"}); err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("sent: %v", err)
	}
	<-done
}

// No more mails than PerHour go in an hour; who waits for the next can give up.
func TestMailsInAnHour(t *testing.T) {
	b := postbox.Open(t, postbox.Options{})
	c := configOf(b)
	c.PerHour = 2
	n := New(c)
	for range 2 {
		if err := n.mailer.send(t.Context(), Mail{"x", "y"}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := n.mailer.send(ctx, Mail{"x", "y"}); err == nil || b.Tried() != 2 {
		t.Errorf("a third mail: %v", err)
	}
	n.mailer.sent[0] = time.Now().Add(-time.Hour)
	if err := n.mailer.send(t.Context(), Mail{"x", "y"}); err != nil || b.Tried() != 3 || n.Stats.Sent.Load() != 3 {
		t.Errorf("an hour later: %v", err)
	}
}
