package contact

import (
	"context"
	"encoding/json"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/wire"
)

// nsOOB is where clients look for a file's link (XEP-0066 §3).
const nsOOB = "jabber:x:oob"

// Linking makes what is said the link of a file, which clients show as such.
func (m *Message) Linking(link string) *Message {
	m.Inner = append(wire.AppendText(append(m.Inner, "<x xmlns='"+nsOOB+"'><url>"...), link), "</url></x>"...)
	return m
}

// What is kept of a file's event. Name and Reason are what a thin body lacks.
type toldFile struct {
	Contact About  `json:"contact"`
	By      string `json:"by"`
	Agent   string `json:"agent,omitempty"`
	File    struct {
		ID   string `json:"id"`
		Type string `json:"type"`
		Size int64  `json:"size"`
	} `json:"file"`
	Name   string `json:"name"`
	Reason string `json:"reason,omitempty"`
}

// TellFile is the record that tells of a file: that it came, or with a reason why it did not.
func (k *Contacts) TellFile(c *desk.Contact, f *store.File, reason string, now time.Time) ([]store.Op, error) {
	conv, err := k.conversation(c.ID)
	if err != nil {
		return nil, err
	}
	t := toldFile{Contact: k.About(c), By: string(desk.Visitor), Name: f.Name, Reason: reason}
	t.File.ID, t.File.Type, t.File.Size = f.ID, f.Type, f.Size
	if f.Agent != 0 {
		t.By, t.Agent = string(desk.Agents), k.config.Name(f.Agent)
	}
	data, err := json.Marshal(t)
	kind := store.KindAttachmentCreated
	if reason != "" {
		kind = store.KindAttachmentRejected
	}
	return []store.Op{{Conversation: conv, Kind: kind, Actor: f.Agent, At: now, Data: data}}, err
}

// RejectFile keeps that a file was not taken.
func (k *Contacts) RejectFile(c *desk.Contact, f *store.File, reason string, now time.Time) error {
	ops, err := k.TellFile(c, f, reason, now)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	k.store.Append(&store.Batch{Ops: ops, Done: func(b *store.Batch) { done <- b.Err }})
	return <-done
}

// GiveFile has what an agent has sent to a contact be the contact's.
func (k *Contacts) GiveFile(ctx context.Context, c *desk.Contact, f *store.File, now time.Time) error {
	ops, err := k.TellFile(c, f, "", now)
	if err != nil {
		return err
	}
	return k.store.GiveFile(ctx, f.ID, ops[0].Conversation, ops...)
}
