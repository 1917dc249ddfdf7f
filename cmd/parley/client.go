package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"parley.im/parley/xmppd/web"
)

// A client gives an operator's command to whoever can carry it out.
type client struct {
	http  *http.Client
	close func() error
	// local says that no server runs: the command works on the stores itself.
	local bool
}

// connect takes the data folder or, when a server has it, connects to that.
func (c *call) connect(ctx context.Context) (*client, error) {
	f, err := c.load()
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	release, err := waitForData(ctx, f.Data, func() bool {
		conn, err = dialControl(ctx, f.Listen.Control)
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	if conn != nil {
		return remoteClient(f.Listen.Control, conn), nil
	}
	log := slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	i, err := openInstallation(ctx, f, log)
	if err != nil {
		release()
		return nil, err
	}
	return localClient(i, release), nil
}

func remoteClient(path string, first net.Conn) *client {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		if conn := first; conn != nil {
			first = nil
			return conn, nil
		}
		return dialControl(ctx, path)
	}}
	return &client{
		http:  &http.Client{Transport: t, CheckRedirect: stay},
		close: func() error { t.CloseIdleConnections(); return nil },
	}
}

func localClient(i *installation, release func()) *client {
	t := &inProcess{handler: newOperator(i)}
	return &client{
		http:  &http.Client{Transport: t, CheckRedirect: stay},
		local: true,
		close: func() error {
			defer release()
			t.running.Wait()
			return i.Close()
		},
	}
}

// stay keeps a command from doing what it was not told to do.
func stay(*http.Request, []*http.Request) error {
	return errors.New("the server sends the command elsewhere")
}

// do sends in as JSON, if it is not nil, and reads the answer into out.
func (c *client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	answer, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if out == nil {
		out = new(json.RawMessage)
	}
	if err := json.NewDecoder(answer).Decode(out); err != nil && !errors.Is(err, io.EOF) { // 204 says nothing
		return fmt.Errorf("read the server's answer: %w", err)
	}
	_, err = io.Copy(io.Discard, answer)
	return err
}

// send sends a request and returns the body of the answer, unless it is a failure.
func (c *client) send(ctx context.Context, method, path string, body io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://parley"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if resp.StatusCode < 300 {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	if r := web.ReadProblem(text); r != nil {
		return nil, failureOf(r)
	}
	return nil, fmt.Errorf("the server answered %s", resp.Status)
}

// answerMax bounds an error of the server's in bytes.
const answerMax = 1 << 20

// each reads a list of the API's, part by part.
func each[T any](ctx context.Context, c *client, path string, do func(T) error) error {
	more := "?"
	if strings.Contains(path, "?") {
		more = "&"
	}
	for after := ""; ; {
		var part web.List[T]
		if err := c.do(ctx, "GET", path+more+"limit=1000&after="+url.QueryEscape(after), nil, &part); err != nil {
			return err
		}
		for _, v := range part.Items {
			if err := do(v); err != nil {
				return err
			}
		}
		if after = part.Next; after == "" {
			return nil
		}
	}
}

// items reads a list of the API's that is never long.
func items[T any](ctx context.Context, c *client, path string) ([]T, error) {
	var all web.List[T]
	err := c.do(ctx, "GET", path, nil, &all)
	return all.Items, err
}

// withClient runs do with a client and closes it.
func (c *call) withClient(ctx context.Context, do func(*client) error) (err error) {
	cl, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cl.close()) }()
	return do(cl)
}

// inProcess carries requests to a handler in this process, without a connection.
type inProcess struct {
	handler http.Handler
	running sync.WaitGroup
}

// RoundTrip lets the handler answer. The body of the answer ends, or is closed,
// before the handler's goroutine ends.
func (t *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	pr, pw := io.Pipe()
	a := &answer{header: make(http.Header), body: pw, begun: make(chan struct{})}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	t.running.Go(func() {
		t.handler.ServeHTTP(a, r)
		a.begin(http.StatusOK)
		pw.Close()
		r.Body.Close()
	})
	<-a.begun
	return &http.Response{
		StatusCode: a.status, Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: pr, ContentLength: -1, Request: r,
	}, nil
}

// An answer is the ResponseWriter of a request within the process.
type answer struct {
	header http.Header
	body   *io.PipeWriter
	once   sync.Once
	status int
	begun  chan struct{}
}

// Header is what WriteHeader will send.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader lets the caller see the status.
func (a *answer) WriteHeader(status int) { a.begin(status) }

// Write waits for the caller to read.
func (a *answer) Write(b []byte) (int, error) {
	a.begin(http.StatusOK)
	return a.body.Write(b)
}

func (a *answer) begin(status int) {
	a.once.Do(func() {
		a.status = status
		close(a.begun)
	})
}
