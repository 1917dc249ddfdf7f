package xmppd

import (
	"context"
	"errors"
	"slices"
	"sync"

	"parley.im/parley/auth"
	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

// What whoever holds an old password is told.
var (
	passwordChanged = wire.StreamError{Condition: wire.Reset, Text: "the password was changed; sign in again"}
	staleSignIn     = wire.StreamError{Condition: wire.NotAuthorized, Text: "the password was changed; sign in again"}
	revokedSignIn   = wire.StreamError{Condition: wire.NotAuthorized, Text: "this device may sign in no more"}
)

// credentialsChanged notes that sign-ins that have begun before now count no more, and
// answers when now was, and whose sessions are older: who signs in with what is new stays.
func (g *agent) credentialsChanged() (moment int64, older []*Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changed = g.account.server.moments.Add(1)
	return g.changed, slices.Clone(g.sessions)
}

// refuses is what a sign-in that began at that moment, with that credential, is told if it
// counts no more.
func (g *agent) refuses(moment, credential int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.changed > moment:
		return staleSignIn
	case g.revoked[credential]:
		return revokedSignIn
	}
	return nil
}

// revoke lets nobody in any more with a credential, and ends its sessions, and those of
// which it isn't known what they were signed in with.
func (g *agent) revoke(credential int64) {
	g.mu.Lock()
	if g.revoked == nil {
		g.revoked = make(map[int64]bool)
	}
	g.revoked[credential] = true
	g.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range g.list() {
		if with := s.credential.Load(); with == credential || with == 0 {
			wg.Go(func() { s.end(revokedSignIn) })
		}
	}
	wg.Wait()
}

// outdates says whether the credentials were changed after that moment.
func (g *agent) outdates(moment int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed > moment
}

// register is what XEP-0077 leaves to agents: to change their own passwords. They come
// and go by their operator's hand only.
func (s *Session) register(st *wire.Stanza, c *wire.Child, set bool) {
	switch {
	case !s.server.config.PasswordChange:
		s.answerError(st, wire.StanzaError{Condition: wire.NotAllowed, Text: "passwords are not changed here; ask whoever runs the server"})
	case !set:
		s.answer(st, im.AppendRegistered(nil, s.agent.name))
	default:
		password, err := s.newPassword(st, c)
		var older []*Session
		if err == nil {
			older, err = s.changePassword(password)
		}
		if err != nil {
			s.refusePassword(st, err)
			return
		}
		s.log().Info("password changed")
		s.answer(st, nil)
		end(older, passwordChanged, s)
	}
}

// newPassword is the one that a request asks for (XEP-0077 §3.3).
func (s *Session) newPassword(st *wire.Stanza, c *wire.Child) (string, error) {
	var query struct {
		Remove    *struct{} `xml:"jabber:iq:register remove"`
		Usernames []string  `xml:"jabber:iq:register username"`
		Passwords []string  `xml:"jabber:iq:register password"`
	}
	switch err := st.Decode(c, &query); {
	case err == nil && query.Remove != nil:
		return "", wire.StanzaError{Condition: wire.NotAllowed, Text: "whoever runs the server removes agents"}
	case err != nil, len(query.Passwords) != 1, query.Passwords[0] == "", len(query.Usernames) > 1:
		return "", wire.StanzaError{Condition: wire.BadRequest, Text: "a password is changed with your name and one new password"}
	}
	for _, username := range query.Usernames {
		// Whether somebody else has that name is not said.
		if name, err := auth.PrepareName(username); err != nil || name != s.agent.name {
			return "", wire.StanzaError{Condition: wire.NotAllowed, Text: "this is not your name; nobody is registered here, and you change your own password only"}
		}
	}
	return query.Passwords[0], nil
}

var (
	errBySecret = wire.StanzaError{Condition: wire.NotAuthorized, Text: "sign in with the password itself to change it"}
	errReplaced = wire.StanzaError{Condition: wire.NotAuthorized, Text: passwordChanged.Text}
)

// changePassword replaces the password that this session signed in with. When it
// returns without an error the new one is durable, nobody signs in with the old one,
// and sign-ins that have begun with it come to nothing. The sessions that there were then
// are the caller's to end.
func (s *Session) changePassword(password string) (older []*Session, err error) {
	if s.password == 0 {
		return nil, errBySecret // a stolen device must not shut its owner out
	}
	g := s.agent
	g.account.passwords.Lock()
	defer g.account.passwords.Unlock()
	if g.removed.Load() || g.outdates(s.since) {
		return nil, errReplaced // this session is being ended
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	if err := g.account.auth.ChangePassword(ctx, g.id, g.name, s.password, password); err != nil {
		return nil, err
	}
	s.since, older = g.credentialsChanged()
	return older, nil
}

func (s *Session) refusePassword(st *wire.Stanza, err error) {
	var refused wire.StanzaError
	switch {
	case errors.As(err, &refused):
	case errors.Is(err, auth.ErrWeak), errors.Is(err, auth.ErrPassword):
		refused = wire.StanzaError{Condition: wire.NotAcceptable, Text: err.Error()}
	case errors.Is(err, store.ErrNotFound):
		refused = errReplaced
	default:
		refused = s.storeError(err)
	}
	s.answerError(st, refused)
}
