// Package chromium drives a headless Chromium in tests: it opens pages, presses keys, and sees what is there as a screen
// reader does. It is for pages with one frame of another site in them, such as the widget's.
package chromium

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits for what is to come; it comes at once on a machine that is not busy.
const Patience = 20 * time.Second

// A Browser is a headless Chromium, spoken to over a pipe (Chrome DevTools Protocol).
type Browser struct {
	mu      sync.Mutex
	in      *os.File
	last    int
	answers map[int]chan message
	pages   map[string]*Tab // by session, of the page and of its frames
}

type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Start starts one, with more arguments; it ends with the test. Where there is none, the test is skipped, but fails where
// everything is installed, as the environment's CI says.
func Start(t *testing.T, args ...string) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		const why = "Chromium is not here; on Debian: apt-get install chromium"
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context())) // so that it is there for what is cleaned up before it
	cmd := exec.CommandContext(ctx, path, append(args, "--headless=new", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "--no-sandbox",
		"--ignore-certificate-errors", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-prefers-reduced-motion", "--lang=en", "--site-per-process", "about:blank")...)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it ends its own processes
	cmd.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &Browser{in: in, answers: map[int]chan message{}, pages: map[string]*Tab{}}
	var reading sync.WaitGroup
	reading.Go(func() { b.read(out) })
	t.Cleanup(func() {
		stop()
		cmd.Wait()
		in.Close()
		reading.Wait()
		out.Close()
		if t.Failed() {
			for line := range strings.Lines(said.String()) {
				if !strings.Contains(line, "dbus") { // there is no desktop here
					t.Logf("chromium: %s", line)
				}
			}
		}
	})
	return b
}

func (b *Browser) read(out *os.File) {
	r := bufio.NewReader(out)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			break
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		answer, page := b.answers[m.ID], b.pages[m.Session]
		delete(b.answers, m.ID)
		b.mu.Unlock()
		switch {
		case m.ID != 0 && answer != nil:
			answer <- m
		case page != nil:
			page.event(m)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, answer := range b.answers {
		close(answer)
	}
	b.answers = nil
}

// post sends a command; what it answers comes later.
func (b *Browser) post(session, method string, params any) (chan message, error) {
	text, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answers == nil {
		return nil, fmt.Errorf("%s: the browser is gone", method)
	}
	b.last++
	b.answers[b.last] = answer
	text, err = json.Marshal(message{ID: b.last, Session: session, Method: method, Params: text})
	if err == nil {
		_, err = b.in.Write(append(text, 0))
	}
	return answer, err
}

// Ask sends a command for a session, "" for the browser itself, and reads the answer into result, which may be nil.
func (b *Browser) Ask(t *testing.T, session, method string, params, result any) {
	t.Helper()
	answer, err := b.post(session, method, params)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case m, ok := <-answer:
		switch {
		case !ok:
			t.Fatalf("%s: the browser is gone", method)
		case m.Error != nil:
			t.Fatalf("%s: %s", method, m.Error.Message)
		case result != nil:
			if err := json.Unmarshal(m.Result, result); err != nil {
				t.Fatalf("%s: %v", method, err)
			}
		}
	case <-time.After(Patience):
		t.Fatalf("%s: no answer", method)
	}
}

// Attrs are parameters of a command.
type Attrs = map[string]any
