package xmppd

import (
	"context"
	"strings"

	"parley.im/parley/auth"
	"parley.im/parley/auth/scram"
	"parley.im/parley/store"
	"parley.im/parley/xmppd/im"
	"parley.im/parley/xmppd/wire"
)

const nsFAST = "urn:xmpp:fast:0"

// appendFAST announces what tokens are for (XEP-0484 §3.1).
func appendFAST(b *strings.Builder, mechanisms []string) {
	b.WriteString("<fast xmlns='" + nsFAST + "'>")
	for _, m := range mechanisms {
		b.WriteString("<mechanism>" + m + "</mechanism>")
	}
	b.WriteString("</fast>")
}

// tokens is what a sign-in has to do with tokens.
type tokens struct {
	signIn     bool             // it is made with one
	invalidate bool             // which is to be good no more
	issue      string           // a new one is to be issued, for that mechanism; "" is none
	credential store.Credential // for which it is
}

func parseFAST(st *wire.Stanza) (t tokens) {
	if c := st.Child(nsFAST, "fast"); c != nil {
		t.signIn, t.invalidate = true, isTrue(st.ChildAttr(c, "invalidate"))
	}
	if c := st.Child(nsFAST, "request-token"); c != nil { // XEP-0484 §3.2
		t.issue = string(st.ChildAttr(c, "mechanism"))
	}
	return t
}

// isTrue reads an xs:boolean.
func isTrue(b []byte) bool { return string(b) == "1" || string(b) == "true" }

// redeem signs a client in with a token (XEP-0484 §3.4).
func (n *negotiation) redeem(w *wanted, msg []byte, ch scram.Channel) error {
	n.began = n.server.moments.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), n.limits.Login)
	defer cancel()
	r, err := n.account.auth.Redeem(ctx, auth.Redemption{
		Mechanism: w.mechanism, Channel: ch, Client: w.client, From: n.from, Message: msg,
		Invalidate: w.tokens.invalidate, Addr: remoteIP(n.raw.RemoteAddr()),
	})
	if err != nil {
		return saslFailureOf(err)
	}
	w.additional, w.tokens.credential = r.Reply, r.Credential
	if r.Due && w.tokens.issue == "" {
		w.tokens.issue = w.mechanism // XEP-0484 §3.5
	}
	err = n.signedIn(r.Agent, r.Credential, w.mechanism)
	n.password = 0 // a token that was stolen must not shut its owner out: see errBySecret
	return err
}

// issue answers with a token, if there is to be one. That there is none is no reason not to
// let her in.
func (n *negotiation) issue(w *wanted) []byte {
	if w.tokens.issue == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	t, err := n.account.auth.IssueToken(ctx, w.client, w.tokens.issue, w.tokens.credential)
	if err != nil {
		n.log.Info("no token is issued", "mechanism", w.tokens.issue, "err", err)
		return nil
	}
	b := append([]byte("<token xmlns='"+nsFAST+"' expiry='"), im.AppendStamp(nil, t.Expiry)...)
	return append(wire.AppendAttr(append(b, '\''), "token", []byte(t.Secret)), "/>"...)
}
