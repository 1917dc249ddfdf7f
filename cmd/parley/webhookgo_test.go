package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"parley.im/parley/xmppd/hook"
)

// receiverInGo has the lines of docs/webhooks.md.
func receiverInGo(secret string) (http.HandlerFunc, error) {
	hook, err := standardwebhooks.NewWebhook(secret) // once
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || hook.Verify(body, r.Header) != nil {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}, nil
}

// What docs/webhooks.md shows for Go is receiverInGo, which takes what is genuine and nothing else.
func TestWebhookDocsInGo(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("webhookgo_test.go")
	if err != nil {
		t.Fatal(err)
	}
	flat := func(code string) (lines string) {
		for line := range strings.Lines(code) {
			lines += strings.TrimSpace(line) + "\n"
		}
		return lines
	}
	ours := flat(string(text))
	for _, block := range blocksOf(pages(t)["docs/webhooks.md"], "go") {
		for part := range strings.SplitSeq(flat(strings.ReplaceAll(block, `"whsec_…"`, "secret")), "\n\n") {
			if !strings.Contains(ours, part) {
				t.Errorf("this file has other lines than the page:\n%s", part)
			}
		}
	}

	const secret, id, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "evt_qzv4xk2m7ts3hbc5ndyw6rpgle", `{"type":"webhook.test"}`
	receiver, err := receiverInGo(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for sent, want := range map[string]int{body: http.StatusNoContent, strings.ToUpper(body): http.StatusUnauthorized} {
		r := httptest.NewRequest("POST", "/parley", strings.NewReader(sent))
		r.Header.Set("webhook-id", id)
		r.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
		r.Header.Set("webhook-signature", hook.Sign(secret, id, now, []byte(body)))
		w := httptest.NewRecorder()
		receiver(w, r)
		if w.Code != want {
			t.Errorf("%s is answered with %d, want %d", sent, w.Code, want)
		}
	}
}
