package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/store"
	"parley.im/parley/xmppd/web"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, _, config string, list func() []string) {
		webhook := func(args ...string) []string { return append(append([]string{"webhook"}, args...), "-config", config) }
		for _, c := range []struct{ url, want string }{
			{"ftp://shop.example/", `not an http or https URL: "ftp"`},
			{"https://me:pass@shop.example/", "the URL holds a user or password"},
			{"https://shop.example/#here", "the URL holds a fragment"},
			{"https:///path", "not a URL"},
			{"shop.example", "not a URL"},
		} {
			refused(t, c.want, "", webhook("add", "-account", "desk", "-url", c.url)...)
		}
		refused(t, `there is no event "contact.dreamt"`, "", webhook("add", "-url", "https://shop.example/", "-events", "agent.*,contact.dreamt")...)
		refused(t, `there is no event "shop.*"`, "", webhook("add", "-url", "https://shop.example/", "-events", "shop.*")...)

		var hook web.WebhookInfo
		out := must(t, "", webhook("add", "-json", "-account", "desk", "-url", "https://shop.example/parley", "-events", "message.created, agent.*")...)
		if err := json.Unmarshal([]byte(out), &hook); err != nil {
			t.Fatal(err)
		}
		told(t, list, "webhooks of desk")
		if !strings.HasPrefix(hook.ID, "wh_") || !strings.HasPrefix(hook.Secret, "whsec_") || len(hook.Events) != 2 {
			t.Errorf("added %+v, want an id, a secret and two events", hook)
		}
		for _, cmd := range [][]string{webhook("list"), webhook("list", "-json"), webhook("show", hook.ID), webhook("show", "-json", hook.ID)} {
			out := must(t, "", cmd...)
			if !strings.Contains(out, hook.ID) || strings.Contains(out, hook.Secret) {
				t.Errorf("%v: %s, want the id and not the secret", cmd, out)
			}
		}
		out = must(t, "", webhook("test", "-json", hook.ID)...)
		if !strings.Contains(out, `"event": "evt_`) || strings.Contains(out, `"sent_when_running": true`) != (list == nil) {
			t.Errorf("test: %s", out)
		}
		// The test is an event in the account's journal that names the webhook.
		out = must(t, "", "conversation", "list", "-json", "-config", config)
		var conversations []web.ConversationInfo
		if err := json.Unmarshal([]byte(out), &conversations); err != nil || len(conversations) != 1 || conversations[0].Kind != "journal" {
			t.Fatalf("conversations: %s, want the journal", out)
		}
		out = must(t, "", "conversation", "show", conversations[0].ID, "-json", "-config", config)
		if !strings.Contains(out, `"event":"webhook.test"`) || !strings.Contains(out, `{"endpoint":"`+hook.ID+`"}`) {
			t.Errorf("journal: %s, want the test", out)
		}
		if out := must(t, "", webhook("deliveries", "-json", hook.ID)...); strings.TrimSpace(out) != "[]" {
			t.Errorf("deliveries: %s, want none", out)
		}
		// It is changed piece by piece; what the receiver wants to see is never shown.
		show := func() (h web.WebhookInfo) {
			t.Helper()
			out := must(t, "", webhook("show", "-json", hook.ID)...)
			if err := json.Unmarshal([]byte(out), &h); err != nil || strings.Contains(out, "sesame") {
				t.Fatalf("%s: %v", out, err)
			}
			return h
		}
		must(t, "", webhook("set", hook.ID, "-payload", "thin", "-ordering", "contact", "-format", "vivocha", "-hub", "on", "-description", "the shop's")...)
		must(t, "basic parley open sesame\n", webhook("set", hook.ID, "-auth-stdin")...)
		told(t, list, "webhooks of desk", "webhooks of desk")
		h := show()
		if h.Payload != "thin" || h.Ordering != "contact" || h.Format != "vivocha" || h.Hub != "on" || h.Description != "the shop's" || h.Auth != "basic" || h.URL != hook.URL || len(h.Events) != 2 {
			t.Errorf("after the change: %+v", h)
		}
		for _, c := range []struct {
			stdin, want string
			args        []string
		}{
			{"", `payload is "full" or "thin"`, []string{"-payload", "fat"}},
			{"", `ordering is "any" or "contact"`, []string{"-ordering", "none"}},
			{"", `format is "parley" or "vivocha"`, []string{"-format", "xml"}},
			{"", `hub is "off" or "on"`, []string{"-hub", "yes"}},
			{"", `signature is "hmac" or "ed25519"`, []string{"-signature", "rsa"}},
			{"", "more than 200", []string{"-description", strings.Repeat("x", 201)}},
			{"", "a password would go over plain http", []string{"-url", "http://shop.example/"}},
			{"basic a:b c\n", "a user without a colon", []string{"-auth-stdin"}},
			{"bearer a b\n", "bearer wants a token", []string{"-auth-stdin"}},
			{"digest a\n", "none, basic USER PASSWORD or bearer TOKEN", []string{"-auth-stdin"}},
		} {
			refused(t, c.want, c.stdin, webhook(append([]string{"set", hook.ID}, c.args...)...)...)
		}
		must(t, "none\n", webhook("set", hook.ID, "-auth-stdin", "-events", "", "-payload", "full", "-ordering", "any")...)
		told(t, list, "webhooks of desk")
		if h := show(); h.Payload != "full" || h.Ordering != "any" || h.Auth != "none" || len(h.Events) != 0 {
			t.Errorf("changed back: %+v", h)
		}

		// A new secret; the old one is good for a while.
		var anew web.WebhookInfo
		if err := json.Unmarshal([]byte(must(t, "", webhook("rotate", "-json", "-overlap", "2h", hook.ID)...)), &anew); err != nil {
			t.Fatal(err)
		}
		told(t, list, "webhooks of desk")
		if h := show(); anew.Secret == hook.Secret || !strings.HasPrefix(anew.Secret, "whsec_") || h.PreviousUntil == nil || time.Until(*h.PreviousUntil) > 2*time.Hour || time.Until(*h.PreviousUntil) < time.Hour {
			t.Errorf("after the rotation: %+v", h)
		}
		refused(t, "0s to 168h", "", webhook("rotate", "-overlap", "169h", hook.ID)...)
		// A key is made once, and with each new secret; its public half alone is shown.
		key := func() string {
			t.Helper()
			h := show()
			if strings.HasPrefix(h.PublicKey, "whpk_") != (h.Signature == "ed25519") {
				t.Errorf("signature %s with the public key %q", h.Signature, h.PublicKey)
			}
			return h.PublicKey
		}
		must(t, "", webhook("set", hook.ID, "-signature", "ed25519")...)
		first := key()
		must(t, "", webhook("set", hook.ID, "-signature", "ed25519", "-hub", "on")...)
		if out := must(t, "", webhook("show", hook.ID)...); key() != first || !strings.Contains(out, first) || strings.Contains(out, "whsk_") {
			t.Errorf("a key is made anew, or not shown: %s", out)
		}
		if out := must(t, "", webhook("rotate", hook.ID)...); key() == first || !strings.Contains(out, key()) {
			t.Errorf("rotate: %s, want another public key", out)
		}
		must(t, "", webhook("set", hook.ID, "-signature", "hmac")...)
		if key() != "" {
			t.Error("a key is left")
		}
		must(t, "", webhook("rotate", "-overlap", "0s", hook.ID)...)
		if h := show(); h.PreviousUntil != nil {
			t.Errorf("the old secret is good until %v", h.PreviousUntil)
		}
		if list != nil {
			list()
		}
		must(t, "", webhook("enable", hook.ID)...)
		told(t, list, "webhooks of desk")

		// What it is to get again: the test, since it is the one thing that has happened.
		must(t, "", webhook("set", hook.ID, "-events", "webhook.test")...)
		var test struct{ Event string }
		if err := json.Unmarshal([]byte(must(t, "", webhook("test", "-json", hook.ID)...)), &test); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			args []string
			want int
		}{
			{[]string{"-event", test.Event}, 1},
			{[]string{"-since", "2020-01-01T00:00:00Z"}, 2},
			{[]string{"-since", "2020-01-01T00:00:00Z", "-until", "2020-02-01T00:00:00Z"}, 0},
			{[]string{"-failed-since", "2020-01-01T00:00:00Z"}, 0},
		} {
			if out := must(t, "", webhook(append([]string{"replay", "-json", hook.ID}, c.args...)...)...); !strings.Contains(out, fmt.Sprintf(`"events": %d`, c.want)) {
				t.Errorf("replay %v: %s, want %d", c.args, out, c.want)
			}
		}
		refused(t, "there is no event", "", webhook("replay", hook.ID, "-event", "evt_aaaaaaaaaaaaaaaaaaaaaaaaaa")...)
		refused(t, "say one of", "", webhook("replay", hook.ID)...)
		refused(t, "say one of", "", webhook("replay", hook.ID, "-event", test.Event, "-since", "2020-01-01T00:00:00Z")...)
		if _, _, err := typed(t, "", webhook("replay", hook.ID, "-since", "yesterday")...); err == nil || !strings.Contains(err.Error(), "wants a time") {
			t.Errorf("-since yesterday: %v", err)
		}
		if list != nil {
			list()
		}

		must(t, "", webhook("delete", hook.ID)...)
		refused(t, "there is no webhook", "", webhook("show", hook.ID)...)
	})
}

