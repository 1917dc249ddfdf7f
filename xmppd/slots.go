package xmppd

import (
	"context"
	"errors"
	"mime"
	"path"
	"strconv"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/upload"
	"parley.im/parley/xmppd/wire"
)

// slotsName begins the domain at which agents' clients ask for slots.
const slotsName = "upload."

// slots is that domain; "" where the account takes no files.
func (a *account) slots() string {
	if a.files == nil {
		return ""
	}
	return slotsName + a.domain
}

// slotRetry is when a client may try again for which there was no room.
const slotRetry = 5 * time.Minute

// askSlots answers what is asked of the place of files.
func (s *Session) askSlots(st *wire.Stanza) {
	c, files := &st.Children[0], s.agent.account.files
	get := string(st.Type) == "get"
	switch space := string(c.Space); {
	case get && space == im.NSDiscoInfo && len(st.ChildAttr(c, "node")) == 0:
		s.answer(st, im.UploadInfo(files.Limits.Size).Append(nil, ""))
	case get && space == im.NSDiscoItems:
		s.answer(st, im.AppendItems(nil, string(st.ChildAttr(c, "node")), nil))
	case get && space == im.NSPing:
		s.answer(st, nil)
	case get && space == im.NSUpload && string(c.Name) == "request":
		s.slot(st, c)
	default:
		s.answerError(st, wire.StanzaError{Condition: wire.ServiceUnavailable})
	}
}

// slot gives a client a slot for a file (XEP-0363 §4).
func (s *Session) slot(st *wire.Stanza, c *wire.Child) {
	s.charge(setCost)
	files, name, typ := s.agent.account.files, string(st.ChildAttr(c, "filename")), string(st.ChildAttr(c, "content-type"))
	size, err := strconv.ParseInt(string(st.ChildAttr(c, "size")), 10, 64)
	if name == "" || err != nil || size < 1 {
		s.answerError(st, wire.StanzaError{Condition: wire.BadRequest, Text: "a file has a name, and a size in bytes"})
		return
	}
	if typ == "" {
		typ = mime.TypeByExtension(path.Ext(name))
	}
	put, get, err := files.Slot(s.agent.id, name, typ, size)
	if err == nil {
		err = s.roomFor(size)
	}
	var no upload.Refusal
	switch {
	case err == nil:
		s.answer(st, im.AppendSlot(nil, put, get))
	case !errors.As(err, &no):
		s.answerError(st, s.storeError(err))
	case no.Why == upload.TooLarge:
		s.answerError(st, wire.StanzaError{Type: wire.Modify, Condition: wire.NotAcceptable, Text: no.Text, App: im.TooLarge(files.Limits.Size)})
	case no.Why == upload.Quota:
		s.answerError(st, wire.StanzaError{Type: wire.Wait, Condition: wire.ResourceConstraint, Text: no.Text, App: im.RetryAt(time.Now().Add(slotRetry))})
	default:
		s.answerError(st, wire.StanzaError{Type: wire.Modify, Condition: wire.NotAcceptable, Text: no.Text})
	}
}

func (s *Session) roomFor(size int64) error {
	s.turn.pass()
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	return s.agent.account.files.Room(ctx, 0, size)
}

// sends has a file that an agent says the link of be the visitor's: before it is said, so that the visitor sees it as what
// it is. What is no link of ours is a text like any other.
func (s *Session) sends(c *desk.Contact, text string) error {
	files := s.agent.account.files
	if files == nil {
		return nil
	}
	id := files.Linked(text)
	if id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	k := s.agent.account.support.contacts
	f, err := files.Store.File(ctx, id)
	if err == nil && !c.With(s.agent.id) {
		err = wait(func(done desk.Done) { k.Accept(c.ID, s.agent.id, done) }) // or whoever loses would have given it away
	}
	if err == nil {
		err = k.GiveFile(ctx, c, &f, time.Now())
	}
	switch {
	case errors.Is(err, store.ErrNotFound): // it is gone, or was never put there
		return nil
	case errors.Is(err, store.ErrConflict):
		return wire.StanzaError{Type: wire.Cancel, Condition: wire.NotAllowed, Text: "this file was sent to another visitor; upload it again for this one"}
	}
	return err
}
