package visit

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
)

// bearer is the token of a request (RFC 6750 §2.1).
func bearer(r *http.Request) string {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// asker is the contact that a request's token reaches.
func (a *account) asker(r *http.Request) (*desk.Contact, error) {
	if a.banned(contact.BanAddress, contact.Network(a.server.cfg.ClientAddr(r)).String()) {
		return nil, errBanned
	}
	c, err := a.reached(r.Context(), bearer(r))
	if err == nil && a.banned(contact.BanVisitor, c.Visitor) {
		err = errBanned
	}
	return c, err
}

// A stream is server-sent events (HTML, Server-sent events §9.2). It is a sink.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	time    time.Duration // to write in
}

// events answers GET events.
func (a *account) events(w http.ResponseWriter, r *http.Request) error {
	c, err := a.asker(r)
	if err != nil {
		return err
	}
	after := int64(0)
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		if after, err = strconv.ParseInt(last, 10, 64); err != nil || after < 0 {
			return refusal{codeInvalid, "Last-Event-ID is the id of an event"}
		}
	}
	where := contact.Network(a.server.cfg.ClientAddr(r))
	leave, err := a.enter(where)
	if err != nil {
		return err
	}
	defer leave()
	s := &stream{w: w, control: http.NewResponseController(w), time: a.server.writeTime}
	s.control.SetReadDeadline(time.Time{}) // or net/http takes the client for gone when the request should have come
	if free := a.server.cfg.Elsewhere; free != nil {
		free(r)
	}
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx keeps events until there are more
	l, err := a.join(c, s, where, after)
	if err != nil {
		return err
	}
	defer l.leave()
	select {
	case <-r.Context().Done():
	case <-l.done:
	}
	return nil
}

func (s *stream) write(data []byte, seq int64) error {
	if data == nil {
		return s.send([]byte(":\n\n"))
	}
	b := make([]byte, 0, len(data)+40)
	if seq > 0 {
		b = append(strconv.AppendInt(append(b, "id: "...), seq, 10), '\n')
	}
	b = append(append(append(b, "data: "...), data...), "\n\n"...) // JSON has no line ends
	return s.send(b)
}

func (s *stream) send(b []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.time)); err != nil {
		return err
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	if err := s.control.Flush(); err != nil {
		return err
	}
	return s.control.SetWriteDeadline(time.Time{}) // which ends a stream of HTTP/2 though nothing is to be written
}

// beat sends something that is no event, so that proxies keep the connection and a dead one is noticed.
func (s *stream) beat(l *line) { l.tell(nil) }

func (s *stream) close(why bye) {
	if why != byeGone {
		s.write(why.bytes(), 0) // an error means that nobody is there
	}
}

// frames answers POST frames.
func (a *account) frames(w http.ResponseWriter, r *http.Request) error {
	c, err := a.asker(r)
	if err != nil {
		return err
	}
	body, err := a.server.body(w, r)
	if err != nil {
		return err
	}
	f, err := parse(body)
	if err != nil {
		return err
	}
	if err := a.server.crowd.mayAsk(contact.Network(a.server.cfg.ClientAddr(r)), a.server.cfg.Now()); err != nil {
		return err
	}
	t := a.talkOf(c)
	if wait := t.allow(); wait > 0 {
		return later{refusal{codeLimit, "too much at a time"}, wait}
	}
	switch f.Type {
	case "hello":
		return refusal{codeInvalid, "the token is in Authorization, where it was before is in Last-Event-ID"}
	case "ping":
	case "say":
		said, err := t.said(r.Context(), &f)
		if err == nil {
			reply(w, http.StatusOK, said)
		}
		return err
	case "typing", "received", "read":
		t.does(&f, nil)
	case "rate": // which may come as long as the token is good
		if err := a.Contacts.RateLate(r.Context(), c.Address, desk.Rating{Stars: f.Stars, Comment: f.Comment}); err != nil {
			return err
		}
	case "transcript":
		if err := a.sendTranscript(r.Context(), c, &applicant{by: desk.Visitor, email: f.Email}); err != nil {
			return err
		}
	default:
		if _, err := contact.Wait(func(done desk.Done) { t.does(&f, done) }); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
