package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/wire"
)

const (
	// maxBody bounds a body; what is longer loses the end of its text, and says where all of it
	// is to be had.
	maxBody = 20_000
	// maxField bounds what a client chose freely besides the text, so that cutting
	// the text is enough.
	maxField = 1024
)

// What a body looks like. The fields are written in this order.
type (
	envelope struct {
		Type      string `json:"type"`
		Timestamp string `json:"timestamp"`
		ID        string `json:"id"`
		Account   string `json:"account"`
		CID       string `json:"cid,omitempty"` // of format vivocha only
		Data      any    `json:"data"`
	}
	messageData struct {
		Contact      *contactID   `json:"contact,omitempty"`
		By           string       `json:"by,omitempty"` // who has said it, in a contact
		Conversation conversation `json:"conversation"`
		Seq          int64        `json:"seq"`
		Message      message      `json:"message"`
	}
	conversation struct {
		ID   string `json:"id"`
		Kind string `json:"kind"`
	}
	message struct {
		ID        string `json:"id"`
		OriginID  string `json:"origin_id,omitempty"`
		From      string `json:"from"`
		To        string `json:"to"`
		Type      string `json:"type"`
		Thin      bool   `json:"thin,omitempty"`
		Truncated bool   `json:"truncated,omitempty"`
		URL       string `json:"url,omitempty"` // of the whole record, where this is not all of it
		content
	}
	// content is what thin bodies leave out.
	content struct {
		Text    *string `json:"text,omitempty"`
		Lang    string  `json:"lang,omitempty"`
		Subject string  `json:"subject,omitempty"`
		Thread  string  `json:"thread,omitempty"`
	}
)

// A shape is how an endpoint wants its bodies.
type shape struct {
	thin    bool   // who wrote to whom, without what was said
	guarded bool   // so is what is encrypted where it is kept
	vivocha bool   // see vivocha.go
	api     string // an origin; see Config.API
}

// newShape is how the endpoint gets its bodies. Over plain http they are thin, unless the owner
// has confirmed that what was said may go so; what the account encrypts never does.
func newShape(e *store.Endpoint, api string) shape {
	clear := !isHTTPS(e.URL)
	return shape{thin: e.Thin || clear && !e.Clear, guarded: clear, vivocha: e.Vivocha, api: api}
}

// Body is the JSON that an https endpoint gets for the record e: compact, its
// keys in a fixed order, the same on every attempt. With api, an origin, it says where
// all of a message that is cut can be read.
func Body(a *Account, e *store.Entry, api string) ([]byte, error) {
	return shape{api: api}.render(a, e)
}

// render is Body in that shape.
func (s shape) render(a *Account, e *store.Entry) ([]byte, error) {
	env := envelope{
		Type:      e.Kind.Event(),
		Timestamp: e.At.UTC().Format("2006-01-02T15:04:05.000Z"),
		ID:        a.eventID(e.Ordinal),
		Account:   a.ID,
	}
	if e.Kind == store.KindMessage {
		return s.renderMessage(a, env, e)
	}
	text, err := e.Data, error(nil)
	if isContact(e.Kind) {
		env.CID, text, err = contactData(text, s.thin || s.guarded && !e.Clear)
	}
	if err != nil {
		return nil, fmt.Errorf("render %s %d: %w", env.Type, e.Ordinal, errNotObject)
	}
	data, err := withSeq(text, e.N)
	if err != nil {
		return nil, fmt.Errorf("render %s %d: %w", env.Type, e.Ordinal, err)
	}
	env.Data = data
	return s.encode(env)
}

