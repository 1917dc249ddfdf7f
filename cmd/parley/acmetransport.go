package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"unicode"
)

const (
	acmeAnswer = 1 << 20 // bytes of an authority's answer, at most
	acmeReason = 500     // bytes of its reason in the log
)

// An acmeTransport carries requests to an authority. It asks nothing more once its context has
// ended, since autocert has none of ours, and remembers why the authority found a name
// not to be ours (RFC 8555 §7.1.5), which autocert keeps to itself.
type acmeTransport struct {
	under http.RoundTripper
	end   context.Context

	mu     sync.Mutex // guards what follows
	reason string
}

// RoundTrip carries one request.
func (t *acmeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.end.Err(); err != nil {
		return nil, err
	}
	resp, err := t.under.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, acmeAnswer))
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	if why := reasonIn(text); why != "" {
		t.mu.Lock()
		t.reason = why
		t.mu.Unlock()
	}
	return resp, nil
}

// why is the last reason that was told, once.
func (t *acmeTransport) why() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	why := t.reason
	t.reason = ""
	return why
}

// reasonIn is what an authorization says went wrong, on one line; "" if it says nothing.
func reasonIn(answer []byte) string {
	var authorization struct {
		Challenges []struct {
			Type  string
			Error struct{ Detail string }
		}
	}
	if json.Unmarshal(answer, &authorization) != nil {
		return ""
	}
	for _, c := range authorization.Challenges {
		if c.Error.Detail == "" {
			continue
		}
		why := strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, c.Type+": "+c.Error.Detail)
		return strings.ToValidUTF8(why[:min(len(why), acmeReason)], "")
	}
	return ""
}
