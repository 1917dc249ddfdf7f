package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	_ "time/tzdata" // for machines that have none: business hours have a time zone

	"parley.im/parley/conf"
	"parley.im/parley/store/people"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/notify"
	"parley.im/parley/xmppd/visit"
	"parley.im/parley/xmppd/visit/widget"
)

// newVisit lets visitors in, of accounts that are added later.
func newVisit(inst *installation, f *conf.File, mail visit.Mail, log *slog.Logger) *visit.Server {
	l := f.Visitors
	return visit.New(visit.Config{
		ClientAddr: inst.clientAddr, Elsewhere: leavePlacesOf,
		Limits: visit.Limits{
			Connections: l.Connections, ConnectionsPerAddress: l.ConnectionsPerAddress, OpensPerMinute: l.OpensPerMinute,
			ContactsPerAddress: l.ContactsPerAddress, ContactsPerAccount: l.ContactsPerAccount,
		},
		People: visitorsOf{inst}, Mail: mail, Now: inst.now, Log: log,
	})
}

// transcripts go to visitors through the mail server that operators have their mail from; nil without one.
func transcripts(c notify.Config) visit.Mail {
	if c.Server == "" {
		return nil
	}
	return func(ctx context.Context, to, subject, text string) error {
		err := notify.Deliver(ctx, &c, to, notify.Mail{Subject: subject, Text: text})
		if errors.Is(err, notify.ErrRefused) {
			return fmt.Errorf("%w: %w", visit.ErrAddress, err)
		}
		return err
	}
}

// visitorsOf are who the visitors of an installation's accounts are.
type visitorsOf struct{ *installation }

// Know is the internal id of somebody for whom a shop vouches.
func (v visitorsOf) Know(ctx context.Context, account string, who visit.Identity) (string, error) {
	a, err := v.account(ctx, account)
	if err != nil {
		return "", err
	}
	return a.people.Know(ctx, people.Said{Subject: who.Subject, Name: who.Name, Email: who.Email, Phone: who.Phone})
}

// Erased says whether the visitor of an internal id was erased.
func (v visitorsOf) Erased(ctx context.Context, account, id string) (bool, error) {
	a, err := v.account(ctx, account)
	if err != nil {
		return false, err
	}
	at, err := a.people.Erased(id)
	return !at.IsZero(), err
}

// support is how an account wants visitors dealt with; nil if it has none.
func (a *account) support() *desk.Settings {
	if !a.conf.Visitors {
		return nil
	}
	s := a.inForce.Load().desk.Settings()
	return &s
}

// letIn takes an account's visitors in. The daemon has it already.
func (s *server) letIn(ctx context.Context, a *account) error {
	if !a.conf.Visitors {
		return nil
	}
	a.settling.Lock() // what changes meanwhile comes after that
	defer a.settling.Unlock()
	is := a.inForce.Load()
	if err := s.visit.Add(ctx, visit.Account{
		ID: a.id, Domain: a.domain, Store: a.store, Contacts: s.xmpp.Contacts(a.id), Look: lookOf(&is.widget, is.desk.Agents), Bans: a.bans,
		Files: s.files.Account(a.id),
	}); err != nil {
		return err
	}
	s.OptionsChanged(a)
	return nil
}

// lookOf is what an account's visitors see.
func lookOf(w *conf.Widget, agents []conf.Skilled) visit.Look {
	l := visit.Look{Languages: w.Languages, Colours: make(map[string]string), Names: make(map[string]string), NoCards: !w.Cards, Transcript: w.Transcript, Work: w.Work}
	for _, g := range agents {
		l.Names[g.Name] = g.Shown
	}
	if w.Colour != "" {
		l.Colours["accent"] = w.Colour
	}
	for _, f := range w.Fields {
		labels, _ := f.Labels() // they were checked
		l.Form = append(l.Form, visit.Field{Name: f.Name, Label: labels, Type: f.Type, Required: f.Required})
	}
	return l
}

// sites are the origins of the pages that may show an account's widget; ok is that it has one.
func (s *server) sites(id string) (origins []string, ok bool) {
	s.inst.mu.Lock()
	defer s.inst.mu.Unlock()
	a := s.inst.accounts[id]
	if a == nil || a.disabled || !a.conf.Visitors {
		return nil, false
	}
	is := a.inForce.Load()
	if is == nil {
		return nil, false // it is not open yet
	}
	return is.widget.Sites, true
}

// pictures is where an account's files are.
func (s *server) pictures(id string) string {
	if f := s.files.Account(id); f != nil {
		return f.Origin()
	}
	return ""
}

// forVisitors answers what visitors ask for.
func (s *server) forVisitors(mux *http.ServeMux) {
	mux.Handle(visit.Prefix, s.visit)
	widget.Register(mux, s.sites, s.pictures)
}
