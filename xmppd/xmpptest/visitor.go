package xmpptest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// A guest is a visitor of the cast: a program that speaks docs/visitors.md. What it has
// opened last is its contact.
type guest struct {
	person Person
	client *http.Client
	token  string
	conn   *websocket.Conn // nil while it is not connected
	end    context.CancelFunc

	mu     sync.Mutex // guards what follows
	frames []any      // that have come and were not looked at
	over   bool
	came   chan struct{} // holds one value when something has come
}

// guest is the visitor who is called so.
func (p *player) guest(who string) *guest {
	if g := p.guests[who]; g != nil {
		return g
	}
	person, _ := p.talk.person(who)
	g := &guest{person: person, client: &http.Client{Transport: &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return p.server.Dial(ctx, "https") },
		TLSClientConfig: &tls.Config{RootCAs: p.server.Roots(), NextProtos: []string{"http/1.1"}},
	}}}
	p.guests[who] = g
	return g
}

// account is the account of the visitor's shop, as quickstart calls it.
func (g *guest) account() string { return strings.Split(g.person.Domain, ".")[0] }

func (g *guest) url(path string) string {
	return "https://" + g.person.Domain + "/visit/" + g.account() + path
}

// visit does a line of a visitor's.
func (p *player) visit(s step) error {
	g := p.guest(s.who)
	switch s.do {
	case doOpen:
		return p.open(g, s)
	case doJoin:
		return p.join(g, s)
	case doSend:
		text, err := p.names(s.text)
		if err != nil {
			return err
		}
		p.tell(s.who, ">", text)
		return g.write(p.ctx, text)
	case doExpect:
		return p.expectFrame(g, s)
	case doNothing:
		return p.noFrame(g)
	case doSkip:
		p.settle(nil)
		_, err := p.pong(g, true)
		return err
	case doEnd, doCut:
		return g.ended(p)
	case doDrop, doClose:
		p.tell(s.String(), "", "")
		g.drop(s.do == doClose)
		return nil
	}
	return fmt.Errorf("a visitor can't do that: %s", s)
}

// open opens a contact. $NAME is its id from then on: the local part of its JID.
func (p *player) open(g *guest, s step) error {
	text, err := p.names(s.text)
	if err != nil {
		return err
	}
	p.tell(s.who, "opens", text)
	r, err := http.NewRequestWithContext(p.ctx, "POST", g.url("/contacts"), strings.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := g.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	p.tell(s.who, "<", string(body))
	var opened struct {
		Contact struct {
			ID string `json:"id"`
		} `json:"contact"`
		Token string `json:"token"`
	}
	if err := json.Unmarshal(body, &opened); err != nil || resp.StatusCode != http.StatusCreated || opened.Token == "" {
		return fmt.Errorf("the answer is %s: %s", resp.Status, body)
	}
	g.token = opened.Token
	p.vars["$"+g.person.Name] = opened.Contact.ID
	return nil
}

// join connects, and says who it is and what it has.
func (p *player) join(g *guest, s step) error {
	after := "0"
	if rest, ok := strings.CutPrefix(s.text, "after "); ok {
		var err error
		if after, err = p.names(rest); err != nil {
			return err
		}
	}
	p.tell(s.String(), "", "")
	ctx, end := context.WithCancel(p.ctx)
	conn, _, err := websocket.Dial(ctx, g.url("/socket"), &websocket.DialOptions{HTTPClient: g.client, Subprotocols: []string{"parley.visit.1"}})
	if err != nil {
		end()
		return err
	}
	conn.SetReadLimit(1 << 20)
	g.mu.Lock()
	g.conn, g.end, g.frames, g.over, g.came = conn, end, nil, false, make(chan struct{}, 1)
	g.mu.Unlock()
	p.readers.Go(func() { g.read(ctx, conn) })
	return g.write(p.ctx, fmt.Sprintf(`{"type":"hello","token":%q,"after":%s}`, g.token, after))
}

// read collects what comes, to the end.
func (g *guest) read(ctx context.Context, conn *websocket.Conn) {
	for {
		_, text, err := conn.Read(ctx)
		var frame any
		if err == nil {
			err = json.NewDecoder(bytes.NewReader(text)).Decode(&frame)
		}
		g.mu.Lock()
		if err != nil {
			g.over = true
		} else {
			g.frames = append(g.frames, frame)
		}
		came := g.came
		g.mu.Unlock()
		select {
		case came <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (g *guest) write(ctx context.Context, text string) error {
	if g.conn == nil {
		return errors.New("the visitor isn't connected")
	}
	return g.conn.Write(ctx, websocket.MessageText, []byte(text))
}

// next is what has come first of what was not looked at.
func (g *guest) next() (any, error) {
	if g.conn == nil {
		return nil, errors.New("the visitor isn't connected")
	}
	late := time.After(patience)
	for {
		g.mu.Lock()
		if len(g.frames) > 0 {
			first := g.frames[0]
			g.frames = g.frames[1:]
			g.mu.Unlock()
			return first, nil
		}
		over := g.over
		g.mu.Unlock()
		if over {
			return nil, errors.New("the connection has ended")
		}
		select {
		case <-g.came:
		case <-late:
			return nil, fmt.Errorf("nothing came within %v", patience)
		}
	}
}

func (p *player) expectFrame(g *guest, s step) error {
	got, err := g.next()
	if err != nil {
		return err
	}
	p.tell(s.who, "<", compact(got))
	var want any
	if err := json.Unmarshal([]byte(dotsToJSON(s.text)), &want); err != nil {
		return fmt.Errorf("the expected frame: %v", err)
	}
	try := p.vars.copy()
	if err := try.json("frame", want, got); err != nil {
		return fmt.Errorf("%w\ngot  %s", err, compact(got))
	}
	p.vars.take(try)
	return nil
}

// noFrame says that nothing but the answer to a ping comes, once all is settled.
func (p *player) noFrame(g *guest) error {
	p.settle(nil)
	other, err := p.pong(g, false)
	if err == nil && other != nil {
		err = fmt.Errorf("want nothing, got %s", compact(other))
	}
	return err
}

// pong asks for a sign of life, and takes what comes up to the answer: nothing else, or anything.
func (p *player) pong(g *guest, skip bool) (other any, err error) {
	if err := g.write(p.ctx, `{"type":"ping"}`); err != nil {
		return nil, err
	}
	for {
		got, err := g.next()
		if err != nil {
			return nil, err
		}
		if m, ok := got.(map[string]any); ok && m["type"] == "pong" {
			return nil, nil
		}
		if !skip {
			return got, nil
		}
	}
}

// ended waits for the end of the connection; what comes before it is not said here.
func (g *guest) ended(p *player) error {
	got, err := g.next()
	if err == nil {
		return fmt.Errorf("want the end of the connection, got %s", compact(got))
	}
	g.drop(false)
	return nil
}

func (g *guest) drop(politely bool) {
	if g.conn == nil {
		return
	}
	if politely {
		_ = g.conn.Close(websocket.StatusNormalClosure, "") // the other side may be gone
	}
	g.end()
	_ = g.conn.CloseNow()
	g.conn = nil
}
