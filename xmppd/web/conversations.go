package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// A ConversationInfo is a conversation in a list.
type ConversationInfo struct {
	ID       string   `json:"id"`
	Kind     string   `json:"kind" enum:"journal,direct,contact"`
	Agents   []string `json:"agents,omitempty"`
	Records  int64    `json:"records"`
	Gone     int64    `json:"destroyed,omitempty" doc:"How many records before these were destroyed, since they were kept for long enough."`
	Shredded bool     `json:"shredded,omitempty" doc:"Whether it was destroyed."`

	HeldUntil time.Time `json:"held_until,omitzero" doc:"Nothing of it is destroyed until then. A hold for ever ends with the year 9999."`
}

// A RecordInfo is one record of a conversation.
type RecordInfo struct {
	Conversation string         `json:"conversation,omitempty"`
	N            int64          `json:"n,omitempty" doc:"Its number in the conversation, without gaps; webhooks call it seq."`
	At           time.Time      `json:"at,omitzero"`
	Event        string         `json:"event,omitempty"`
	From         string         `json:"from,omitempty"`
	To           string         `json:"to,omitempty"`
	Type         string         `json:"type,omitempty"`
	ID           string         `json:"id,omitempty"`
	Corrects     string         `json:"corrects,omitempty" doc:"The id of the message that this one is to be read in place of."`
	Lang         string         `json:"lang,omitempty"`
	Subject      string         `json:"subject,omitempty"`
	Text         string         `json:"text,omitempty"`
	Data         map[string]any `json:"data,omitempty" doc:"Of other events than messages."`
	Locked       bool           `json:"locked,omitempty" doc:"Whether it cannot be read, now or for ever."`
	Failure      string         `json:"error,omitempty" doc:"Why the record, or without a number all that follows, cannot be shown."`
}

type ConversationPath struct {
	Conversation int64 `path:"conversation" doc:"The conversation's id."`
}

type RecordPath struct {
	ConversationPath
	N int64 `path:"n" minimum:"1" doc:"The record's number in its conversation."`
}

var natures = map[store.Nature]string{store.Journal: "journal", store.Direct: "direct", store.Support: "contact"}

func (a *API) conversationRoutes() {
	handle(a, route{id: "list-conversations", method: http.MethodGet, path: "/v1/conversations", does: "List conversations"}, a.listConversations)
	const one = "/v1/conversations/{conversation}"
	handle(a, route{id: "get-conversation", method: http.MethodGet, path: one, does: "Show a conversation, without what was said"}, a.getConversation)
	handle(a, route{id: "list-records", method: http.MethodGet, path: one + "/records", does: "List a conversation's records"}, a.listRecords)
	handle(a, route{id: "get-record", method: http.MethodGet, path: one + "/records/{n}", does: "Show a record"}, a.getRecord)
	handle(a, route{id: "get-transcript", method: http.MethodGet, path: one + "/transcript", does: "Read all of a conversation",
		streams: transcripts}, a.getTranscript)
}

var transcripts = map[string]string{asText: "with format=text: lines for people", asLines: "a JSON object in each line: records and, with format=signed, an object with the member signed"}

