package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
)

// A talker is a client as a good one is: it keeps what it has sent until that is
// acknowledged (XEP-0198 §4), resumes its session where it can, and otherwise sends
// again, with the same ids, what it does not know to be kept.
type talker struct {
	scene  *scene
	jid    string
	resume bool     // asks for sessions that can be resumed
	others []string // who listens
	fresh  []string // who hears of it later; the next of them makes a new conversation
	rng    *rand.Rand
	began  chan<- struct{} // told, if it can take it, of each new conversation
	breaks bool            // the line breaks now and then, as in a tunnel
	count  int             // messages made

	mu      sync.Mutex // guards what follows, and writing to the stream
	cond    sync.Cond
	stream  *stream // nil when the connection is gone
	session string  // to resume; "" if there is none
	unacked []outgo // sent, in order
	acked   uint32  // stanzas of this session that the server acknowledged
	heard   uint32  // stanzas of this session that came
	quiet   bool    // makes no more messages
}

// An outgo is a stanza on its way; said is nil if it is no message.
type outgo struct {
	text string
	said *sentence
}

// window is how many stanzas a talker sends ahead of their acknowledgement.
const window = 20

// run talks until the scene is over.
func (k *talker) run() {
	for {
		addr := k.scene.address()
		if addr == "" {
			return
		}
		if err := k.live(addr); err != nil && !errors.Is(err, errBroken) {
			// A server that was killed ends connections in every way that there is. What it
			// says while it lives is looked at here.
			if refusal, ok := errors.AsType[*refusedError](err); ok {
				k.scene.t.Errorf("%s: %v", k.jid, refusal)
				return
			}
		}
	}
}

var errBroken = errors.New("the line broke")

// A refusedError is the server's saying no to what it must not refuse.
type refusedError struct{ what string }

func (e *refusedError) Error() string { return e.what }

// live is one connection's life.
func (k *talker) live(addr string) error {
	s, err := dialStream(addr, k.scene.roots, k.jid, scenePassword)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	if err := k.begin(s); err != nil {
		return err
	}
	var sending sync.WaitGroup
	sending.Go(k.talk) // ends with the stream
	err = k.listen(s)
	k.mu.Lock()
	k.stream = nil
	k.cond.Broadcast()
	k.mu.Unlock()
	s.conn.Close()
	sending.Wait()
	return err
}

// begin resumes the session or starts one, and sends again what was not acknowledged.
func (k *talker) begin(s *stream) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	resumed, err := k.tryResume(s)
	if err != nil {
		return err
	}
	if !resumed {
		if err := s.bind("talk"); err != nil {
			return err
		}
		if k.session, err = s.enable(k.resume); err != nil {
			return err
		}
		k.acked, k.heard = 0, 0
		again := []outgo{{text: "<presence/>"}}
		for _, o := range k.unacked {
			if o.said != nil {
				again = append(again, o)
			}
		}
		k.unacked = again
	}
	for _, o := range k.unacked {
		if err := s.send(o.text); err != nil {
			return err
		}
	}
	k.stream = s
	return s.send(askAck)
}

const askAck = "<r xmlns='" + nsManage + "'/>"

// tryResume resumes the last session, if there is one (XEP-0198 §5).
func (k *talker) tryResume(s *stream) (bool, error) {
	if k.session == "" {
		return false, nil
	}
	if err := s.send(fmt.Sprintf("<resume xmlns='%s' previd='%s' h='%d'/>", nsManage, k.session, k.heard)); err != nil {
		return false, err
	}
	e, err := s.next()
	if err != nil {
		return false, err
	}
	ok := e.XMLName.Local == "resumed"
	k.scene.mu.Lock()
	if ok {
		k.scene.resumed++
	} else {
		k.scene.failed++
	}
	k.scene.mu.Unlock()
	if !ok {
		k.session = ""
		return false, nil
	}
	return true, k.ack(e)
}

// ack takes the server's count of what it has handled; k.mu is held.
func (k *talker) ack(e *element) error {
	h, err := strconv.ParseUint(e.attr("h"), 10, 32)
	n := uint32(h) - k.acked
	if err != nil || int(n) > len(k.unacked) {
		return &refusedError{fmt.Sprintf("%s acknowledges h=%q, after %d and with %d on the way", e.XMLName.Local, e.attr("h"), k.acked, len(k.unacked))}
	}
	k.scene.mu.Lock()
	for _, o := range k.unacked[:n] {
		if o.said != nil {
			o.said.acknowledged = true
		}
	}
	k.scene.mu.Unlock()
	k.unacked, k.acked = k.unacked[n:], uint32(h)
	k.cond.Broadcast()
	return nil
}

// listen reads until the connection ends.
func (k *talker) listen(s *stream) error {
	for {
		e, err := s.next()
		if err != nil {
			return err
		}
		k.mu.Lock()
		err = k.take(s, e)
		k.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// take deals with one element that came; k.mu is held.
func (k *talker) take(s *stream, e *element) error {
	switch name := e.XMLName.Local; {
	case name == "a" && e.XMLName.Space == nsManage:
		return k.ack(e)
	case name == "r" && e.XMLName.Space == nsManage:
		return s.send(fmt.Sprintf("<a xmlns='%s' h='%d'/>", nsManage, k.heard))
	case name == "error":
		return fmt.Errorf("stream error: %s", e.kinds())
	}
	k.heard++
	if e.XMLName.Local != "message" {
		return nil
	}
	if e.attr("type") == "error" {
		return &refusedError{fmt.Sprintf("message %s is refused: %s", e.attr("id"), e.at("error").kinds())}
	}
	k.scene.arrived(k.jid, e)
	return nil
}

// talk says something whenever there is room.
func (k *talker) talk() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		for k.stream != nil && (k.quiet || len(k.unacked) >= window) {
			k.cond.Wait()
		}
		if k.stream == nil {
			return
		}
		if k.breaks && k.rng.IntN(60) == 0 {
			k.stream.conn.NetConn().Close()
			return
		}
		o, fresh := k.make()
		k.unacked = append(k.unacked, o)
		if fresh {
			select {
			case k.began <- struct{}{}:
			default:
			}
		}
		// That it does not get there is what unacked is for.
		_ = k.stream.send(o.text + askAck)
	}
}

// make makes the next message.
func (k *talker) make() (o outgo, fresh bool) {
	to := k.others[k.rng.IntN(len(k.others))]
	if len(k.fresh) > 0 && k.rng.IntN(8) == 0 {
		// Whoever has said something to everybody begins anew, without a new conversation.
		to, k.fresh, fresh = k.fresh[0], append(k.fresh[1:], k.fresh[0]), true
	}
	k.count++
	m := &sentence{id: fmt.Sprintf("%s-%d", k.jid, k.count), from: k.jid, to: to, number: k.count}
	k.scene.mu.Lock()
	k.scene.sent[m.id] = m
	k.scene.mu.Unlock()
	text := fmt.Sprintf("<message to='%s' type='chat' id='m%d'><body>word %d of %s</body><origin-id xmlns='urn:xmpp:sid:0' id='%s'/></message>",
		to, k.count, k.count, k.jid, m.id)
	return outgo{text, m}, fresh
}

// hush ends the making of messages; what was made is still seen through.
func (k *talker) hush() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.quiet = true
	k.cond.Broadcast()
}

// leave ends the stream; the server's end of it ends the connection's life.
func (k *talker) leave() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stream != nil {
		_ = k.stream.send("</stream:stream>") // one that is gone has ended as well
	}
}
