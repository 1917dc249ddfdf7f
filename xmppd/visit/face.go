package visit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/wire"
)

// A face is what visitors see of an agent: what she is called, and where her picture is.
type face struct{ Name, Avatar string }

const (
	// faceFor is how long a face is shown before it is looked at again, facesMax how many are remembered.
	faceFor  = time.Minute
	facesMax = 1000
	// faceNameMax is how long a name is, in characters, photoMax how large a picture, in bytes.
	faceNameMax = 60
	photoMax    = 64 << 10
)

// faces are what is remembered of them.
type faces struct {
	mu  sync.Mutex // guards what follows
	all map[store.AgentID]seenFace
}

type seenFace struct {
	face
	until time.Time
}

// face is an agent's: what the account says that she is called, or the nickname or name of her card (XEP-0054), or
// else her own address in a form for people.
func (a *account) face(ctx context.Context, agent store.AgentID) face {
	if agent == 0 {
		return face{}
	}
	now := a.server.cfg.Now()
	a.faces.mu.Lock()
	known, ok := a.faces.all[agent]
	a.faces.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.face
	}
	local := a.Contacts.NameOf(agent)
	var is face
	card, err := a.card(ctx, agent)
	switch {
	case err != nil:
		a.log.Warn("an agent's card can't be read", "agent", local, "err", err)
	case len(card.photo) > 0:
		is.Avatar = Prefix + a.ID + "/avatars/" + a.sealed(toAvatar, pictured(agent, card.photo))
	}
	is.Name = cmp.Or(a.looks().Names[local], cut(oneLine(card.Nick), faceNameMax), cut(oneLine(card.FN), faceNameMax), named(local))
	a.faces.mu.Lock()
	defer a.faces.mu.Unlock()
	if len(a.faces.all) >= facesMax || a.faces.all == nil {
		a.faces.all = make(map[store.AgentID]seenFace)
	}
	a.faces.all[agent] = seenFace{is, now.Add(faceFor)}
	return is
}

// named is the local part of an address as a name: "anna.rossi" is Anna Rossi.
func named(local string) string {
	words := strings.FieldsFunc(local, func(r rune) bool { return r == '.' || r == '_' })
	for i, w := range words {
		r := []rune(w)
		r[0] = unicode.ToTitle(r[0])
		words[i] = string(r)
	}
	return strings.Join(words, " ")
}

// A card is what is looked at of a vCard (XEP-0054 §6).
type card struct {
	FN    string `xml:"vcard-temp FN"`
	Nick  string `xml:"vcard-temp NICKNAME"`
	Photo struct {
		Bin string `xml:"vcard-temp BINVAL"`
	} `xml:"vcard-temp PHOTO"`

	photo []byte
	kind  string // its media type
}

// card reads an agent's card. One who has none, or has put something else into it, has an empty one.
func (a *account) card(ctx context.Context, agent store.AgentID) (c card, err error) {
	if a.looks().NoCards {
		return c, nil
	}
	err = a.Store.OwnOf(ctx, agent, store.OwnCard, func(_ string, value []byte) error {
		if st, err := wire.ParseInner(nil, value); err != nil || len(st.Children) != 1 || st.Decode(&st.Children[0], &c) != nil {
			c = card{}
		}
		return nil
	})
	if photo, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(c.Photo.Bin), "")); err == nil && len(photo) <= photoMax {
		c.photo, c.kind = untold(photo)
	}
	c.Photo.Bin = ""
	return c, err
}

// pictureHash is how much of a picture's hash its name has, in bytes.
const pictureHash = 15

// pictured names a picture: whose it is, and which.
func pictured(agent store.AgentID, photo []byte) []byte {
	sum := sha256.Sum256(photo)
	return append(binary.BigEndian.AppendUint64(nil, uint64(agent)), sum[:pictureHash]...)
}

// avatar answers GET avatars/…: nobody guesses such a name, and another picture has another one.
func (a *account) avatar(w http.ResponseWriter, r *http.Request) error {
	if err := a.server.crowd.mayAsk(contact.Network(a.server.cfg.ClientAddr(r)), a.server.cfg.Now()); err != nil {
		return err
	}
	name, ok := a.unsealed(toAvatar, r.PathValue("name"))
	if !ok || len(name) != 8+pictureHash {
		return errPicture
	}
	agent := store.AgentID(binary.BigEndian.Uint64([]byte(name)))
	c, err := a.card(r.Context(), agent)
	switch {
	case err != nil:
		return err
	case len(c.photo) == 0 || string(pictured(agent, c.photo)) != name:
		return errPicture
	}
	h := w.Header()
	h.Set("Content-Type", c.kind)
	h.Set("Content-Length", strconv.Itoa(len(c.photo)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'") // for whoever opens it by itself
	h.Set("Cache-Control", "private, max-age=604800, immutable")                            // RFC 8246 §2
	w.Write(c.photo)                                                                        // an error means that the visitor is gone
	return nil
}

var errPicture = refusal{codeUnknown, "there is no such picture, or not any more"}

// dress puts agents' faces, and files, into what a visitor sees of a contact.
func (t *talk) dress(ctx context.Context, list []*news) {
	for _, n := range list {
		t.filed(ctx, n)
		if n.agent != 0 && n.From != nil {
			f := t.account.face(ctx, n.agent)
			n.From.Name, n.From.Avatar = f.Name, f.Avatar
		}
		if c := n.Contact; c != nil && c.Agent != nil {
			// The talk may not have heard of what the store has already.
			f := t.account.face(ctx, cmp.Or(n.agent, t.who(c.Agent.Name)))
			f.Name = cmp.Or(f.Name, named(c.Agent.Name))
			*c.Agent = who(f)
		}
	}
}

// who is the agent of that name who has had the contact; 0 if there was none.
func (t *talk) who(name string) store.AgentID {
	t.mu.Lock()
	c := t.contact
	t.mu.Unlock()
	for _, leg := range slices.Backward(c.Legs) {
		if t.account.Contacts.NameOf(leg.Agent) == name {
			return leg.Agent
		}
	}
	return 0
}

// becomes notes what the contact is now.
func (t *talk) becomes(c *desk.Contact) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.contact = c
}