// VIV-7: the token is shown and rotated by the operator's commands, and both are shown until
// the old one is good no more.
func TestAccountRotateToken(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, _, config string, list func() []string) {
		show := func() (a web.AccountSecret) {
			t.Helper()
			out := must(t, "", "account", "show", "-secret", "-json", "desk", "-config", config)
			if err := json.Unmarshal([]byte(out), &a); err != nil {
				t.Fatal(err)
			}
			return a
		}
		first := show()
		if first.Previous != "" || first.PreviousUntil != nil {
			t.Errorf("before any rotation: %+v", first)
		}
		out := must(t, "", "account", "rotate-token", "desk", "-config", config)
		told(t, list, "webhooks of desk")
		second := show()
		if second.Secret == first.Secret || len(second.Secret) != 96 || second.Previous != first.Secret || second.PreviousUntil == nil ||
			time.Until(*second.PreviousUntil) > 24*time.Hour || time.Until(*second.PreviousUntil) < 23*time.Hour {
			t.Errorf("after the rotation: %+v", second)
		}
		want := second.Secret + "\n" + first.Secret + "  until " + second.PreviousUntil.Format(time.RFC3339) + "\n"
		same(t, "what is printed", []string{out, must(t, "", "account", "show", "-secret", "desk", "-config", config)}, []string{want, want})
		if out := must(t, "", "account", "show", "-json", "desk", "-config", config); strings.Contains(out, second.Secret) || strings.Contains(out, first.Secret) {
			t.Errorf("a token is shown to who did not ask for it: %s", out)
		}
		refused(t, "0s to 168h", "", "account", "rotate-token", "-overlap", "169h", "desk", "-config", config)
		must(t, "", "account", "rotate-token", "-overlap", "0s", "desk", "-config", config)
		if third := show(); third.Previous != "" || third.Secret == second.Secret {
			t.Errorf("rotated without an overlap: %+v", third)
		}

		// It is told, and nothing of it but until when.
		out = must(t, "", "conversation", "list", "-json", "-config", config)
		var conversations []web.ConversationInfo
		if err := json.Unmarshal([]byte(out), &conversations); err != nil || len(conversations) != 1 {
			t.Fatalf("conversations: %s, want the journal", out)
		}
		out = must(t, "", "conversation", "show", conversations[0].ID, "-json", "-config", config)
		if strings.Count(out, "security.token_rotated") != 2 || strings.Contains(out, second.Secret) || strings.Contains(out, first.Secret) {
			t.Errorf("journal: %s, want two rotations and no token", out)
		}
	})
}

