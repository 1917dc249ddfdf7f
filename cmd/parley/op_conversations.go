package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// A conversationInfo is a conversation in a list.
type conversationInfo struct {
	ID       int64    `json:"id"`
	Kind     string   `json:"kind"`
	Agents   []string `json:"agents,omitempty"`
	Records  int64    `json:"records"`
	Shredded bool     `json:"shredded,omitempty"`
}

var natures = map[store.Nature]string{store.Journal: "journal", store.Direct: "direct"}

func (o *operator) listConversations(r *http.Request) (any, error) {
	a, err := o.inst.account(r.Context(), r.PathValue("account"))
	if err != nil {
		return nil, err
	}
	names, err := a.names(r.Context())
	if err != nil {
		return nil, err
	}
	all, err := a.store.Conversations(r.Context())
	if err != nil {
		return nil, err
	}
	list := make([]conversationInfo, 0, len(all))
	for _, c := range all {
		info := conversationInfo{ID: int64(c.ID), Kind: natures[c.Nature], Records: c.Records, Shredded: c.Shredded}
		for n, id := range c.Agents {
			if n > 0 && id == c.Agents[0] {
				continue // somebody talks to herself
			}
			name, ok := names[id]
			if !ok {
				name = fmt.Sprintf("deleted agent %d", id)
			}
			info.Agents = append(info.Agents, name)
		}
		list = append(list, info)
	}
	return list, nil
}

// names are the addresses of the account's agents.
func (a *account) names(ctx context.Context) (map[store.AgentID]string, error) {
	agents, err := a.store.Agents(ctx)
	names := make(map[store.AgentID]string, len(agents))
	for _, g := range agents {
		names[g.ID] = g.Name + "@" + a.domain
	}
	return names, err
}

// A recordInfo is one record of a transcript.
type recordInfo struct {
	Conversation int64           `json:"conversation,omitempty"`
	N            int64           `json:"n,omitempty"`
	At           time.Time       `json:"at,omitzero"`
	Event        string          `json:"event,omitempty"`
	From         string          `json:"from,omitempty"`
	To           string          `json:"to,omitempty"`
	Type         string          `json:"type,omitempty"`
	ID           string          `json:"id,omitempty"`
	Lang         string          `json:"lang,omitempty"`
	Subject      string          `json:"subject,omitempty"`
	Text         string          `json:"text,omitempty"`
	Data         json.RawMessage `json:"data,omitempty"`   // of other events than messages
	Locked       bool            `json:"locked,omitempty"` // cannot be read, now or for ever
	// Failure is why the record, or without a number all that follows, cannot be shown.
	Failure string `json:"error,omitempty"`
}

// showConversation answers with one line of JSON for each record, as they are read.
func (o *operator) showConversation(w http.ResponseWriter, r *http.Request) {
	a, err := o.inst.account(r.Context(), r.PathValue("account"))
	if err != nil {
		writeFailure(w, err)
		return
	}
	id, err := strconv.ParseInt(r.PathValue("conversation"), 10, 64)
	if err != nil {
		writeFailure(w, refuse("not a conversation's number: %q", r.PathValue("conversation")))
		return
	}
	lines := json.NewEncoder(w)
	begun := false
	err = a.store.Transcript(r.Context(), store.ConversationID(id), func(e *store.Entry) error {
		begun = true
		return lines.Encode(newRecordInfo(e))
	})
	switch {
	case err != nil && begun:
		lines.Encode(recordInfo{Failure: err.Error()}) // an error means that the peer is gone
	case errors.Is(err, store.ErrNotFound):
		writeFailure(w, missing("there is no conversation %d in account %s", id, a.id))
	case err != nil:
		writeFailure(w, err)
	}
}

func newRecordInfo(e *store.Entry) recordInfo {
	info := recordInfo{
		Conversation: int64(e.Conversation), N: e.N, At: e.At.UTC(), Event: e.Kind.Event(), Locked: e.Locked,
	}
	switch {
	case e.Locked:
	case e.Kind == store.KindMessage:
		info.message(e.Data)
	case json.Valid(e.Data):
		info.Data = e.Data
	}
	return info
}

// message takes a message's record apart.
func (info *recordInfo) message(data []byte) {
	m, err := store.ParseMessage(data)
	if err != nil {
		info.Failure = err.Error()
		return
	}
	info.From, info.To, info.Type, info.ID, info.Lang = m.From, m.To, m.Type, m.ID, m.Lang
	s, err := wire.ParseInner(m.Decls, m.Inner)
	if err != nil {
		info.Failure = err.Error()
		return
	}
	text := func(name string) string {
		c := s.Child("jabber:client", name)
		if c == nil {
			return ""
		}
		return s.Text(c)
	}
	info.Subject, info.Text = text("subject"), text("body")
}
