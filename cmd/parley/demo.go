package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"parley.im/parley/conf"
	"parley.im/parley/xmppd/hook"
)

// demoDomain needs no DNS, and the certificate can be for it.
const demoDomain = "localhost"

// demo starts everything in a temporary folder and shows each event as a receiver
// of webhooks sees it.
func demo(ctx context.Context, c *call) (err error) {
	dir, err := os.MkdirTemp("", "parley-demo-")
	if err != nil {
		return err
	}
	if !c.on("keep") {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	starttls, direct, https := demoAddress("5222"), demoAddress("5223"), demoAddress("8443")
	_, httpsPort, _ := net.SplitHostPort(https)
	site := "https://" + demoDomain + ":" + httpsPort
	quiet := func(args ...string) error {
		return run(ctx, args, strings.NewReader(""), c.stderr, io.Discard)
	}
	if err := quiet("quickstart", "-dir", dir, "-account", "demo", "-starttls", starttls, "-tls", direct, "-https", https,
		"-set", "account.demo.visitors=true", "-set", `account.demo.widget.sites=["`+site+`"]`, "-set", `webhook.allow=["127.0.0.0/8"]`, "-set", "log.level=warn", demoDomain); err != nil {
		return err
	}
	config := filepath.Join(dir, "parley.toml")
	f, err := conf.Load(config, nil)
	if err != nil {
		return err
	}
	w := realWorld
	w.hook, w.passing, w.pages = trustDemo(dir), true, showDemoPage
	s, err := newServer(ctx, f, newLog(f, c.stderr), w)
	if err != nil {
		return err
	}
	ready := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	go func() { ready <- s.run(running) }() // ends when running does; waited for below
	defer func() {
		stop()
		err = errors.Join(err, <-ready)
	}()

	receiver, err := demoReceiver(ctx, c, dir, config)
	if err != nil {
		return err
	}
	defer receiver.Close()
	agents := []string{"anna@" + demoDomain, "bob@" + demoDomain}
	c.print("Parley runs. Add these accounts to a Jabber client (Gajim, Dino, Profanity, Conversations), or one to each of two:\n")
	for _, jid := range agents {
		password, err := demoAgent(ctx, jid, config)
		if err != nil {
			return err
		}
		c.print("  address   %s", jid)
		c.print("  password  %s\n", password)
	}
	host, port, _ := net.SplitHostPort(starttls)
	_, tlsPort, _ := net.SplitHostPort(direct)
	c.print("  server    %s, port %s (STARTTLS) or %s (TLS from the start)", host, port, tlsPort)
	c.print("  trust     %s (the certificate's throw-away CA)\n", filepath.Join(dir, "tls", "ca.pem"))
	c.print("  profanity: /connect %s server %s port %s tls trust\n", agents[0], host, port)
	c.print("Visitors come from %s (your browser asks whether to trust the certificate).\n", site+demoPath)
	c.print("Each event is shown here as a webhook's receiver gets it, once its signatures are checked. Ctrl-C ends everything.\n")
	openPage(site + demoPath)
	<-ctx.Done()
	return nil
}

// print writes a line for the person who watches the demo.
func (c *call) print(format string, args ...any) { fmt.Fprintf(c.stdout, format+"\n", args...) }

// demoAddress is the usual port on loopback or, where that is taken, another.
func demoAddress(port string) string {
	for _, p := range []string{port, "0"} {
		l, err := net.Listen("tcp", "127.0.0.1:"+p)
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().String()
	}
	return "127.0.0.1:" + port
}

// trustDemo lets webhooks trust the demo's own CA, which vouches for its receiver.
func trustDemo(dir string) func(*hook.Config) {
	return func(c *hook.Config) {
		c.Roots, _ = readRoots(filepath.Join(dir, "tls", "ca.pem"))
	}
}

func demoReceiver(ctx context.Context, c *call, dir, config string) (*receiver, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls", "cert.pem"), filepath.Join(dir, "tls", "key.pem"))
	if err != nil {
		return nil, err
	}
	var endpoint struct{ Secret string }
	var account struct{ Secret string }
	r := newReceiver(cert, func() (string, string) { return endpoint.Secret, account.Secret }, c.stdout)
	url := strings.Replace(r.URL(), "127.0.0.1", demoDomain, 1)
	if err := answerOf(ctx, &endpoint, "webhook", "add", "-json", "-account", "demo", "-url", url, "-config", config); err != nil {
		r.Close()
		return nil, err
	}
	if err := answerOf(ctx, &account, "account", "show", "-json", "-secret", "-config", config, "demo"); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// answerOf runs a command as an operator would and reads its JSON.
func answerOf(ctx context.Context, v any, args ...string) error {
	var out, complaints strings.Builder
	if err := run(ctx, args, strings.NewReader(""), &out, &complaints); err != nil {
		return err
	}
	return json.Unmarshal([]byte(out.String()), v)
}

func demoAgent(ctx context.Context, jid, config string) (password string, err error) {
	password = strings.ToLower(rand.Text()[:12]) + "-42"
	return password, run(ctx, []string{"agent", "add", "-password-stdin", "-config", config, jid},
		strings.NewReader(password+"\n"), io.Discard, io.Discard)
}
