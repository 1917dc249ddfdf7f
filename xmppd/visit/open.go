package visit

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
)

// A wish is a visitor's for a contact.
type wish struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Fields   map[string]string `json:"fields"`
	Text     string            `json:"text"`
	Page     string            `json:"page"`
	Title    string            `json:"title"`
	Lang     string            `json:"lang"`
	Group    string            `json:"group"`
	Visitor  string            `json:"visitor"`  // as an earlier contact has given it
	Identity string            `json:"identity"` // a JWT; not the same each time
	Form     bool              `json:"form"`
	Work     *workDone         `json:"work"` // if the account asks for some; not the same each time
}

// wishIDMin is how long the id of a wish is at least: nobody guesses another one's.
const wishIDMin = 16

// An opening is what a visitor gets for it.
type opening struct {
	Contact Contact `json:"contact"`
	Token   string  `json:"token"`
	Visitor string  `json:"visitor,omitempty"` // for the next contact
}

// openings are what was answered lately, by the clients' ids.
type openings struct {
	mu   sync.Mutex // guards what follows
	all  map[string]*answer
	ages []*answer // the oldest first
}

// An answer is an opening, or will be.
type answer struct {
	id   string
	hash [sha256.Size]byte // of the wish
	at   time.Time
	done chan struct{} // closed when what follows is set
	is   opening
	err  error
}

const (
	// openingsFor is how long an id is remembered, openingsMax how many are.
	openingsFor = 10 * time.Minute
	openingsMax = 10_000
)

func newOpenings() openings { return openings{all: make(map[string]*answer)} }

// once calls open for the first wish of its id, and gives all others of the same the same answer. What
// failed may be tried again.
func (o *openings) once(ctx context.Context, w *wish, now time.Time, open func() (opening, error)) (opening, error) {
	same := *w
	same.Identity, same.Work = "", nil
	text, err := json.Marshal(same)
	if err != nil {
		return opening{}, err
	}
	hash := sha256.Sum256(text)
	o.mu.Lock()
	for len(o.ages) > 0 && (len(o.ages) >= openingsMax || now.Sub(o.ages[0].at) >= openingsFor) {
		if first := o.ages[0]; o.all[first.id] == first {
			delete(o.all, first.id)
		}
		o.ages = o.ages[1:]
	}
	a := o.all[w.ID]
	if a != nil {
		o.mu.Unlock()
		if a.hash != hash {
			return opening{}, refusal{codeConflict, "this id was used for another contact"}
		}
		select {
		case <-a.done:
			return a.is, a.err
		case <-ctx.Done():
			return opening{}, ctx.Err()
		}
	}
	a = &answer{id: w.ID, hash: hash, at: now, done: make(chan struct{})}
	o.all[w.ID] = a
	o.ages = append(o.ages, a)
	o.mu.Unlock()
	defer close(a.done)
	a.is, a.err = opening{}, errCrowd // if open breaks
	defer func() {
		if a.err != nil {
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.all[w.ID] == a {
				delete(o.all, w.ID)
			}
		}
	}()
	a.is, a.err = open()
	return a.is, a.err
}

// errBody says that a body is too large.
var errBody = refusalf(codeTooLong, "a request has at most %d bytes", frameMax)

// body reads what a visitor sends, but no more than there can be.
func (s *Server) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > frameMax {
		w.Header().Set("Connection", "close") // or net/http reads the rest before it answers
		return nil, errBody
	}
	if r.ContentLength < 0 || r.ContentLength > frameSmall {
		if !take(s.large) {
			return nil, errCrowd
		}
		defer give(s.large)
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, frameMax))
	if _, ok := err.(*http.MaxBytesError); ok {
		return nil, errBody
	}
	if err != nil {
		return nil, refusal{codeInvalid, "the request did not arrive whole"}
	}
	return b, nil
}

// open answers POST contacts.
func (a *account) open(w http.ResponseWriter, r *http.Request) error {
	from := contact.Network(a.server.cfg.ClientAddr(r))
	if a.banned(contact.BanAddress, from.String()) {
		return errBanned
	}
	body, err := a.server.body(w, r)
	if err != nil {
		return err
	}
	var wanted wish
	if !utf8.Valid(body) || json.Unmarshal(body, &wanted) != nil {
		return refusal{codeInvalid, "a contact is opened with one JSON object in UTF-8"}
	}
	if err := a.clean(&wanted); err != nil {
		return err
	}
	is, err := a.opened.once(r.Context(), &wanted, a.server.cfg.Now(), func() (opening, error) {
		return a.begin(context.WithoutCancel(r.Context()), &wanted, from) // whoever comes again gets it
	})
	if err != nil {
		return err
	}
	reply(w, http.StatusCreated, is)
	return nil
}

