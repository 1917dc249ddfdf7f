package main

import (
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"

	"parley.im/parley/conf"
	"parley.im/parley/store"
)

// An agent's new password is durable when she is told so: it survives kill -9. Whoever
// has a device's secret only, which may have been stolen with the device, can't change
// it.
func TestPasswordChangeIsDurable(t *testing.T) {
	t.Parallel()
	dir, _ := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "-set", "auth.iterations=10000", "desk.example")
	config := filepath.Join(dir, "parley.toml")
	must(t, "maple-otter-47\n", "agent", "add", "-config", config, "-password-stdin", "dora@desk.example")
	giveDevice(t, config, "dora", "a secret that the phone was given")
	d := startDaemon(t, dir)
	const change = "<query xmlns='jabber:iq:register'><username>dora</username><password>velvet-anvil-52</password></query>"

	phone := d.login("dora", "a secret that the phone was given", "phone")
	refused := phone.in(t).ask("set", "desk.example", change)
	if refused.attr("type") != "error" || refused.child("error").child("not-authorized") == nil {
		t.Errorf("with a device's secret: %s", refused)
	}
	before, after := d.login("dora", "maple-otter-47", "laptop"), d.login("dora", "velvet-anvil-52", "laptop")
	if answer := before.in(t).ask("set", "desk.example", change); answer.attr("type") != "result" {
		t.Fatalf("with the password: %s", answer)
	}
	d.end(syscall.SIGKILL)
	d.start()
	if _, err := before.try(t); err == nil {
		t.Error("the old password signs in after a kill")
	}
	after.in(t)
	phone.in(t)
}

// giveDevice gives an agent a secret of a device, while no server runs.
func giveDevice(t *testing.T, config, name, secret string) {
	t.Helper()
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	inst, err := openInstallation(t.Context(), f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer inst.Close()
	a, err := inst.account(t.Context(), "desk")
	if err != nil {
		t.Fatal(err)
	}
	g, err := a.store.Agent(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	v, err := a.auth.Verifier(t.Context(), name, secret)
	if err != nil {
		t.Fatal(err)
	}
	c := store.Credential{Agent: g.ID, Scope: "xmpp", Label: "phone", Device: "dev-1", Verifier: v}
	if err := a.store.SetCredential(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}
