package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/web"
)

// An inbox takes events and keeps them as they came.
type inbox struct {
	mu   sync.Mutex // guards what follows
	came []*http.Request
	body []string
}

func (b *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.came, b.body = append(b.came, r), append(b.body, string(body))
	w.WriteHeader(http.StatusNoContent)
}

// good counts the events of a type that are genuine by the secret.
func (b *inbox) good(t *testing.T, event, secret string) (n int) {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, r := range b.came {
		if r.Header.Get("x-parley-event") == event && hook.Verify([]byte(b.body[i]), r.Header) == nil {
			n++
		}
	}
	return n
}

// An integrator follows docs/webhooks.md with curl alone: what is sent arrives and is genuine.
func TestWebhookDocs(t *testing.T) {
	t.Parallel()
	needs(t, "bash", "curl", "openssl", "python3")
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "-set", `webhook.allow=["127.0.0.0/8"]`, "-account", "desk", "localhost")
	must(t, "anna@localhost\tcorrect horse 42\nben@localhost\tcorrect horse 42\n", "agent", "import", "-config", config)
	d := startDaemon(t, dir, "SSL_CERT_FILE="+filepath.Join(dir, "tls/ca.pem"))
	in := new(inbox)
	receiver := receiverAt(t, dir, in)
	key := d.newKey("-role", "admin")
	_, port, err := net.SplitHostPort(d.https)
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("set -eu\nKEY=%s SECRET=%s API=https://localhost:%s/v1\ncurl() { command curl --cacert %q \"$@\"; }\n", key.ID, key.Secret, port, filepath.Join(dir, "tls/ca.pem")) +
		strings.NewReplacer("https://shop.example/parley", receiver, "2026-11-27T09:30:00Z", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)).
			Replace(strings.Join(blocksOf(pages(t)["docs/webhooks.md"], "sh"), "\n"))
	place := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = place
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	secretIn := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(place, name))
		if err != nil {
			t.Fatal(err)
		}
		var info web.WebhookInfo
		if err := json.Unmarshal(text, &info); err != nil || info.Secret == "" {
			t.Fatalf("%s: %v: %s", name, err, text)
		}
		return info.Secret
	}
	first, second := secretIn("hook.json"), secretIn("rotated.json")
	eventually(t, "the test has come", func() bool { return in.good(t, "webhook.test", first) > 0 })
	anna := d.login("anna", "correct horse 42", "desk")
	anna.domain = "localhost"
	anna.in(t).send("<message to='ben@localhost' id='m1' type='chat'><body>Hello</body></message>")
	eventually(t, "a message has come, signed with both secrets", func() bool {
		return in.good(t, "message.created", first) > 0 && in.good(t, "message.created", second) > 0
	})
	token := strings.TrimSpace(must(t, "", "account", "show", "-secret", "desk", "-config", config))
	in.inPython(t, second, token)
	in.inOpenSSL(t, config)
}

// inOpenSSL checks an event by the webhook's public key, as the page shows it.
func (b *inbox) inOpenSSL(t *testing.T, config string) {
	t.Helper()
	var hooks []web.WebhookInfo
	if err := json.Unmarshal([]byte(must(t, "", "webhook", "list", "-json", "-config", config)), &hooks); err != nil || len(hooks) != 1 {
		t.Fatalf("%d webhooks, %v", len(hooks), err)
	}
	must(t, "", "webhook", "set", "-signature", "ed25519", hooks[0].ID, "-config", config)
	var hook web.WebhookInfo
	if err := json.Unmarshal([]byte(must(t, "", "webhook", "show", "-json", hooks[0].ID, "-config", config)), &hook); err != nil {
		t.Fatal(err)
	}
	must(t, "", "webhook", "test", hook.ID, "-config", config)
	var r *http.Request
	var body string
	eventually(t, "an event has come that is signed with the key", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		r, body = b.came[len(b.came)-1], b.body[len(b.body)-1]
		return strings.Contains(r.Header.Get("webhook-signature"), " v1a,")
	})
	for _, c := range []struct {
		what, key, body, want string
	}{
		{"what came", hook.PublicKey, body, "genuine\n"},
		{"another body", hook.PublicKey, body + " ", "not\n"},
		{"another key", store.NewSignKey().Public(), body, "not\n"},
	} {
		cmd := exec.CommandContext(t.Context(), "bash", "-euc", blocksOf(pages(t)["docs/webhooks.md"], "bash")[0]+`
genuine "$@" && echo genuine || echo not`, "bash", c.key, r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), r.Header.Get("webhook-signature"))
		cmd.Stdin = strings.NewReader(c.body)
		if out, err := cmd.Output(); err != nil || string(out) != c.want {
			t.Errorf("%s: %q, %v, want %q", c.what, out, err, c.want)
		}
	}
}

// inPython checks an event as the page shows it for Python.
func (b *inbox) inPython(t *testing.T, secret, token string) {
	t.Helper()
	b.mu.Lock()
	r, body := b.came[len(b.came)-1], b.body[len(b.body)-1]
	b.mu.Unlock()
	headers := make(map[string]string)
	for name := range r.Header {
		headers[strings.ToLower(name)] = r.Header.Get(name)
	}
	given, err := json.Marshal(map[string]any{"secret": secret, "token": token, "headers": headers, "body": body})
	if err != nil {
		t.Fatal(err)
	}
	samples := blocksOf(pages(t)["docs/webhooks.md"], "python")
	if len(samples) != 3 {
		t.Fatalf("%d samples in Python, want 3", len(samples))
	}
	program := samples[0] + `
import json, sys
given = json.load(sys.stdin)
secret, token, headers, body = given["secret"], given["token"], given["headers"], given["body"].encode()
other = body.replace(b"message", b"massage", 1)
print(genuine(secret, headers, body), genuine(secret, headers, other), genuine(secret[:-4] + "AAA=", headers, body))
print(` + strings.TrimSpace(samples[1]) + ")\n"
	cmd := exec.CommandContext(t.Context(), "python3", "-c", program)
	cmd.Stdin = strings.NewReader(string(given))
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "True False False\nTrue\n" {
		t.Errorf("in Python: %v\n%s", err, out)
	}
}
