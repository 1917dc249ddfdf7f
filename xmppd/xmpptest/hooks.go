package xmpptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// hooks are the requests that a webhook receiver must have got.
type hooks struct {
	line     int
	requests []hook
	more     bool // "..." stood by itself: others may have come
}

// A hook is one of them.
type hook struct {
	line    int
	method  string
	path    string
	headers [][2]string // name and expected value
	body    any         // JSON; nil when the talk shows none
}

// parseHooks reads the section of requests: each begins with METHOD PATH.
func (t *Talk) parseHooks(s section) (*hooks, error) {
	h := &hooks{line: s.first}
	for i := 0; i < len(s.lines); i++ {
		line := s.lines[i]
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
			continue
		case line == "...":
			h.more = true
			continue
		}
		first := i
		for i+1 < len(s.lines) && !startsRequest(s.lines[i+1]) {
			i++
		}
		r, err := parseHook(s.lines[first : i+1])
		if err != nil {
			return nil, t.fault(s.first+first, "%v", err)
		}
		r.line = s.first + first
		h.requests = append(h.requests, r)
	}
	return h, nil
}

// startsRequest says whether a line belongs to no request above it.
func startsRequest(line string) bool {
	method, path, ok := strings.Cut(line, " ")
	return line == "..." || strings.HasPrefix(line, "#") ||
		ok && method == strings.ToUpper(method) && strings.HasPrefix(path, "/")
}

func parseHook(lines []string) (hook, error) {
	var r hook
	var ok bool
	if r.method, r.path, ok = strings.Cut(lines[0], " "); !ok || !startsRequest(lines[0]) {
		return r, fmt.Errorf("want METHOD /PATH, got %q", lines[0])
	}
	for i, line := range lines[1:] {
		if strings.HasPrefix(line, "{") || strings.HasPrefix(line, "[") {
			body := strings.Join(lines[1+i:], "\n")
			if err := json.Unmarshal([]byte(dotsToJSON(body)), &r.body); err != nil {
				return r, fmt.Errorf("the expected body: %v", err)
			}
			return r, nil
		}
		name, value, ok := strings.Cut(line, ": ")
		if ok {
			r.headers = append(r.headers, [2]string{name, value})
		} else if strings.TrimSpace(line) != "" {
			return r, fmt.Errorf("want a header, got %q", line)
		}
	}
	return r, nil
}

// check takes what the receiver got and finds it among the expected requests.
func (h *hooks) check(p *player) error {
	got := p.server.Webhooks()
	if got == nil {
		return errors.New("the server has no webhook receiver")
	}
	left := slices.Clone(h.requests)
	for len(left) > 0 {
		select {
		case r := <-got:
			p.tell("webhook", "<", r.Method+" "+r.Path+" "+string(r.Body))
			if err := h.one(p, &left, r); err != nil {
				return err
			}
		case <-time.After(patience):
			return fmt.Errorf("line %d: %s %s did not come within %v", left[0].line, left[0].method, left[0].path, patience)
		}
	}
	quiesce()
	select {
	case r := <-got:
		if !h.more {
			return fmt.Errorf("a request that the talk does not say: %s %s\n%s", r.Method, r.Path, r.Body)
		}
	default:
	}
	return nil
}

// one crosses off the expected request that r is.
func (h *hooks) one(p *player, left *[]hook, r Request) error {
	var why []string
	for i, want := range *left {
		try := p.vars.copy()
		err := want.fits(try, r)
		if err == nil {
			p.vars.take(try)
			*left = slices.Delete(*left, i, i+1)
			return nil
		}
		why = append(why, fmt.Sprintf("line %d: %v", want.line, err))
	}
	if h.more {
		return nil
	}
	return fmt.Errorf("none of the requests fits:\n%s\ngot  %s %s\n%s", strings.Join(why, "\n"), r.Method, r.Path, r.Body)
}

func (h *hook) fits(v vars, r Request) error {
	if h.method != r.Method || h.path != r.Path {
		return mismatchf("want %s %s, got %s %s", h.method, h.path, r.Method, r.Path)
	}
	for _, f := range h.headers {
		if err := v.match(f[1], r.Header.Get(f[0])); err != nil {
			return mismatchf("header %s: %v", f[0], err)
		}
	}
	if h.body == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(r.Body))
	var got any
	if err := d.Decode(&got); err != nil {
		return mismatchf("the body isn't JSON: %v", err)
	}
	return v.json("body", h.body, got)
}
