package web

import (
	"context"
	"io"
	"mime"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley.im/parley/store"
)

// asBytes is what each file is sent as: what strangers have sent is for no browser to look into.
const asBytes = "application/octet-stream"

// An ExportedFile is a file that was sent in a contact.
type ExportedFile struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Agent  string    `json:"agent,omitempty"` // who has sent it; "" is the visitor
	Name   string    `json:"name,omitempty"`
	Type   string    `json:"type,omitempty"`
	Size   int64     `json:"size"`
	Locked bool      `json:"locked,omitempty"`
}

func newExportedFile(f *store.File, names func(store.AgentID) string) ExportedFile {
	info := ExportedFile{ID: f.ID, At: f.Made.UTC(), Name: f.Name, Type: f.Type, Size: f.Size, Locked: f.Locked}
	if f.Agent != 0 {
		info.Agent = names(f.Agent)
	}
	return info
}

func (a *API) getContactFile(ctx context.Context, c *caller, in *struct {
	ContactPath
	File string `path:"file" maxLength:"64" doc:"The file's id, as webhooks and exports have it."`
}) (*huma.StreamResponse, error) {
	row, err := c.kept(ctx, in.Contact)
	if err != nil {
		return nil, err
	}
	f, content, err := c.Store.OpenFile(ctx, in.File)
	if err == nil && f.Conversation != row.ID {
		content.Close()
		err = store.ErrNotFound
	}
	if isMissing(err) {
		err = missing("there is no file %s in contact %s", in.File, in.Contact)
	}
	if err != nil {
		return nil, err
	}
	out := a.stream(c, row.ID, asBytes, func(w io.Writer, alive func()) error {
		defer content.Close()
		_, err := io.Copy(w, &steady{content, alive})
		return err
	})
	write := out.Body
	out.Body = func(w huma.Context) {
		if d := mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}); d != "" {
			w.SetHeader("Content-Disposition", d)
		}
		write(w)
	}
	return out, nil
}

// A steady reader says of each part that it goes on.
type steady struct {
	io.Reader
	alive func()
}

// Read reads a part.
func (s *steady) Read(b []byte) (int, error) {
	s.alive()
	return s.Reader.Read(b)
}