// clean cleans and checks a wish. What a browser tells by itself is cut, or left out, where it is
// not as it should be; what people write is refused.
func (a *account) clean(w *wish) (err error) {
	if !isID(w.ID, wishIDMin) {
		return refusalf(codeInvalid, "id has %d to %d letters, digits and -_.:, made by chance", wishIDMin, idMax)
	}
	if w.Name, err = name(w.Name); err != nil {
		return err
	}
	if w.Fields, err = fields(w.Fields); err != nil {
		return err
	}
	if w.Text != "" {
		if w.Text, err = message(w.Text); err != nil {
			return err
		}
	}
	if u, err := url.Parse(w.Page); err != nil || len(w.Page) > urlMax || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		w.Page = ""
	}
	w.Title = cut(oneLine(w.Title), titleMax)
	tag, _ := language.Parse(cut(w.Lang, nameMax))
	if w.Lang = tag.String(); tag == language.Und {
		w.Lang = ""
	}
	if _, ok := a.Contacts.Settings().Groups[w.Group]; !ok && w.Group != "" {
		return refusal{codeUnknown, "there is no such group"}
	}
	return nil
}

// identified is a tag of contacts whose visitor the shop has vouched for.
const identified = "identified"

// begin opens a contact.
func (a *account) begin(ctx context.Context, w *wish, from netip.Prefix) (opening, error) {
	now := a.server.cfg.Now()
	if err := a.worked(w, now); err != nil {
		return opening{}, err
	}
	if err := a.server.crowd.mayOpen(from, now); err != nil {
		return opening{}, err
	}
	var id store.ConversationID
	defer func() { a.server.crowd.opened(from, a, id) }()
	if over(a.Contacts.Live(), a.server.cfg.Limits.ContactsPerAccount) {
		return opening{}, errFull
	}
	c := desk.Contact{
		Address: contact.NewAddress(), Name: w.Name, Fields: w.Fields, Subject: w.Title, Page: w.Page, Question: w.Text, Lang: w.Lang,
	}
	var is opening
	if w.Identity != "" {
		person, err := a.identity(ctx, w.Identity)
		if err != nil {
			return opening{}, err
		}
		if c.Visitor, err = a.known(ctx, person); err != nil {
			return opening{}, err
		}
		vouch(&c, person)
	} else {
		c.Visitor = a.stranger(ctx, w.Visitor)
		is.Visitor = a.sealed(toVisitor, []byte(c.Visitor))
	}
	if a.banned(contact.BanVisitor, c.Visitor) {
		return opening{}, errBanned
	}
	c.Emails = a.emails(&c)
	if !w.Form {
		if err := a.complete(&c); err != nil {
			return opening{}, err
		}
	}
	if g, ok := a.Contacts.Settings().Groups[w.Group]; ok {
		c.Wants, c.Priority = desk.Wants{Group: w.Group, Tags: g.Tags}, g.Priority
	}
	var said *desk.Said
	if w.Text != "" {
		said = &desk.Said{By: desk.Visitor, Body: a.Contacts.Text(&c, desk.Visitor, w.ID, w.Text, now)}
	}
	begun, err := a.Contacts.Begin(ctx, c, !w.Form, said)
	if err != nil {
		return opening{}, err
	}
	a.server.Stats.Opened.Add(1)
	id = begun.ID
	a.expect(id, now)
	is.Contact, is.Token = a.shown(begun, face{}), a.token(begun.Address, now.Add(tokenLife))
	return is, nil
}

// reply answers with JSON.
func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // an error means that the visitor is gone
}

// vouch puts in what the shop has said of somebody, in place of what they say themselves.
func vouch(c *desk.Contact, who Identity) {
	c.Vouched, c.Tags = true, []string{identified}
	if who.Name != "" {
		c.Name = who.Name
	}
	set := func(field, value string) {
		if c.Fields == nil {
			c.Fields = make(map[string]string)
		}
		c.Fields[field] = value
	}
	if strings.Contains(who.Email, "@") {
		set("email", who.Email)
	}
	if who.Phone != "" {
		set("phone", who.Phone)
	}
}
