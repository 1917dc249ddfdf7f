package main

import (
	"context"
	"net"
	"testing"

	"parley.im/parley/xmppd/xmpptest"
)

// annasDesk is a server with two agents, and one of another account, in a synctest
// bubble.
func annasDesk(t *testing.T) *talkServer {
	return newTalkServer(t, &xmpptest.Talk{Cast: []xmpptest.Person{
		{Name: "anna", Role: "agent", Domain: "desk.example", Password: "correct horse"},
		{Name: "bob", Role: "agent", Domain: "desk.example", Password: "tea at four"},
		{Name: "carol", Role: "agent", Domain: "shop.example", Password: "a quiet office"},
	}})
}

// annasLogin is the first of them.
func annasLogin(s *talkServer) login {
	return login{
		dial:   func(ctx context.Context) (net.Conn, error) { return s.net.dial(ctx, talkTLS) },
		roots:  s.Roots(),
		domain: "desk.example", name: "anna", password: "correct horse",
	}
}
