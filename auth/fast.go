package auth

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"parley.im/parley/auth/scram"
	"parley.im/parley/store"
)

// FastMechanisms are what a stream over that channel announces for tokens, in this
// order. There is always one without channel binding, and one with it where Offer has
// such, too (XEP-0484 §3.1).
//
// XEP-0484 §3.4 not done: sign-in in TLS 0-RTT data, which anybody can send again; crypto/tls
// takes none. So there is no replay to notice, and a token's count says nothing.
func (a *Account) FastMechanisms(ch scram.Channel) []string {
	bindings := a.Offer(ch).Bindings
	var names []string
	for _, m := range hashedTokens {
		if t := m.bindingType(); t == "" || slices.Contains(bindings, t) {
			names = append(names, m.String())
		}
	}
	return names
}

// A Redemption is what a client signs in with that has a token.
type Redemption struct {
	Mechanism  string
	Channel    scram.Channel
	Client     string     // the id of its user-agent
	From       string     // the bare JID in the stream's from; may be empty
	Message    []byte     // the initial response, all that the client says
	Invalidate bool       // it wants no token any more (XEP-0484 §3.6)
	Addr       netip.Addr // where the client is
}

// Redeemed is a sign-in with a token.
type Redeemed struct {
	Agent      store.Agent
	Credential store.Credential // what the token was issued for, as it is now
	Reply      []byte           // the server's last word, which goes out with the success
	Due        bool             // a new token is to be issued, asked for or not (XEP-0484 §3.5)
}

// Redeem signs a client in that has a token: it is one whole exchange, with the errors
// of Begin and Step and one more. ErrMechanism: not among FastMechanisms. ErrMalformed:
// the message, or the client's id. ErrAuthzid: the stream is somebody else's. ErrDenied:
// no such name, or no such token of that client's for that mechanism on this connection;
// which of them is not to be known, and takes the same time. ErrExpired: the token
// was right, but is older than 21 days, or its credential was changed or is gone.
// ErrLocked, ErrDisabled: as with a password. Anything else is ours.
//
// When it returns without an error, tokens of the client that are older than this one
// are good no more, or none is if it is to be invalidated; that is durable.
//
// Redeem may wait some seconds where a name is under attack, until ctx ends.
func (a *Account) Redeem(ctx context.Context, r Redemption) (Redeemed, error) {
	x := &redeeming{Redemption: r, account: a}
	if err := x.parse(); err != nil {
		return Redeemed{}, err
	}
	return x.redeem(ctx)
}

// A redeeming is one sign-in with a token. It belongs to one goroutine.
type redeeming struct {
	Redemption
	account   *Account
	mechanism hashedToken
	name      string // prepared
	proof     []byte
	agent     store.Agent
}

// parse reads what the client says. It asks the store nothing, so that it can't matter
// whether the name exists.
func (x *redeeming) parse() error {
	if !slices.Contains(x.account.FastMechanisms(x.Channel), x.Mechanism) {
		return x.fail(BadMechanism, ErrMechanism)
	}
	x.mechanism = parseHashedToken(x.Mechanism)
	// XEP-0484 §4.1: tokens are a client's, so it has to say which one it is.
	if !isClient(x.Client) {
		return x.fail(BadMessage, fmt.Errorf("%w: id of the user-agent", ErrMalformed))
	}
	name, proof, err := parseInitiator(x.Message)
	if err != nil {
		return x.fail(BadMessage, err)
	}
	if x.name, err = PrepareName(name); err != nil {
		return x.fail(BadName, fmt.Errorf("%v: %w", err, ErrDenied))
	}
	// HT has no authzid (draft-schmaus-kitten-sasl-ht-09 §4); the stream's from has its
	// place.
	if !x.account.isSelf(x.From, x.name) {
		return x.fail(BadAuthzid, ErrAuthzid)
	}
	x.proof = proof
	return nil
}