func (a *API) listConversations(ctx context.Context, c *caller, in *Page) (*body[List[ConversationInfo]], error) {
	after := int64(0)
	if in.After != "" {
		var err error
		if after, err = strconv.ParseInt(in.After, 10, 64); err != nil {
			return nil, refuse("after is not the next of a list before")
		}
	}
	names, err := c.names(ctx)
	if err != nil {
		return nil, err
	}
	some, err := c.Store.Conversations(ctx, store.ConversationID(after), in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := whole[ConversationInfo](nil)
	for i, s := range some {
		if i == in.Limit {
			out.Body.Next = out.Body.Items[i-1].ID
			break
		}
		out.Body.Items = append(out.Body.Items, newConversationInfo(s, names))
	}
	return out, nil
}

func newConversationInfo(s store.Summary, names map[store.AgentID]string) ConversationInfo {
	info := ConversationInfo{ID: strconv.FormatInt(int64(s.ID), 10), Kind: natures[s.Nature], Records: s.Records, Gone: s.Gone, Shredded: s.Shredded,
		HeldUntil: s.Held}
	for n, id := range s.Agents {
		if n > 0 && id == s.Agents[0] {
			continue // somebody talks to herself
		}
		name, ok := names[id]
		if !ok {
			name = fmt.Sprintf("deleted agent %d", id)
		}
		info.Agents = append(info.Agents, name)
	}
	return info
}

// names are the addresses of the account's agents.
func (c *caller) names(ctx context.Context) (map[store.AgentID]string, error) {
	agents, err := c.Store.Agents(ctx)
	names := make(map[store.AgentID]string, len(agents))
	for _, g := range agents {
		names[g.ID] = g.Name + "@" + c.Domain
	}
	return names, err
}

func (c *caller) conversation(ctx context.Context, id int64) (store.Summary, error) {
	s, err := c.Store.Conversation(ctx, store.ConversationID(id))
	if isMissing(err) {
		err = missing("there is no conversation %d in account %s", id, c.ID)
	}
	return s, err
}

func (a *API) getConversation(ctx context.Context, c *caller, in *ConversationPath) (*body[ConversationInfo], error) {
	s, err := c.conversation(ctx, in.Conversation)
	if err != nil {
		return nil, err
	}
	names, err := c.names(ctx)
	return &body[ConversationInfo]{newConversationInfo(s, names)}, err
}

func (a *API) listRecords(ctx context.Context, c *caller, in *struct {
	ConversationPath
	Page
}) (*body[List[RecordInfo]], error) {
	after, err := int64(0), error(nil)
	if in.After != "" {
		if after, err = strconv.ParseInt(in.After, 10, 64); err != nil || after < 0 {
			return nil, refuse("after is not the next of a list before")
		}
	}
	out := whole[RecordInfo](nil)
	bytes := 0
	err = c.Store.Records(ctx, store.ConversationID(in.Conversation), after, in.Limit+1, func(e *store.Entry) error {
		switch n := len(out.Body.Items); {
		case out.Body.Next != "":
		case n == in.Limit || bytes > pageBytes:
			out.Body.Next = strconv.FormatInt(out.Body.Items[n-1].N, 10)
		default:
			out.Body.Items = append(out.Body.Items, newRecordInfo(e))
			bytes += len(e.Data)
		}
		return nil
	})
	if isMissing(err) {
		err = missing("there is no conversation %d in account %s", in.Conversation, c.ID)
	}
	return out, err
}

func (a *API) getRecord(ctx context.Context, c *caller, in *RecordPath) (*body[RecordInfo], error) {
	var out *body[RecordInfo]
	err := c.Store.Records(ctx, store.ConversationID(in.Conversation), in.N-1, 1, func(e *store.Entry) error {
		out = &body[RecordInfo]{newRecordInfo(e)}
		return nil
	})
	if isMissing(err) || err == nil && (out == nil || out.Body.N != in.N) {
		return nil, missing("there is no record %d in conversation %d", in.N, in.Conversation)
	}
	return out, err
}

func newRecordInfo(e *store.Entry) RecordInfo {
	info := RecordInfo{
		Conversation: strconv.FormatInt(int64(e.Conversation), 10), N: e.N, At: e.At.UTC(), Event: e.Kind.Event(), Locked: e.Locked,
	}
	switch {
	case e.Locked:
	case e.Kind == store.KindMessage:
		info.message(e.Data)
	case json.Unmarshal(e.Data, &info.Data) != nil:
		info.Data = nil
	}
	return info
}

// message takes a message's record apart.
func (info *RecordInfo) message(data []byte) {
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
	if r := s.Child("urn:xmpp:message-correct:0", "replace"); r != nil { // XEP-0308 §3
		info.Corrects = string(s.ChildAttr(r, "id"))
	}
}
