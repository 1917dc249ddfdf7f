package visit_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/upload"
)

// taking has the shop take texts.
func taking(s *shop) {
	s.takes = &upload.Limits{Size: 1 << 20, Contact: 4 << 20, Total: 8 << 20, Types: []string{"text/plain"}, Links: 24 * time.Hour}
}

// file is one of a contact's.
func (s *shop) file(address, name string) store.File {
	s.t.Helper()
	c, err := s.contacts.ByAddress(address)
	s.must(err)
	f, err := s.files.Take(s.t.Context(), &upload.Upload{Conversation: c.ID, Name: name, Type: "text/plain", Size: -1}, strings.NewReader("hello"))
	s.must(err)
	return f
}

// A contact that ends while a file comes does not get it, and nothing of it stays.
func TestFileComesTooLate(t *testing.T) {
	s := newShop(t, taking)
	is := s.answered(J{"text": "Hello"})
	c, err := s.contacts.ByAddress(is.Contact.ID)
	s.must(err)
	body, file := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.https.URL+"/visit/desk/files?name=x.txt", body)
	s.must(err)
	r.Header.Set("Authorization", "Bearer "+is.Token)
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Expect", "100-continue") // so that it is read only once the server wants it
	type answer struct {
		status int
		code   string
	}
	answered := make(chan answer, 1)
	go func() {
		resp, err := s.https.Client().Do(r)
		if err != nil {
			body.CloseWithError(err)
			answered <- answer{0, err.Error()}
			return
		}
		defer resp.Body.Close()
		var no struct{ Code string }
		err = json.NewDecoder(resp.Body).Decode(&no)
		if err != nil {
			no.Code = err.Error()
		}
		answered <- answer{resp.StatusCode, no.Code}
	}()
	_, err = io.WriteString(file, "hello")
	s.must(err)
	_, err = contact.Wait(func(done desk.Done) { s.contacts.Close(c.ID, s.agents["anna"], "", done) })
	s.must(err)
	s.must(file.Close())
	if got := <-answered; got.status != http.StatusConflict || got.code != "closed" {
		t.Errorf("it is answered with %+v", got)
	}
	if list, err := s.store.Files(t.Context(), c.ID); err != nil || len(list) > 0 {
		t.Errorf("the contact has %+v, %v", list, err)
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "data/files/*/*")); err != nil || len(left) > 0 {
		t.Errorf("there are %v, %v", left, err)
	}
	s.must(s.store.Records(t.Context(), c.ID, 0, 1000, func(e *store.Entry) error {
		if e.Kind == store.KindAttachmentCreated {
			t.Errorf("it is told: %s", e.Data)
		}
		return nil
	}))
}