// redeem checks the token, then whether it may count. Rule 17: up to the verdict, a
// name that doesn't exist asks the same of the store as one that does.
func (x *redeeming) redeem(ctx context.Context) (Redeemed, error) {
	a := x.account
	agent, err := a.agent(ctx, x.name)
	if err != nil {
		return Redeemed{}, err
	}
	usable, err := a.credentials(ctx, agent.ID)
	if err != nil {
		return Redeemed{}, err
	}
	tokens, err := a.tokensOf(ctx, agent.ID, x.Client)
	if err != nil {
		return Redeemed{}, err
	}
	x.agent = agent
	index, reply := tokens.match(x.mechanism, x.mechanism.binding(x.Channel), x.proof)
	now := a.now()
	var token slot
	var credential store.Credential
	if index >= 0 {
		var there bool
		token = tokens.slots[index]
		if credential, there = token.origin.find(usable); !there || !now.Before(token.expiry) {
			return Redeemed{}, x.expired(ctx, token)
		}
	}
	verdict, delay := a.guard.settle(x.name, x.Addr, proof{
		right: index >= 0, secret: credential.Device != "",
	}, now)
	switch {
	case index < 0:
		err = x.fail(BadProof, fmt.Errorf("token: %w", ErrDenied))
	case verdict == denied:
		err = x.fail(Locked, ErrDenied)
	case verdict == locked:
		err = x.fail(Locked, ErrLocked)
	case agent.Disabled:
		err = x.fail(Disabled, ErrDisabled)
	}
	if waited := wait(ctx, delay); err == nil {
		err = waited
	}
	if err == nil {
		err = x.use(ctx, token, index, now.Sub(tokens.used))
	}
	if err != nil {
		return Redeemed{}, err
	}
	return Redeemed{
		Agent: agent, Credential: credential, Reply: reply,
		// XEP-0484 §3.6: who invalidates gets no new token unless it asks for one.
		Due: !x.Invalidate && now.Sub(token.issued()) >= tokenRotation,
	}, nil
}

// expired drops a token that is right and good for nothing any more, and says so
// (XEP-0484 §4.2). The guard isn't asked: nobody guesses a token, so that this is no
// wrong guess of the many that sit behind one address, and it signs nobody in.
func (x *redeeming) expired(ctx context.Context, token slot) error {
	// Where it can't be dropped, it is as dead as it was.
	_ = x.account.changeTokens(ctx, x.agent.ID, x.Client, func(t *clientTokens) bool {
		i := t.holding(token)
		if i >= 0 {
			t.slots[i] = slot{}
		}
		return i >= 0
	})
	return x.fail(Expired, ErrExpired)
}

// use keeps what the use of a token changes: it ends those of an earlier expiry
// (XEP-0484 §3.5), or all of the client's if it wants that.
func (x *redeeming) use(ctx context.Context, token slot, index int, unused time.Duration) error {
	must := x.Invalidate || index == slotNew
	if !must && unused < usedEvery {
		return nil
	}
	gone := false
	err := x.account.changeTokens(ctx, x.agent.ID, x.Client, func(t *clientTokens) bool {
		// Another sign-in of the client's may have been faster.
		i := t.holding(token)
		switch {
		case i < 0:
			gone = true
		case x.Invalidate:
			t.slots = [2]slot{}
		case i == slotNew:
			t.slots = [2]slot{slotCurrent: token}
		}
		t.used = x.account.now()
		return !gone
	})
	switch {
	case gone:
		return x.fail(BadProof, fmt.Errorf("token was ended meanwhile: %w", ErrDenied))
	case must:
		return err
	}
	return nil // nobody is kept out for the hour that a client was last seen in
}

// fail tells of a failure and passes its error on.
func (x *redeeming) fail(r Reason, err error) error {
	x.account.tell(Failure{
		Name: x.name, Known: x.agent.ID != 0, Agent: x.agent.ID,
		Addr: x.Addr, Mechanism: x.Mechanism, Reason: r,
	})
	return err
}
