package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"mellium.im/xmpp/jid"

	"parley.im/parley/auth/scram"
	"parley.im/parley/store"
)

const (
	// MaxCredentials is how many credentials an agent can hold. As many are tried at
	// every sign-in, whoever signs in.
	MaxCredentials = 16

	scopeXMPP = "xmpp"
)

// An Attempt is what is known when a client asks to sign in.
type Attempt struct {
	Mechanism string
	Channel   scram.Channel
	Offer     scram.Offer // what this stream announced
	Addr      netip.Addr  // where the client is
}

// An Exchange is one sign-in. It belongs to one goroutine.
type Exchange struct {
	account *Account
	attempt Attempt
	scram   *scram.Server

	prompted bool
	step     int
	cost     cost
	name     string // prepared

	agent      store.Agent
	credential store.Credential
}

// Begin starts an exchange. It returns ErrMechanism if the mechanism was not
// announced.
func (a *Account) Begin(at Attempt) (*Exchange, error) {
	x := &Exchange{account: a, attempt: at}
	if !slices.Contains(at.Offer.Mechanisms, at.Mechanism) {
		return nil, x.fail(BadMechanism, ErrMechanism)
	}
	s, err := scram.New(at.Mechanism, at.Channel, at.Offer, nil)
	if err != nil {
		return nil, x.fail(BadMechanism, err)
	}
	x.scram = s
	return x, nil
}

// Step takes the client's next message and makes the answer. With done the answer is
// the server's last word, which goes out with the success; the client is signed in.
//
// A nil message at the first step means that the client sent none with its request.
// Since the client speaks first in SCRAM, the answer is then an empty challenge. A
// message that was sent and is empty ("=", RFC 6120 §6.4.2) is not nil.
//
// Step may wait some seconds where a name is under attack, until ctx ends.
func (x *Exchange) Step(ctx context.Context, msg []byte) (reply []byte, done bool, err error) {
	step := x.step
	switch {
	case step == 0 && msg == nil && !x.prompted:
		x.prompted = true
		return nil, false, nil
	case step == 0:
		x.step = 1
		reply, err = x.first(msg)
	case step == 1:
		x.step = 2
		reply, err = x.final(ctx, msg)
	default:
		return nil, false, fmt.Errorf("%w: the exchange is over", ErrMalformed)
	}
	if err != nil {
		x.step = 2
		return nil, false, err
	}
	return reply, step == 1, nil
}

// Agent is who has signed in, after Step said done.
func (x *Exchange) Agent() store.Agent { return x.agent }

// Credential is what she has signed in with, after Step said done.
func (x *Exchange) Credential() store.Credential { return x.credential }

// first answers the client's first message. It asks the store nothing, so that it
// can't matter whether the name exists.
func (x *Exchange) first(msg []byte) ([]byte, error) {
	name, authzid, err := x.scram.First(msg)
	if err != nil {
		return nil, x.fail(reasonOf(err), err)
	}
	if x.name, err = PrepareName(name); err != nil {
		return nil, x.fail(BadName, fmt.Errorf("%v: %w", err, ErrDenied))
	}
	if !x.account.isSelf(authzid, x.name) {
		return nil, x.fail(BadAuthzid, ErrAuthzid)
	}
	x.cost = *x.account.current.Load()
	salt := x.account.saltFor(x.scram.Hash(), x.name, x.cost.generation)
	return x.scram.Challenge(salt, x.cost.iterations)
}

// isSelf says whether the authzid is absent or the bare JID of the user
// (RFC 6120 §6.3.8).
func (a *Account) isSelf(authzid, name string) bool {
	if authzid == "" {
		return true
	}
	asked, err := jid.Parse(authzid)
	if err != nil {
		return false
	}
	self, err := a.domain.WithLocal(name)
	return err == nil && asked.Equal(self)
}

// final checks the proof, then whether it may count.
func (x *Exchange) final(ctx context.Context, msg []byte) ([]byte, error) {
	a := x.account
	found, err := a.candidates(ctx, x.name, x.scram.Hash(), x.cost)
	if err != nil {
		return nil, err
	}
	index, reply, err := x.scram.Final(msg, found.keys)
	x.agent = found.agent
	if err != nil && !errors.Is(err, ErrDenied) {
		return nil, x.fail(reasonOf(err), err)
	}
	right := err == nil
	if right {
		x.credential = found.credentials[index]
	}
	verdict, delay := a.guard.settle(x.name, x.attempt.Addr, proof{
		right: right, secret: x.credential.Device != "",
	}, a.now())
	switch {
	case !right:
		err = x.fail(reasonOf(err), err)
	case verdict == denied:
		err = x.fail(Locked, ErrDenied)
	case verdict == locked:
		err = x.fail(Locked, ErrLocked)
	case found.agent.Disabled:
		err = x.fail(Disabled, ErrDisabled)
	}
	if waited := wait(ctx, delay); err == nil {
		err = waited
	}
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// fail tells of a failure and passes its error on.
func (x *Exchange) fail(r Reason, err error) error {
	x.account.tell(Failure{
		Name: x.name, Known: x.agent.ID != 0, Agent: x.agent.ID,
		Addr: x.attempt.Addr, Mechanism: x.attempt.Mechanism, Reason: r,
	})
	return err
}

// tell tells of a failure that has just happened.
func (a *Account) tell(f Failure) {
	if on := a.options.Load().OnFailure; on != nil {
		f.At = a.now()
		on(f)
	}
}

func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, scram.ErrBinding):
		return BadBinding
	case errors.Is(err, ErrDenied):
		return BadProof
	}
	return BadMessage
}

// wait passes the time that slows guessing down.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