func (s shape) renderMessage(a *Account, env envelope, e *store.Entry) ([]byte, error) {
	data := messageData{
		Conversation: conversation{ID: strconv.FormatInt(int64(e.Conversation), 10), Kind: "direct"},
		Seq:          e.N,
	}
	m, err := store.ParseMessage(e.Data)
	if err != nil {
		return nil, fmt.Errorf("render message %d: %w", e.Ordinal, err)
	}
	env.CID = data.Conversation.ID
	if data.Contact = a.contactOf(&m); data.Contact != nil {
		env.CID, data.Conversation.Kind = data.Contact.ID, "contact"
		data.By = string(contact.SpokenBy(e).By)
	}
	out := &data.Message
	out.From, out.To, out.Type = bare(m.From), bare(m.To), m.Type
	out.ID = out.field(m.ID)
	out.OriginID = out.field(m.OriginID)
	out.Thin = s.thin || s.guarded && !e.Clear
	if !out.Thin {
		if err := out.fill(&m); err != nil {
			return nil, fmt.Errorf("render message %d: %w", e.Ordinal, err)
		}
	}
	env.Data = &data
	b, err := s.encode(env)
	if err != nil || len(b) <= maxBody && !out.Truncated {
		return b, err
	}
	out.Truncated = true
	if s.api != "" {
		out.URL = fmt.Sprintf("%s/v1/conversations/%d/records/%d", s.api, e.Conversation, e.N)
	}
	if b, err = s.encode(env); err != nil || len(b) <= maxBody || out.Text == nil {
		return b, err
	}
	*out.Text = shorten(*out.Text, len(b)-maxBody)
	return s.encode(env)
}

// fill takes what was said from the message's checked bytes (RFC 6121 §5.2).
func (m *message) fill(from *store.Message) error {
	st, err := wire.ParseInner(from.Decls, from.Inner)
	if err != nil {
		// What the parser says may quote the message: it goes no further.
		return errUnreadable
	}
	child := func(name string) string {
		c := st.Child("jabber:client", name)
		if c == nil {
			return ""
		}
		return st.Text(c)
	}
	text := child("body")
	m.Text = &text
	m.Lang = m.field(from.Lang)
	m.Subject = m.field(child("subject"))
	m.Thread = m.field(child("thread"))
	return nil
}

var errUnreadable = errors.New("stored message cannot be read")

// field bounds a short field, and notes when that cost something.
func (m *message) field(s string) string {
	if len(s) > maxField {
		m.Truncated = true
		return cut(s, maxField)
	}
	return s
}

// withSeq puts the record's number in front of an event's data, which is a JSON
// object as it was recorded.
func withSeq(data []byte, n int64) (json.RawMessage, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil || b.Len() < 2 || b.Bytes()[0] != '{' {
		return nil, errNotObject
	}
	seq := `{"seq":` + strconv.FormatInt(n, 10)
	rest := b.Bytes()[1:]
	if len(rest) > 1 {
		seq += ","
	}
	return append([]byte(seq), rest...), nil
}

var errNotObject = errors.New("data is not a JSON object")

// encode is the body of an event.
func (s shape) encode(env envelope) ([]byte, error) {
	if s.vivocha {
		return encode([]envelope{vivocha(env)})
	}
	env.CID = ""
	return encode(env)
}

// encode is json.Marshal without escaping for HTML, which would only make
// messages harder to read.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// bare is a JID without its resource (RFC 7622 §3.1).
func bare(jid string) string {
	b, _, _ := strings.Cut(jid, "/")
	return b
}

// cut shortens s to at most n bytes, between runes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// shorten takes runes from the end of s until its JSON is at least so many bytes
// shorter.
func shorten(s string, over int) string {
	for over > 0 && s != "" {
		r, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
		switch {
		case r == '"', r == '\\', r == '\n', r == '\r', r == '\t':
			size = 2
		case r == '\u2028', r == '\u2029':
			size = 6
		}
		over -= size
	}
	return s
}

func isHTTPS(url string) bool {
	return len(url) >= 8 && strings.EqualFold(url[:8], "https://")
}

// eventTime is when the entry became due for its first attempt.
func eventTime(e *store.Entry, now time.Time) time.Time {
	if e.At.After(now) {
		return now
	}
	return e.At
}
