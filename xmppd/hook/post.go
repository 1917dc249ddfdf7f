package hook

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"parley.im/parley/store"
)

// maxAnswer is how much of an answer is kept.
const maxAnswer = 4 << 10

// A poster sends one endpoint's events. It is safe for concurrent use.
type poster struct {
	url, secret string
	key         store.SignKey
	previous    string        // secret, until
	previousKey store.SignKey // until then, too
	until       time.Time
	auth        string                       // the header's value; "" is none
	token       *atomic.Pointer[store.Token] // the account's, as it is now
	hub         bool
	host        string
	account     string
	timeout     time.Duration
	client      *http.Client
	transport   *http.Transport
}

func newPoster(s *Sender, a *Account, token *atomic.Pointer[store.Token], e *store.Endpoint) *poster {
	t := s.transport()
	p := &poster{
		url: e.URL, secret: e.Secret, key: e.SignKey, previous: e.Previous, previousKey: e.PreviousKey, until: e.PreviousUntil, auth: authorization(&e.Auth), token: token, hub: e.Hub,
		host: s.c.Host, account: a.ID, timeout: s.c.Timeout,
		transport: t,
		client: &http.Client{
			Transport: t,
			// A redirect is an answer like any other, and a failure: following it would
			// send the event to somebody whom nobody registered.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if p.host == "" {
		p.host = a.Domain
	}
	return p
}

// An event is one record, made ready to be sent.
type event struct {
	ordinal      store.Ordinal
	conversation store.ConversationID
	name         string
	id           string // "evt_…"
	body         []byte
}

// An outcome is what came of one attempt.
type outcome struct {
	id      string // "dlv_…"
	at      time.Time
	took    time.Duration
	status  int           // 0: no answer
	after   time.Duration // what Retry-After asked for
	answer  []byte
	problem string // empty when it was delivered
	aborted bool   // we broke it off: it says nothing about the endpoint
}

// post makes one attempt. Ending ctx breaks it off.
func (p *poster) post(ctx context.Context, e *event, attempt int) (o outcome) {
	start := time.Now()
	o.at, o.id = start, deliveryID(start)
	defer func() { o.took = time.Since(start) }()

	// The whole attempt has one end, so that a receiver that drips its answer gains
	// nothing.
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := p.request(limited, e, o.id, start, attempt)
	if err != nil {
		o.problem = "the endpoint's URL cannot be used"
		return o
	}
	resp, err := p.client.Do(req)
	if err != nil {
		o.aborted = ctx.Err() != nil
		o.problem = explain(err)
		return o
	}
	defer resp.Body.Close() // what was not read is thrown away with the connection
	o.status = resp.StatusCode
	o.after = retryAfter(resp.Header, time.Now())
	o.problem = judge(resp.StatusCode)
	// The status has decided; an answer that breaks off is kept as far as it came.
	o.answer, _ = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	o.answer = o.answer[:min(len(o.answer), maxAnswer)]
	return o
}

func (p *poster) request(ctx context.Context, e *event, delivery string, at time.Time, attempt int) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(e.body))
	if err != nil {
		return nil, err
	}
	token := p.token.Load()
	for _, h := range [...][2]string{
		{"Content-Type", "application/json; charset=utf-8"},
		{"User-Agent", "Parley-Webhooks/1"},
		{"Webhook-Id", e.id},
		{"Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10)},
		{"Webhook-Signature", p.signatures(e, at)},
		{"X-Vvc-Hmac", HMAC(token.Value, e.body)},
		{"X-Vvc-Host", p.host},
		{"X-Vvc-Acct", p.account},
		{"X-Parley-Event", e.name},
		{"X-Parley-Attempt", strconv.Itoa(attempt)},
		{"X-Parley-Delivery", delivery},
	} {
		req.Header.Set(h[0], h[1])
	}
	if old := token.Old(at); old != "" {
		req.Header.Set("X-Parley-Hmac-Sha1-Previous", HMAC(old, e.body))
	}
	if p.hub {
		req.Header.Set("X-Hub-Signature", "sha1="+req.Header.Get("X-Vvc-Hmac"))
	}
	if p.auth != "" {
		req.Header.Set("Authorization", p.auth)
	}
	return req, nil
}

// signatures are those of the endpoint's secret and of its key, where it has one, and for a
// while after they were changed those of the ones before, with spaces between.
func (p *poster) signatures(e *event, at time.Time) string {
	all := []string{Sign(p.secret, e.id, at, e.body), SignPublicly(p.key, e.id, at, e.body)}
	if at.Before(p.until) {
		all = append(all, Sign(p.previous, e.id, at, e.body), SignPublicly(p.previousKey, e.id, at, e.body))
	}
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), " ")
}

// authorization is what the receiver wants to see besides the signature (RFC 7617 §2,
// RFC 6750 §2.1).
func authorization(a *store.EndpointAuth) string {
	switch {
	case a.Bearer != "":
		return "Bearer " + a.Bearer
	case a.User != "" || a.Password != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(a.User+":"+a.Password))
	}
	return ""
}

func (p *poster) close() { p.transport.CloseIdleConnections() }
