package visit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/panics"
)

const (
	// subprotocol is the version of what is spoken (RFC 6455 §1.9).
	subprotocol = "parley.visit.1"
	// helloTime is how long a client may take to say who it is, helloMax how long that may be in bytes.
	helloTime = 10 * time.Second
	helloMax  = 1 << 10
	// largeTime is how long a large frame may take.
	largeTime = 20 * time.Second
	// closeTime is how long a client may take to say goodbye, too.
	closeTime = time.Second
	// pongTime is how long a client may take to say that it is still there.
	pongTime = 20 * time.Second
)

// socket answers GET socket: it is a WebSocket from there on, which no part of net/http is kept for.
func (a *account) socket(w http.ResponseWriter, r *http.Request) error {
	where := contact.Network(a.server.cfg.ClientAddr(r))
	if a.banned(contact.BanAddress, where.String()) {
		return errBanned
	}
	if !slices.ContainsFunc(r.Header.Values("Sec-WebSocket-Protocol"), func(v string) bool {
		return slices.ContainsFunc(strings.Split(v, ","), func(p string) bool { return strings.TrimSpace(p) == subprotocol })
	}) {
		return refusal{codeInvalid, "a WebSocket is opened with the subprotocol " + subprotocol}
	}
	leave, err := a.enter(where)
	if err != nil {
		return err
	}
	var c caller
	taken := &small{ResponseWriter: w}
	ws, err := websocket.Accept(taken, r, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol}, CompressionMode: websocket.CompressionDisabled,
		InsecureSkipVerify: true, // see own
		OnPingReceived:     c.pinged,
	})
	if err != nil {
		leave()
		return nil // it was answered
	}
	ws.SetReadLimit(frameMax)
	c.ws, c.conn, c.account = ws, taken.conn, a
	go func() { // ends with the connection, which Remove ends and waits for
		defer leave()
		defer ws.CloseNow()
		panics.Catch(a.log, func() { c.serve(where) })
	}()
	return nil
}

// enter takes a place for a connection. Whoever gets one calls leave in the end.
func (a *account) enter(where netip.Prefix) (leave func(), err error) {
	if err := a.server.crowd.enter(where, a.server.cfg.Now()); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		a.server.crowd.leave(where)
		return nil, errCrowd
	}
	a.lines.Add(1)
	return func() {
		a.server.crowd.leave(where)
		a.lines.Done()
	}, nil
}

// A caller is a WebSocket. It is a sink.
type caller struct {
	account *account
	ws      *websocket.Conn
	conn    net.Conn // beneath it
	line    *line    // nil before hello; touched by the reader
}

// serve talks with a client until one of both has enough.
func (c *caller) serve(where netip.Prefix) {
	f, why := c.hello()
	if why != byeGone {
		c.bye(why)
		return
	}
	ctx := context.Background() // whatever waits ends with the connection
	is, err := c.account.reached(ctx, f.Token)
	switch {
	case errors.Is(err, errToken):
		c.bye(byeExpired)
		return
	case err != nil:
		c.account.refused(err)
		c.bye(byeRestart)
		return
	case c.account.banned(contact.BanVisitor, is.Visitor):
		c.bye(byeBanned)
		return
	}
	if c.line, err = c.account.join(is, c, where, f.After); err != nil {
		c.bye(byeRestart)
		return
	}
	defer c.line.leave()
	c.read()
}

// hello reads the first frame.
func (c *caller) hello() (f asked, why bye) {
	late := time.AfterFunc(helloTime, func() { c.ws.CloseNow() })
	defer late.Stop()
	kind, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return f, byeInvalid
	}
	data, err := io.ReadAll(io.LimitReader(r, helloMax+1))
	if err != nil || kind != websocket.MessageText || len(data) > helloMax {
		return f, byeInvalid
	}
	if f, err = parse(data); err != nil || f.Type != "hello" {
		return f, byeInvalid
	}
	return f, byeGone
}

// read takes the client's frames until the connection ends.
func (c *caller) read() {
	for !c.line.ended() {
		kind, r, err := c.ws.Reader(context.Background())
		if err != nil {
			return
		}
		c.line.heard.Store(true)
		data, err := c.frame(r)
		if err != nil {
			return
		}
		if !c.pause() || !c.line.roomToSay() {
			return
		}
		f, err := parse(data)
		if kind != websocket.MessageText {
			err = errFrame
		}
		c.take(&f, err)
	}
}

// frame reads one whole. Only so many take much memory at a time, and none for long.
func (c *caller) frame(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, frameSmall+1))
	if err != nil || len(data) <= frameSmall {
		return data, err
	}
	late := time.AfterFunc(largeTime, func() { c.ws.CloseNow() })
	defer late.Stop()
	large := c.account.server.large
	large <- struct{}{} // whoever has a place gives it back in that time
	defer give(large)
	b := bytes.NewBuffer(data)
	_, err = b.ReadFrom(r)
	return b.Bytes(), err
}

// pause waits as long as somebody has to who sends too much. It is false when the line ends.
func (c *caller) pause() bool {
	wait := c.line.talk.allow()
	if wait == 0 {
		return true
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return !c.line.ended()
		case <-c.line.room:
			if c.line.ended() {
				return false
			}
		}
	}
}

// pinged is called while the reader reads: pings are frames that cost as much as others.
func (c *caller) pinged(context.Context, []byte) bool {
	if c.line == nil {
		return true
	}
	c.line.heard.Store(true)
	return c.pause()
}

// take does what a frame asks for.
func (c *caller) take(f *asked, err error) {
	l := c.line
	switch {
	case err != nil:
		l.tell(errorFrame(f, c.account.refused(err)))
	case f.Type == "hello":
		l.tell(errorFrame(f, refusal{codeNotNow, "hello was said already"}))
	case f.Type == "ping":
		l.tell((&frame{Type: "pong"}).bytes())
	case f.Type == "say":
		l.say(f)
	case f.Type == "transcript":
		l.tell(errorFrame(f, refusal{codeNotNow, "a transcript is asked for with POST frames, since sending it takes its time"}))
	default:
		l.talk.does(f, func(_ *desk.Change, err error) {
			if err != nil {
				l.tell(errorFrame(f, c.account.refused(err)))
			}
		})
	}
}

func (c *caller) write(data []byte, _ int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.account.server.writeTime)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, data)
}

// beat asks a client that says nothing whether it is there. One that does not answer is cut.
func (c *caller) beat(*line) {
	go func() { // ends within pongTime
		ctx, cancel := context.WithTimeout(context.Background(), pongTime)
		defer cancel()
		if c.ws.Ping(ctx) != nil {
			c.ws.CloseNow()
		}
	}()
}

func (c *caller) close(why bye) {
	c.bye(why)
	c.ws.CloseNow()
}

// bye says why the connection ends, if anybody is there.
func (c *caller) bye(why bye) {
	if why == byeGone || c.write(why.bytes(), 0) != nil {
		return
	}
	late := time.AfterFunc(closeTime, func() { c.conn.Close() })
	defer late.Stop()
	status := websocket.StatusNormalClosure
	if why == byeRestart {
		status = websocket.StatusServiceRestart
	}
	c.ws.Close(status, why.code)
}
