package web

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
)

// How a transcript can be had.
const (
	asText   = "text/plain; charset=utf-8"
	asLines  = "application/x-ndjson"
	signSeed = "export" // the name of the secret that exports are signed with

	partMax    = 30 * time.Second // for a part of a transcript to be taken
	aliveEvery = 16               // records in a part
)

// getTranscript streams a conversation, or a range of it: as text, as lines of JSON, or as lines
// that end with a signature over all lines before (format signed).
func (a *API) getTranscript(ctx context.Context, c *caller, in *struct {
	ConversationPath
	TranscriptWish
}) (*huma.StreamResponse, error) {
	s, err := c.conversation(ctx, in.Conversation)
	if err != nil {
		return nil, err
	}
	return a.transcribe(ctx, c, s, in.TranscriptWish)
}

// A TranscriptWish is which part of a conversation is wanted, and how.
type TranscriptWish struct {
	Range
	Format string `query:"format" enum:"text,json,signed" default:"json" doc:"Lines for people, a JSON object in each line, or that and a signature in the last."`
}

func (a *API) transcribe(ctx context.Context, c *caller, s store.Summary, in TranscriptWish) (*huma.StreamResponse, error) {
	if s.Shredded {
		return nil, missing("conversation %d was destroyed", s.ID)
	}
	if err := in.Range.check(); err != nil {
		return nil, err
	}
	t := &transcript{c: c, id: s.ID, Range: in.Range, format: in.Format, now: a.now}
	if in.Format == "signed" {
		var err error
		if t.key, err = c.exportKey(ctx); err != nil {
			return nil, err
		}
		t.sum = sha256.New()
	}
	kind := asLines
	if in.Format == "text" {
		kind = asText
	}
	return a.stream(c, s.ID, kind, func(w io.Writer, alive func()) error {
		t.alive = alive
		return t.write(ctx, w)
	}), nil
}

// stream answers with what write writes, which calls alive for each part.
func (a *API) stream(c *caller, id store.ConversationID, kind string, write func(w io.Writer, alive func()) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(w huma.Context) {
		_, answer := humago.Unwrap(w)
		w.SetHeader("Content-Type", kind)
		err := write(w.BodyWriter(), func() { // an answer may take long, a part of it not
			http.NewResponseController(answer).SetWriteDeadline(time.Now().Add(partMax)) // not everywhere: not within a command
		})
		if err != nil {
			a.log.Error("transcript broken off", "account", c.ID, "conversation", id, "err", err)
			if !c.operator { // whose command reads the last line
				http.NewResponseController(answer).Flush()
				panic(http.ErrAbortHandler) // so that nobody takes it for all
			}
		}
	}}
}

// exportKey signs the account's transcripts.
func (c *caller) exportKey(ctx context.Context) (ed25519.PrivateKey, error) {
	seed, err := c.Store.Secret(ctx, signSeed, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// A transcript is a conversation on its way out.
type transcript struct {
	Range
	c      *caller
	id     store.ConversationID
	format string
	now    func() time.Time
	read   int64 // records so far
	n      int64 // of them in the range
	alive  func()

	key ed25519.PrivateKey // of signed ones
	sum hash.Hash
}

// An ExportSignature is the last line of a signed transcript. What is signed is the text
// "parley transcript v1", account, conversation, number of records, the time and the
// SHA-256 of all lines before in hexadecimal, each followed by a newline.
//
// Of a range it is "parley transcript v2", with from, to, since and until at the end, each a
// line, empty where that was not asked for: whoever knows whole transcripts only takes no part
// for one.
type ExportSignature struct {
	Account      string       `json:"account"`
	Conversation string       `json:"conversation"`
	Records      int64        `json:"records"`
	At           string       `json:"at"`
	SHA256       string       `json:"sha256"`
	Range        *ExportRange `json:"range,omitempty"`
	Algorithm    string       `json:"algorithm"` // "Ed25519"
	PublicKey    string       `json:"public_key"`
	Signature    string       `json:"signature"`
}

// An ExportRange says which part of a conversation a transcript is.
type ExportRange struct {
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
	Since string `json:"since,omitempty"`
	Until string `json:"until,omitempty"`
}

func (s *ExportSignature) signed() []byte {
	version := 1
	if s.Range != nil {
		version = 2
	}
	b := fmt.Appendf(nil, "parley transcript v%d\n%s\n%s\n%d\n%s\n%s\n", version, s.Account, s.Conversation, s.Records, s.At, s.SHA256)
	if r := s.Range; r != nil {
		b = fmt.Appendf(b, "%s\n%s\n%s\n%s\n", r.From, r.To, r.Since, r.Until)
	}
	return b
}

func (t *transcript) write(ctx context.Context, w io.Writer) error {
	if t.sum != nil {
		w = io.MultiWriter(w, t.sum)
	}
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	err := t.c.Store.Transcript(ctx, t.id, func(e *store.Entry) (err error) {
		if t.read%aliveEvery == 0 {
			t.alive()
		}
		t.read++ // also what is not shown: it is compared with the header all the same
		if !t.has(e) {
			return nil
		}
		t.n++
		if info := newRecordInfo(e); t.format == "text" {
			_, err = io.WriteString(w, info.Line())
		} else {
			err = lines.Encode(info)
		}
		return err
	})
	switch {
	case err != nil && t.format == "text":
		fmt.Fprintf(w, "(%v)\n", err)
		return err
	case err != nil:
		lines.Encode(RecordInfo{Failure: err.Error()}) // and no signature
		return err
	case t.sum == nil:
		return nil
	}
	s := ExportSignature{
		Account: t.c.ID, Conversation: fmt.Sprint(t.id), Records: t.n, At: t.now().UTC().Format(time.RFC3339),
		SHA256: hex.EncodeToString(t.sum.Sum(nil)), Range: t.signed(), Algorithm: "Ed25519",
		PublicKey: base64.StdEncoding.EncodeToString(t.key.Public().(ed25519.PublicKey)),
	}
	s.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(t.key, s.signed()))
	return lines.Encode(map[string]ExportSignature{"signed": s})
}

// Line is the record for people: when, who and what. Times are UTC.
func (info *RecordInfo) Line() string {
	at := info.At.Format(time.DateTime)
	switch {
	case info.Failure != "":
		return fmt.Sprintf("%s  (unreadable: %s)\n", at, OneLine(info.Failure))
	case info.Locked:
		return at + "  (locked)\n"
	case info.Event != store.KindMessage.Event():
		data, err := json.Marshal(info.Data)
		if err != nil {
			data = nil
		}
		return fmt.Sprintf("%s  %s  %s\n", at, info.Event, OneLine(string(data)))
	}
	from := speaker(info.From)
	said := info.Text
	if info.Subject != "" {
		said = "[" + info.Subject + "] " + said
	}
	if said == "" {
		said = "(no text)"
	}
	return fmt.Sprintf("%s  %s: %s\n", at, OneLine(from), Printable(said, strings.Repeat(" ", len(at)+2)))
}

// speaker is whom a line names: an address without a client's name, but with what tells a bot, and the account, from the visitor
// for whom they would pass otherwise.
func speaker(from string) string {
	bare, resource, _ := strings.Cut(from, "/")
	_, host, _ := strings.Cut(bare, "@")
	if strings.HasPrefix(host, contact.Host("")) && (resource == contact.BotResource || resource == contact.SystemResource) {
		return from
	}
	return bare
}
