package visit

import (
	"context"
	"errors"
	"net/http"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/upload"
)

// A sentFile is a file as its visitor sees it.
type sentFile struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
	Size int64  `json:"size"`
	URL  string `json:"url"`
}

func (a *account) sent(f *store.File) *sentFile {
	return &sentFile{f.ID, f.Name, f.Type, f.Size, a.Files.Link(f)}
}

// upload answers POST files.
func (a *account) upload(w http.ResponseWriter, r *http.Request) error {
	c, err := a.asker(r)
	switch {
	case err != nil:
		return err
	case a.Files == nil:
		return refusal{codeUnknown, "files are not taken here"}
	case !c.State.Open():
		return refusal{codeClosed, "this conversation is closed"}
	}
	if err := a.server.crowd.mayAsk(contact.Network(a.server.cfg.ClientAddr(r)), a.server.cfg.Now()); err != nil {
		return err
	}
	leave, ok := a.Files.Enter()
	if !ok {
		return errCrowd
	}
	defer leave()
	u := &upload.Upload{ID: upload.NewID(), Conversation: c.ID, Name: r.URL.Query().Get("name"), Type: r.Header.Get("Content-Type"), Size: r.ContentLength}
	u.Told = func(f *store.File) ([]store.Op, error) {
		if is, err := a.Contacts.Contact(c.ID); err != nil || !is.State.Open() { // it may have ended while the file came
			return nil, refusal{codeClosed, "this conversation is closed"}
		}
		return a.Contacts.TellFile(c, f, "", f.Made)
	}
	f, err := a.Files.Take(r.Context(), u, upload.Body(w, r))
	if no, ok := errors.AsType[upload.Refusal](err); ok {
		w.Header().Set("Connection", "close") // the rest of it is not read
		a.notTaken(c, u, no)
		return refusal{string(no.Why), no.Text}
	}
	if err != nil {
		return err
	}
	reply(w, http.StatusCreated, map[string]*sentFile{"file": a.sent(&f)})
	return nil
}

// notTaken keeps that a file was not taken for what it is.
func (a *account) notTaken(c *desk.Contact, u *upload.Upload, no upload.Refusal) {
	if no.Why != upload.BadType && no.Why != upload.Harmful && no.Why != upload.TooLarge {
		return
	}
	now := a.server.cfg.Now()
	f := store.File{ID: u.ID, Conversation: c.ID, Made: now, Size: max(u.Size, 0), Name: upload.CleanName(u.Name), Type: cut(oneLine(u.Type), nameMax)}
	if err := a.Contacts.RejectFile(c, &f, no.Text, now); err != nil {
		a.log.Warn("that a file was refused could not be kept", "err", err)
	}
}

// words is what a visitor's say says: its text, or the link of a file that was sent to the contact before.
func (t *talk) words(f *asked) (text, link string, err error) {
	if f.File == "" {
		return f.Text, "", nil
	}
	a := t.account
	if a.Files == nil {
		return "", "", errNoFile
	}
	is, err := a.Store.File(context.Background(), f.File)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && is.Conversation != t.id:
		return "", "", errNoFile
	case err != nil:
		return "", "", err
	}
	link = a.Files.Link(&is)
	return link, link, nil
}

var errNoFile = refusal{codeUnknown, "there is no such file in this conversation"}

// filed puts into a message the file that it is a link to, if that is one of the contact's.
func (t *talk) filed(ctx context.Context, n *news) {
	a := t.account
	if a.Files == nil || n.Type != "message" && n.Type != "corrected" {
		return
	}
	id := a.Files.Linked(n.Text)
	if id == "" {
		return
	}
	if f, err := a.Store.File(ctx, id); err == nil && f.Conversation == t.id && !f.Locked {
		n.File = a.sent(&f)
	}
}
