package visit

import (
	"context"
	"crypto/sha256"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// A transcript goes out while whoever has asked for it waits: so it is on no disk, and nothing was promised when the server
// ends. Since anybody can have anything written to anybody so, it is only sent of a conversation that an agent has
// had, a few times, and to where the account allows it.

const (
	// postsAtOnce is how many mails are on their way at a time, postTime how long one may take.
	postsAtOnce = 4
	postTime    = 15 * time.Second
	// postsPerContact is how often one conversation is sent; in a day one address gets postsPerAddress, and in an hour all of the
	// account's visitors get postsPerHour.
	postsPerContact = 3
	postsPerAddress = 3
	postsPerHour    = 100
)

// Mail hands a mail to the mail server, and returns when that has taken it; ErrAddress says that it never will. Its errors
// name nobody.
type Mail func(ctx context.Context, to, subject, text string) error

// ErrAddress says that the mail server takes nothing for an address.
var ErrAddress = errors.New("the mail server takes nothing for that address")

var (
	errNoMail    = refusal{codeNotNow, "transcripts are not sent here"}
	errNotYet    = refusal{codeNotNow, "nobody has answered yet"}
	errNoEmail   = refusal{codeAddress, "no e-mail address is known that it could be sent to"}
	errNotOwn    = refusal{codeAddress, "it is sent to the address that was given before, and to no other"}
	errRefused   = refusal{codeInvalid, "the mail server does not take mail for that address"}
	errOftenSent = later{refusal{codeLimit, "it was sent often enough"}, 24 * time.Hour}
	errPosts     = later{refusal{codeLimit, "too many are sent at the moment; try again in a few minutes"}, 5 * time.Minute}
	errPost      = later{refusal{codeUnavailable, "it can't be sent now; try again in a moment"}, time.Minute}
)

// email is an address as it can stand in a header as it is (RFC 5321 §4.1.2 without quoted strings, RFC 5321 §4.5.3.1.3).
var email = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\\.)+[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$")

func isEmail(s string) bool { return len(s) <= 254 && email.MatchString(s) }

// masked is an address that whoever knows it knows again.
func masked(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	return address[:1] + "…@" + domain
}

// mails says whether visitors can have transcripts.
func (a *account) mails() bool {
	return a.server.cfg.Mail != nil && (a.looks().Transcript == "known" || a.looks().Transcript == "any")
}

// emails are the addresses in a contact's fields.
func (a *account) emails(c *desk.Contact) (list []string) {
	add := func(field string) {
		if s := strings.TrimSpace(c.Fields[field]); isEmail(s) && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	add("email") // what whoever vouches for the visitor says is there
	for _, f := range a.looks().Form {
		if f.Type == "email" {
			add(f.Name)
		}
	}
	return list
}

// An applicant is who asks for a transcript.
type applicant struct {
	by    desk.Party
	agent store.AgentID
	email string // "" is the one that is known
}

// posted counts what was sent.
type posted struct {
	mu   sync.Mutex // guards what follows
	now  map[store.ConversationID]bool
	last []post // within a day, the oldest first
}

// A post is a mail that was tried. Whom it went to can only be compared.
type post struct {
	to [sha256.Size]byte
	at time.Time
}

// begin takes a place for a mail. Whoever gets one calls end.
func (p *posted) begin(id store.ConversationID, to [sha256.Size]byte, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.last) > 0 && now.Sub(p.last[0].at) >= 24*time.Hour {
		p.last = p.last[1:]
	}
	hour, same := 0, 0
	for _, one := range p.last {
		if now.Sub(one.at) < time.Hour {
			hour++
		}
		if one.to == to {
			same++
		}
	}
	switch {
	case same >= postsPerAddress:
		return errOftenSent
	case hour >= postsPerHour, p.now[id]:
		return errPosts
	}
	if p.now == nil {
		p.now = make(map[store.ConversationID]bool)
	}
	p.now[id] = true
	p.last = append(p.last, post{to, now})
	return nil
}

// end says whether it was sent, or may have been.
func (p *posted) end(id store.ConversationID, to [sha256.Size]byte, sent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.now, id)
	if i := slices.IndexFunc(p.last, func(one post) bool { return one.to == to }); !sent && i >= 0 {
		p.last = slices.Delete(p.last, i, i+1)
	}
}

// SendTranscript sends a contact's transcript to the address that is known of its visitor, as an agent of the account asks for it. Its
// error is for her.
func (s *Server) SendTranscript(ctx context.Context, account, address string, agent store.AgentID) error {
	a := s.account(account)
	if a == nil {
		return errNoMail
	}
	c, err := a.Contacts.Show(ctx, address)
	if err != nil {
		return a.refused(err)
	}
	if err := a.sendTranscript(ctx, c, &applicant{by: desk.Agents, agent: agent}); err != nil {
		return a.refused(err)
	}
	return nil
}

// sendTranscript returns when the mail server has taken it.
func (a *account) sendTranscript(ctx context.Context, c *desk.Contact, who *applicant) error {
	known, to := c.Emails, who.email
	if who.by == desk.Agents && a.looks().Transcript == "any" {
		known = append(slices.Clip(known), a.emails(c)...) // which agents may have set
	}
	switch {
	case !a.mails():
		return errNoMail
	case c.Accepted.IsZero():
		return errNotYet
	case to == "" && len(known) == 0:
		return errNoEmail
	case to == "":
		to = known[0]
	case a.looks().Transcript != "any" && !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, to) }):
		return errNotOwn
	}
	if !take(a.server.posts) {
		return errPosts
	}
	defer give(a.server.posts)
	key, sent := [sha256.Size]byte(a.mac(toMail, []byte(strings.ToLower(to)))), false
	if err := a.posted.begin(c.ID, key, a.server.cfg.Now()); err != nil {
		return err
	}
	defer func() { a.posted.end(c.ID, key, sent) }()

	// Whoever has asked may be gone before it is known whether the mail was taken.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), postTime)
	defer cancel()
	defer context.AfterFunc(a.going, cancel)()
	text, before, err := a.transcript(ctx, c)
	switch {
	case err != nil:
		return err
	case before >= postsPerContact:
		return errOftenSent
	}
	err = a.server.cfg.Mail(ctx, to, text.subject, text.body)
	sent = err == nil || ctx.Err() != nil // the answer may have been lost
	switch {
	case errors.Is(err, ErrAddress):
		a.log.Info("a transcript is not taken", "conversation", c.ID, "err", err)
		return errRefused
	case err != nil:
		a.log.Warn("a transcript can't be sent", "conversation", c.ID, "err", err)
		return errPost
	}
	if err := a.Contacts.Tell(ctx, c.Address, desk.Event{Kind: store.KindTranscriptSent, By: who.by, Actor: who.agent}); err != nil {
		a.log.Error("it is not kept that a transcript was sent", "conversation", c.ID, "err", err)
	}
	return nil
}
