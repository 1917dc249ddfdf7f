package visit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"context"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
)

const (
	// tokenLife is how long a token is good at most: much longer than any contact goes on, since
	// one that its visitor has left is closed within minutes.
	tokenLife = 30 * 24 * time.Hour
	// tokenAfter is how long it is good after the contact was finalized, for the transcript.
	tokenAfter = 24 * time.Hour
)

// mac is what only this account can make of a text for one purpose. No purpose has a null in it.
func (a *account) mac(purpose string, text []byte) []byte {
	h := hmac.New(sha256.New, a.key)
	h.Write([]byte(purpose + "\x00"))
	h.Write(text)
	return h.Sum(nil)
}

// sealed is a text with the account's mark, as a visitor's client keeps it.
func (a *account) sealed(purpose string, text []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(a.mac(purpose, text), text...))
}

// unsealed is the text, if the mark is the account's, and for that purpose.
func (a *account) unsealed(purpose, token string) (string, bool) {
	if len(token) > tokenMax {
		return "", false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < sha256.Size || !hmac.Equal(b[:sha256.Size], a.mac(purpose, b[sha256.Size:])) {
		return "", false
	}
	return string(b[sha256.Size:]), true
}

// tokenMax is longer than any token, in bytes.
const tokenMax = 200

// What sealed texts are for.
const (
	toContact = "contact" // a token
	toVisitor = "visitor" // who somebody is who did not say it
	toPerson  = "person"
	toAvatar  = "avatar"
	toMail    = "mail"
)

// token is what reaches the contact of that address, and nothing else.
func (a *account) token(address string, until time.Time) string {
	return a.sealed(toContact, binary.BigEndian.AppendUint64([]byte(address), uint64(until.Unix())))
}

// reached is the contact that a token is for. Whatever is wrong with it, the answer is errToken.
func (a *account) reached(ctx context.Context, token string) (*desk.Contact, error) {
	text, ok := a.unsealed(toContact, token)
	if !ok || len(text) < 8 {
		return nil, errToken
	}
	address, until := text[:len(text)-8], binary.BigEndian.Uint64([]byte(text[len(text)-8:]))
	now := a.server.cfg.Now()
	if !contact.IsAddress(address) || now.Unix() >= int64(until) {
		return nil, errToken
	}
	c, err := a.Contacts.Show(ctx, address)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, errToken
	case err != nil:
		return nil, err
	case c.State == desk.Finalized && now.Sub(c.Final) >= tokenAfter:
		return nil, errToken
	}
	return c, nil
}

// stranger is the internal id of somebody who did not say who it is: the one that an earlier
// contact has given, or a new one: nobody who was erased comes back.
func (a *account) stranger(ctx context.Context, known string) string {
	if id, ok := a.unsealed(toVisitor, known); ok && strings.HasPrefix(id, contact.Stranger) {
		p := a.server.cfg.People
		if p == nil {
			return id
		}
		if erased, err := p.Erased(ctx, a.ID, id); err == nil && !erased {
			return id
		}
	}
	return contact.NewVisitor(contact.Stranger)
}