func TestWebhooksAreBounded(t *testing.T) {
	t.Parallel()
	_, config := quickstarted(t, "desk.example")
	serving(t, config)
	for n := range store.MaxEndpoints {
		must(t, "", "webhook", "add", "-url", fmt.Sprintf("https://shop.example/%d", n), "-config", config)
	}
	refused(t, "which is the most", "", "webhook", "add", "-url", "https://shop.example/more", "-config", config)
}

// What was said is shown to people and to programs, and steers no terminal.
func TestConversations(t *testing.T) {
	t.Parallel()
	dir, config := quickstarted(t, "desk.example")
	for _, name := range []string{"anna", "ben"} {
		must(t, "correct horse 42\n", "agent", "add", "-password-stdin", name+"@desk.example", "-config", config)
	}
	said(t, config, "anna", "ben", "<subject>Hi</subject><body>one\ntwo &lt;3 \u202e</body>", time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC))
	out := must(t, "", "conversation", "show", "-config", config)
	want := "2026-05-04 03:02:01  anna@desk.example: [Hi] one\n                     two <3 \\u{202e}\n"
	if !strings.Contains(out, want) || !strings.Contains(out, "anna@desk.example, ben@desk.example\n") {
		t.Errorf("show:\n%s\nwant in it\n%s", out, want)
	}
	var r web.RecordInfo
	if err := json.Unmarshal([]byte(must(t, "", "conversation", "show", "-json", "-config", config)), &r); err != nil {
		t.Fatal(err)
	}
	if r.Event != "message.created" || r.From != "anna@desk.example/x" || r.Text != "one\ntwo <3 \u202e" || r.Subject != "Hi" || r.N != 1 {
		t.Errorf("record %+v", r)
	}
	for options, shown := range map[string]bool{
		"-from=1 -to=1": true, "-from=2": false, "-since=2026-05-04T03:02:01Z -until=2026-05-04T03:02:01Z": true, "-until=2026-05-03T00:00:00Z": false,
	} {
		args := append([]string{"conversation", "show", "-config", config}, strings.Fields(options)...)
		if out := must(t, "", args...); strings.Contains(out, want) != shown {
			t.Errorf("show %s:\n%s", options, out)
		}
	}
	refused(t, "the range ends before it begins", "", "conversation", "show", "-from", "3", "-to", "2", "-config", config)
	refused(t, "there is no conversation 99 in account desk", "", "conversation", "show", "99", "-config", config)
	for name, text := range contents(t, dir) {
		if strings.Contains(text, "two &lt;3") {
			t.Errorf("%s holds what was said", name) // VIV-9
		}
	}
}

// said appends a message as the server would.
func said(t *testing.T, config, from, to, inner string, at time.Time) {
	t.Helper()
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	i, err := openInstallation(t.Context(), f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	a, err := i.account(t.Context(), "desk")
	if err != nil {
		t.Fatal(err)
	}
	var who [2]store.Agent
	for n, name := range []string{from, to} {
		if who[n], err = a.store.Agent(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	c, err := a.store.Direct(t.Context(), who[0].ID, who[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	m := &store.Message{Type: "chat", From: from + "@desk.example/x", To: to + "@desk.example", ID: "m1", Inner: []byte(inner)}
	decided := make(chan struct{})
	b := &store.Batch{
		Ops:  []store.Op{{Conversation: c, Kind: store.KindMessage, Actor: who[0].ID, At: at, Data: store.AppendMessage(nil, m)}},
		Done: func(*store.Batch) { close(decided) },
	}
	a.store.Append(b)
	<-decided
	if b.Err != nil {
		t.Fatal(b.Err)
	}
}
