package visit

import (
	"net/http"
	"strings"
	"time"

	"parley.im/parley/xmppd/desk"
)

// A Look is what an account wants clients to show.
type Look struct {
	Form      []Field
	Colours   map[string]string
	Languages []string // BCP 47 tags, the first where no other is wanted

	Transcript string // "any", "known" or "off": where transcripts may be mailed to

	Names   map[string]string // what agents are called, by their own names
	Work    int               // zero bits of a hash that a client finds before it opens a contact; 0 asks for none
	NoCards bool              // what agents say of themselves is not shown
}

// looks is what is shown now.
func (a *account) looks() *Look { return a.shows.Load() }

// Show has an account's clients show something else, from the next time on that they ask.
func (s *Server) Show(id string, look Look) {
	a := s.account(id)
	if a == nil {
		return
	}
	a.shows.Store(&look)
	a.faces.mu.Lock()
	defer a.faces.mu.Unlock()
	a.faces.all = nil
}

// A Field is one of a form's. The field "name" is what the visitor wants to be called.
type Field struct {
	Name     string            `json:"name"`
	Label    map[string]string `json:"label,omitempty"` // by language
	Required bool              `json:"required,omitempty"`
	Type     string            `json:"type"` // "text", "email", "tel", "textarea"
}

// taken is what may be sent.
type taken struct {
	Size  int64    `json:"size"` // bytes
	Types []string `json:"types"`
}

// config answers GET config.
func (a *account) config(w http.ResponseWriter, _ *http.Request) error {
	now, settings, look := a.server.cfg.Now(), a.Contacts.Settings(), a.looks()
	is := struct {
		Open      bool              `json:"open"`
		Opens     *time.Time        `json:"opens,omitempty"`
		Form      []Field           `json:"form"`
		Colours   map[string]string `json:"colours"`
		Languages []string          `json:"languages"`
		// Where a visitor may have a transcript sent to: "any" address, or the one that is "known".
		Transcript string `json:"transcript,omitempty"`
		Files      *taken `json:"files,omitempty"`
		// What is to be done before a contact is opened.
		Work *workAsked `json:"work,omitempty"`
	}{Open: settings.Hours.Open(now), Form: look.Form, Colours: look.Colours, Languages: look.Languages, Work: a.asksWork(now)}
	if a.Files != nil {
		is.Files = &taken{a.Files.Limits.Size, a.Files.Limits.Types}
	}
	if opens := settings.Hours.Opens(now); !is.Open && !opens.IsZero() {
		opens = opens.UTC()
		is.Opens = &opens
	}
	if a.mails() {
		is.Transcript = look.Transcript
	}
	if is.Form == nil {
		is.Form = []Field{}
	}
	reply(w, http.StatusOK, is)
	return nil
}

// complete says whether all of a form is filled in that has to be.
func (a *account) complete(c *desk.Contact) error {
	for _, f := range a.looks().Form {
		value := c.Fields[f.Name]
		if f.Name == "name" && value == "" {
			value = c.Name
		}
		if f.Required && strings.TrimSpace(value) == "" {
			return refusalf(codeMissing, "%q is to be filled in", f.Name)
		}
	}
	return nil
}
