package web

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
)

const asDocument = "application/json"

// An ExportedMessage is something that was said in a contact.
type ExportedMessage struct {
	N        int64     `json:"n"`
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Agent    string    `json:"agent,omitempty"`
	ID       string    `json:"id,omitempty"`
	Corrects string    `json:"corrects,omitempty"` // the id of what it is to be read in place of (XEP-0308 §3)
	Lang     string    `json:"lang,omitempty"`
	Subject  string    `json:"subject,omitempty"`
	Text     string    `json:"text,omitempty"`
	Locked   bool      `json:"locked,omitempty"`
	Failure  string    `json:"error,omitempty"`
}

// An exportedNote is what agents, or programs, have said of it among themselves.
type exportedNote struct {
	N     int64     `json:"n"`
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Agent string    `json:"agent,omitempty"`
	Text  string    `json:"text"`
}

// exportContact is all that is kept of a contact as one document, for whoever it is about or for a system that keeps customers.
func (a *API) exportContact(ctx context.Context, c *caller, in *ContactPath) (*huma.StreamResponse, error) {
	row, err := c.kept(ctx, in.Contact)
	if err != nil {
		return nil, err
	}
	s, err := c.conversation(ctx, int64(row.ID))
	switch {
	case err != nil:
		return nil, err
	case s.Shredded:
		return nil, missing("contact %s was destroyed", in.Contact)
	}
	names, err := c.agentNames(ctx)
	if err != nil {
		return nil, err
	}
	about, err := a.detail(ctx, c, &row)
	if err != nil {
		return nil, err
	}
	return a.stream(c, row.ID, asDocument, func(w io.Writer, alive func()) error {
		e := &export{id: row.ID, store: c.Store, names: names, w: w, alive: alive}
		return e.write(ctx, &about.Body)
	}), nil
}

// An export is a contact on its way out.
type export struct {
	id    store.ConversationID
	store store.Account
	names func(store.AgentID) string
	w     io.Writer
	alive func()
	read  int

	broken error // what is wrong with the records; those that can be read are shown all the same
}

// write writes the document. What was said may be more than fits into memory, so that the records are read for each part anew.
func (x *export) write(ctx context.Context, about *ContactDetail) error {
	head, err := json.Marshal(about)
	if err != nil {
		return err
	}
	files, err := x.files(ctx)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(x.w, `{"contact":%s,"files":%s`, head, files); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		of   func(*store.Entry) any
	}{{"notes", x.note}, {"events", x.event}, {"messages", x.message}} {
		if err := x.part(ctx, part.name, part.of); err != nil {
			return err
		}
	}
	if x.broken != nil {
		return x.broken // and no end of the document
	}
	_, err = io.WriteString(x.w, "}\n")
	return err
}

// files are those that were sent: not many, since they are limited by size.
func (x *export) files(ctx context.Context) ([]byte, error) {
	files, err := x.store.Files(ctx, x.id)
	if err != nil {
		return nil, err
	}
	list := make([]ExportedFile, 0, len(files))
	for i := range files {
		list = append(list, newExportedFile(&files[i], x.names))
	}
	return json.Marshal(list)
}

// part writes a list of what of makes of the records; nil is nothing.
func (x *export) part(ctx context.Context, name string, of func(*store.Entry) any) error {
	if _, err := io.WriteString(x.w, `,"`+name+`":[`); err != nil {
		return err
	}
	comma, failed := "", error(nil)
	err := x.store.Transcript(ctx, x.id, func(e *store.Entry) (err error) {
		defer func() { failed = err }()
		if x.read%aliveEvery == 0 {
			x.alive()
		}
		x.read++
		v := of(e)
		if v == nil {
			return nil
		}
		text, err := json.Marshal(v)
		if err == nil {
			_, err = io.WriteString(x.w, comma+"\n"+string(text))
		}
		comma = ","
		return err
	})
	if failed != nil {
		return failed
	}
	x.broken = cmp.Or(x.broken, err)
	_, err = io.WriteString(x.w, "]")
	return err
}

func (x *export) note(e *store.Entry) any {
	if e.Kind != store.KindContactUpdated || e.Locked {
		return nil
	}
	var t struct{ By, Agent, What, Note string }
	if json.Unmarshal(e.Data, &t) != nil || t.What != "note" {
		return nil
	}
	return exportedNote{N: e.N, At: e.At.UTC(), By: t.By, Agent: t.Agent, Text: t.Note}
}

func (x *export) event(e *store.Entry) any {
	if e.Kind == store.KindMessage {
		return nil
	}
	return newRecordInfo(e)
}

func (x *export) message(e *store.Entry) any {
	by := contact.SpokenBy(e)
	if by == nil {
		return nil
	}
	info := newRecordInfo(e)
	m := ExportedMessage{N: e.N, At: info.At, By: string(by.By), ID: info.ID, Lang: info.Lang, Subject: info.Subject, Text: info.Text, Corrects: info.Corrects,
		Locked: info.Locked, Failure: info.Failure}
	if by.Agent != 0 {
		m.Agent = x.names(by.Agent)
	}
	return m
}
