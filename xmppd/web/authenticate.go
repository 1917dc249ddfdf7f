package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"parley.im/parley/store"
)

const (
	// failuresPerMinute is how often an address may fail to say who it is.
	failuresPerMinute = 30
	// unknownAfter is when somebody hears that a key is not known, counted from the
	// request: whether the account, the key or its secret was wrong takes different times.
	unknownAfter = 100 * time.Millisecond
)

var unknown = newRefusal(http.StatusUnauthorized, "no key, or not one that is good here", nil).
	hint("Authorization holds Basic with a key's id and secret, a Bearer token signed with a signing key, or PARLEY-HMAC-SHA512")

// authenticate finds out whose request it is (SMO-1). Whatever is wrong, strangers hear
// the same.
func (a *API) authenticate(r *http.Request, body []byte) (*caller, *Refusal) {
	began := a.now()
	from := a.cfg.ClientAddr(r)
	c, err := a.known(r, body)
	if err == nil {
		c.from = from
		return c, nil
	}
	if !isUnknown(err) {
		a.log.Error("request's key could not be looked up", "err", err)
		return nil, newRefusal(http.StatusServiceUnavailable, "keys cannot be looked up now", nil)
	}
	if left, _ := a.failures.add(network(from), began); left < 0 {
		return nil, tooMany // who has a good key goes on, from the same address or another
	}
	a.log.Info("request refused", "from", from, "why", err)
	wait := time.NewTimer(unknownAfter - a.now().Sub(began))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-r.Context().Done():
	}
	return nil, unknown
}

// network is an address as failures are counted: of IPv6 the first 64 bits.
func network(addr netip.Addr) string {
	if addr.Is6() && !addr.Is4In6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.Unmap().String()
}

// unknownError says to the log why somebody is not known.
type unknownError string

func (e unknownError) Error() string { return string(e) }

func isUnknown(err error) bool {
	_, ok := err.(unknownError)
	return ok
}

func (a *API) known(r *http.Request, body []byte) (*caller, error) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return nil, unknownError("not one Authorization header")
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	switch {
	case strings.EqualFold(scheme, "Basic"):
		id, secret, ok := r.BasicAuth()
		if !ok {
			return nil, unknownError("not Basic as it should be")
		}
		return a.byBasic(r.Context(), id, secret)
	case strings.EqualFold(scheme, "Bearer"):
		return a.byToken(r.Context(), strings.TrimSpace(rest))
	case scheme == hmacScheme:
		return a.bySignature(r, rest, body)
	}
	return nil, unknownError("no way to sign in that is known")
}

func (a *API) byBasic(ctx context.Context, id, secret string) (*caller, error) {
	c, k, err := a.lookUp(ctx, id, false)
	if err != nil {
		return nil, err
	}
	if hash := sha256.Sum256([]byte(secret)); subtle.ConstantTimeCompare(hash[:], k.Secret) != 1 {
		return nil, unknownError("the secret is not " + k.ID + "'s")
	}
	return c, nil
}

// lookUp finds a key and its account, whose id the key's names. A key of one kind is
// never used as one of the other.
func (a *API) lookUp(ctx context.Context, id string, signing bool) (*caller, store.APIKey, error) {
	rest, ok := strings.CutPrefix(id, "ak_")
	account, _, found := strings.Cut(rest, "_")
	if !ok || !found || len(id) > keyIDMax {
		return nil, store.APIKey{}, unknownError("not a key's id")
	}
	found2, err := a.inst.WebAccount(ctx, account)
	if isMissing(err) {
		return nil, store.APIKey{}, unknownError("the key's account is not in operation")
	}
	if err != nil {
		return nil, store.APIKey{}, err
	}
	k, err := found2.Store.APIKey(ctx, id)
	switch {
	case isMissing(err):
		return nil, store.APIKey{}, unknownError("there is no such key in account " + account)
	case err != nil:
		return nil, store.APIKey{}, err
	case k.Signing != signing:
		return nil, store.APIKey{}, unknownError(id + " is a key of the other kind")
	case !k.Expires.IsZero() && !a.now().Before(k.Expires):
		return nil, store.APIKey{}, unknownError(id + " has expired")
	}
	role, _ := ParseRole(k.Role)
	return &caller{Account: found2, key: k.ID, role: role, scopes: k.Scopes}, k, nil
}

// narrow leaves of what the caller may only what is in both.
func (c *caller) narrow(to []string) {
	if len(c.scopes) > 0 {
		to = slices.DeleteFunc(to, func(s string) bool { return !slices.Contains(c.scopes, s) })
	}
	if c.scopes = to; len(to) == 0 {
		c.scopes = []string{"nothing"}
	}
}
