package visit

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
)

// An Identity is who a visitor is, as the shop has said it.
type Identity struct {
	Subject            string // the shop's own name for them, never used again
	Name, Email, Phone string // may be ""
}

// People knows those who have said who they are.
type People interface {
	// Know is the internal id of somebody, the same each time; another account's has nothing to
	// do with it.
	Know(ctx context.Context, account string, who Identity) (id string, err error)
	// Erased says whether the visitor of an internal id was erased.
	Erased(ctx context.Context, account, id string) (bool, error)
}

const (
	// identityLife is how far ahead an identity's exp may lie, identitySkew how wrong clocks may be.
	identityLife = 5 * time.Minute
	identitySkew = 5 * time.Second
	identityMax  = 4 << 10 // bytes of a JWT
	subjectMax   = 200
)

// errIdentity says the same whatever is wrong; the log says what it was.
var errIdentity = refusal{codeIdentity, "who you are could not be verified; sign in again"}

// identity reads a JWT (RFC 7519) that the shop has signed by HS256, and nothing else (RFC 8725
// §3.1), with the signing key that its kid names. Its aud is the domain of the account's visitors: what is
// signed for the REST API names the account's own, so neither is good for the other (RFC 8725 §3.9).
func (a *account) identity(ctx context.Context, text string) (Identity, error) {
	var said struct {
		jwt.RegisteredClaims
		Name  string `json:"name"`
		Email string `json:"email"`
		Phone string `json:"phone_number"` // as OpenID Connect calls it (Core 1.0 §5.1)
	}
	now := a.server.cfg.Now
	var broken error // of the server's own
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(),
		jwt.WithLeeway(identitySkew), jwt.WithTimeFunc(now), jwt.WithStrictDecoding())
	_, err := parser.ParseWithClaims(cut(text, identityMax), &said, func(t *jwt.Token) (any, error) {
		if _, critical := t.Header["crit"]; critical { // RFC 7515 §4.1.11: we know none
			return nil, errors.New("it has critical headers")
		}
		kid, _ := t.Header["kid"].(string)
		k, err := a.Store.APIKey(ctx, kid)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil, errors.New("there is no key of that kid")
		case err != nil:
			broken = err
			return nil, err
		case !k.Signing, !k.Expires.IsZero() && !now().Before(k.Expires):
			return nil, errors.New("the key is not for signing, or has expired")
		}
		return k.Secret, nil
	})
	who := Identity{Subject: said.Subject, Name: cut(oneLine(said.Name), nameMax), Email: cut(oneLine(said.Email), valueMax),
		Phone: cut(oneLine(said.Phone), nameMax)}
	switch {
	case broken != nil:
		return Identity{}, broken
	case err != nil:
	case said.ExpiresAt.Sub(now()) > identityLife+identitySkew:
		err = errors.New("it expires in more than five minutes")
	case len(said.Audience) != 1 || said.Audience[0] != contact.Host(a.Domain):
		err = errors.New("its aud is not " + contact.Host(a.Domain))
	case strings.TrimSpace(who.Subject) == "" || tooLong(who.Subject, subjectMax):
		err = errors.New("it has no sub, or one that is too long")
	}
	if err != nil {
		a.log.Info("a visitor's identity is not good", "err", err)
		return Identity{}, errIdentity
	}
	return who, nil
}

// known is the internal id of somebody whom the shop vouches for.
func (a *account) known(ctx context.Context, who Identity) (string, error) {
	if p := a.server.cfg.People; p != nil {
		return p.Know(ctx, a.ID, who)
	}
	return contact.VisitorOf(contact.Known, a.mac(toPerson, []byte(who.Subject))), nil
}
