package web

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley.im/parley/store"
)

const (
	// tokenLife is how far ahead a token's exp may lie; tokenSkew how wrong clocks may be.
	tokenLife = 5 * time.Minute
	tokenSkew = 5 * time.Second
)

// claims are what a token says: besides RFC 7519's, what it is narrowed to.
type claims struct {
	jwt.RegisteredClaims
	Scope *string `json:"scope"` // with spaces between
}

// byToken takes a JWT (RFC 7519), signed by HS256 and by nothing else (RFC 8725 §3.1)
// with the key that its kid names, for this account's domain.
func (a *API) byToken(ctx context.Context, text string) (*caller, error) {
	var c *caller
	var said claims
	var broken error // of the server's own
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(),
		jwt.WithLeeway(tokenSkew), jwt.WithTimeFunc(a.now), jwt.WithStrictDecoding())
	_, err := parser.ParseWithClaims(text, &said, func(t *jwt.Token) (any, error) {
		if _, critical := t.Header["crit"]; critical { // RFC 7515 §4.1.11: we know none
			return nil, errors.New("it has critical headers")
		}
		id, _ := t.Header["kid"].(string)
		var k store.APIKey
		if c, k, broken = a.lookUp(ctx, id, true); broken != nil {
			return nil, broken
		}
		return k.Secret, nil
	})
	switch {
	case broken != nil:
		return nil, broken
	case err != nil:
		return nil, unknownError("token: " + err.Error())
	case said.ExpiresAt.Sub(a.now()) > tokenLife:
		return nil, unknownError("token: it expires in more than five minutes")
	case len(said.Audience) != 1 || said.Audience[0] != c.Domain:
		return nil, unknownError("token: its aud is not the account's domain")
	}
	if said.Scope != nil {
		c.narrow(strings.Fields(*said.Scope))
	}
	c.token = true
	return c, nil
}
