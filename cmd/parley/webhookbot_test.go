package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"parley.im/parley/xmppd/web"
)

// The bot of docs/webhooks.md greets a visitor, answers, ends what it could answer, and hands over what it couldn't.
func TestWebhookBot(t *testing.T) {
	t.Parallel()
	needs(t, "bash", "curl", "python3")
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "-account", "desk",
		"-set", `webhook.allow=["127.0.0.0/8"]`, "-set", "account.desk.visitors=true", "-set", "account.desk.desk.bot='1h'", "localhost")
	must(t, "anna@localhost\tcorrect horse 42\n", "agent", "import", "-config", config)
	trust := "SSL_CERT_FILE=" + filepath.Join(dir, "tls/ca.pem")
	d := startDaemon(t, dir, trust)
	d.name = "localhost"
	c := d.api("-role", "admin")
	at, hook := d.bot(c, trust)
	in := new(inbox)
	var other web.WebhookInfo
	c.ask("POST", "/v1/webhooks", fmt.Sprintf(`{"url":%q}`, receiverAt(t, dir, in)), 201, &other)
	c.ask("PATCH", "/v1/webhooks/"+hook, fmt.Sprintf(`{"url":%q}`, at), 200, nil)
	forged := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: d.roots()}}}
	r, err := http.NewRequestWithContext(t.Context(), "POST", at, strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Webhook-Id": {"evt_1"}, "Webhook-Timestamp": {"1"}, "Webhook-Signature": {"v1,AAAA"}}
	resp, err := forged.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a forged event is answered with %s", resp.Status)
	}

	login := d.login("anna", "correct horse 42", "desk")
	login.domain = "localhost"
	anna := login.in(t)
	anna.available("")
	visit := func(id, first string) (contact string, say func(text string), hears func(text string)) {
		is := d.openContact(fmt.Sprintf(`{"id":%q,"name":"Mia","text":%q}`, id, first))
		ws, next := d.joinContact(is.Token, 0)
		n := 0
		return "/v1/contacts/" + is.Contact.ID, func(text string) {
				n++
				if err := ws.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"type":"say","id":"m%d","text":%q}`, n, text)); err != nil {
					t.Fatal(err)
				}
			}, func(text string) {
				t.Helper()
				for f := next("message"); f.Text != text; f = next("message") {
					if f.Text != first {
						t.Fatalf("the visitor hears %q, want %q", f.Text, text)
					}
				}
			}
	}
	const hello = "Hello! I am a bot, and know about orders. For all else there are people."
	contact, say, hears := visit("0123456789abcdef", "Where is my order?")
	hears(hello)
	hears("Which number has it?")
	say("It is 4711.")
	hears("Order 4711 left us on Monday. Does that help?")
	say("No. I want my money back!")
	hears("Somebody will be with you.")
	anna.until("the offer", func(x *tree) bool {
		return x.name.Local == "message" && strings.Contains(x.child("body").text(), "Reply to take it")
	})
	var seen web.ContactDetail
	c.ask("GET", contact, "", 200, &seen)
	if seen.State != "offered" || seen.Person.Fields["order"] != "4711" || fmt.Sprint(seen.Tags) != "[orders]" {
		t.Errorf("handed over it is %+v", seen)
	}
	contact, say, hears = visit("0123456789abcdee", "Hi, order 815000")
	hears(hello)
	hears("Order 815000 left us on Monday. Does that help?")
	say("Thank you!")
	hears("You are welcome.")
	eventually(t, "it is over", func() bool {
		c.ask("GET", contact, "", 200, &seen)
		return seen.State == "finalized"
	})
	if seen.Reason != "answered by the bot" {
		t.Errorf("it was closed for %q", seen.Reason)
	}
	// What a program does others are told, as what people do.
	for event, many := range map[string]int{"message.created": 12, "contact.updated": 5, "contact.queued": 1, "contact.closed": 1} {
		eventually(t, event, func() bool { return in.good(t, event, other.Secret) >= many })
	}
}

// bot starts what the page shows, and says where it listens and which webhook is its.
func (d *daemon) bot(c *apiClient, trust string) (at, hook string) {
	t := d.t
	t.Helper()
	page := pages(t)["docs/webhooks.md"]
	samples := blocksOf(page, "python")
	place := t.TempDir()
	for name, from := range map[string]string{"cert.pem": "tls/cert.pem", "key.pem": "tls/key.pem"} {
		text, err := os.ReadFile(filepath.Join(d.dir, from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(place, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(place, "bot.py"), []byte(samples[0]+samples[len(samples)-1]), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(d.https)
	if err != nil {
		t.Fatal(err)
	}
	script := "set -eu\n" + strings.Join(blocksOf(page, "shell"), "\n") + "\nvalue id hook.json\nexec python3 -B bot.py\n"
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = place
	cmd.Env = append(os.Environ(), trust, "CURL_CA_BUNDLE="+filepath.Join(d.dir, "tls/ca.pem"), "PORT=0", "API=https://localhost:"+port+"/v1", "KEY="+c.key.ID, "SECRET="+c.key.Secret)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(complaints.String())
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "wh_"); ok {
			hook = "wh_" + id
		}
		if port, ok := strings.CutPrefix(lines.Text(), "the bot listens at port "); ok {
			return "https://localhost:" + port + "/parley", hook
		}
	}
	t.Fatal("the bot does not start")
	return "", ""
}
