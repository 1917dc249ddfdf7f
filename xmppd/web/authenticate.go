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

var unknown = Refuse(Stranger, "no key, or not one that is good here").
	hint("Authorization holds Basic with a key's id and secret, a Bearer token signed with a signing key, or PARLEY-HMAC-SHA512; for the last two the clock must be right")

// A proof is who asks. Of a signed request it is a claim until signed has seen the body, and
// once has noted that it was taken.
type proof struct {
	caller *caller
	signed func(body []byte) error
	once   func() error
}

// identify finds out whose request it is (SMO-1), as far as the headers say it: no body is
// read for a stranger. Whatever is wrong, strangers hear the same.
func (a *API) identify(r *http.Request) (proof, *Refusal) {
	began := a.now()
	p, err := a.known(r)
	if err == nil {
		p.caller.from = a.cfg.ClientAddr(r)
		return p, nil
	}
	return proof{}, a.stranger(r, err, began)
}

// stranger is what somebody hears who is not known.
func (a *API) stranger(r *http.Request, err error, began time.Time) *Refusal {
	if refused, ok := err.(*Refusal); ok {
		return refused
	}
	if !isUnknown(err) {
		a.log.Error("request's key could not be looked up", "err", err)
		return Refuse(Unavailable, "keys cannot be looked up now")
	}
	a.Stats.Strangers.Add(1)
	from := a.cfg.ClientAddr(r)
	wait := time.NewTimer(min(unknownAfter, unknownAfter-a.now().Sub(began))) // whichever way the clock has jumped
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-r.Context().Done():
	}
	if left, ends := a.failures.add(network(from), began); left < 0 {
		return tooMany(ends) // who has a good key goes on, from the same address or another
	}
	a.log.Info("request refused", "from", from, "why", err)
	return unknown
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

func (a *API) known(r *http.Request) (proof, error) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return proof{}, unknownError("not one Authorization header")
	}
	scheme, rest, _ := strings.Cut(values[0], " ") // RFC 9110 §11.1: in any case
	switch {
	case strings.EqualFold(scheme, "Basic"):
		id, secret, ok := r.BasicAuth()
		if !ok {
			return proof{}, unknownError("not Basic as it should be")
		}
		c, err := a.byBasic(r.Context(), id, secret)
		return proof{caller: c}, err
	case strings.EqualFold(scheme, "Bearer"):
		c, err := a.byToken(r.Context(), strings.TrimSpace(rest))
		return proof{caller: c}, err
	case strings.EqualFold(scheme, hmacScheme):
		return a.bySignature(r, rest)
	}
	return proof{}, unknownError("no way to sign in that is known")
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
	name, _, found := strings.Cut(rest, "_")
	if !ok || !found || len(id) > keyIDMax {
		return nil, store.APIKey{}, unknownError("not a key's id")
	}
	account, err := a.inst.WebAccount(ctx, name)
	if isMissing(err) {
		return nil, store.APIKey{}, unknownError("the key's account is not in operation")
	}
	if err != nil {
		return nil, store.APIKey{}, err
	}
	k, err := account.Store.APIKey(ctx, id)
	switch {
	case isMissing(err):
		return nil, store.APIKey{}, unknownError("there is no such key in account " + name)
	case err != nil:
		return nil, store.APIKey{}, err
	case k.Signing != signing:
		return nil, store.APIKey{}, unknownError(id + " is a key of the other kind")
	case !k.Expires.IsZero() && !a.now().Before(k.Expires):
		return nil, store.APIKey{}, unknownError(id + " has expired")
	}
	role, _ := ParseRole(k.Role)
	return &caller{Account: account, key: k.ID, role: role, scopes: k.Scopes, expires: k.Expires}, k, nil
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
