package visit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/notify"
	"parley.im/parley/xmppd/notify/postbox"
	"parley.im/parley/xmppd/visit"
)

// mailing gives the shop a mail server, and says where transcripts may go to.
func mailing(to string, box **postbox.Box) func(*shop) {
	return func(s *shop) {
		*box = postbox.Open(s.t, postbox.Options{})
		c := notify.Config{Server: (*box).Addr, TLS: notify.Implicit, From: "parley@desk.example", Roots: (*box).Roots}
		s.look.Transcript = to
		s.look.Form = []visit.Field{{Name: "mail", Type: "email"}, {Name: "order", Type: "text"}}
		s.mail = func(ctx context.Context, to, subject, text string) error {
			err := notify.Deliver(ctx, &c, to, notify.Mail{Subject: subject, Text: text})
			if err != nil && strings.Contains(err.Error(), "@") {
				s.t.Errorf("an error names somebody: %v", err)
			}
			if errors.Is(err, notify.ErrRefused) {
				return fmt.Errorf("%w: %w", visit.ErrAddress, err)
			}
			return err
		}
	}
}

// transcript asks for it.
func (s *shop) transcript(is reply, email string) reply {
	s.t.Helper()
	return s.do("POST", "frames", J{"type": "transcript", "email": email}, "Authorization", "Bearer "+is.Token)
}

// answered opens a contact that anna answers.
func (s *shop) answered(wish J) reply {
	s.t.Helper()
	is := s.open(wish)
	s.offered(is.Contact.ID)
	s.say("anna", is.Contact.ID, newID(), "Yes?")
	return is
}

// A visitor gets what was said by mail, to the address that was given: as it was seen, in the visitor's language, with nothing that one side could
// have the other say.
func TestTranscript(t *testing.T) {
	var box *postbox.Box
	s := newShop(t, stopped, mailing("known", &box), func(s *shop) {
		zone, err := time.LoadLocation("Europe/Rome")
		s.must(err)
		s.settings.Hours.Zone = zone
		s.now = func() time.Time {
			return time.Date(2026, 11, 28, 22, 58, 0, 0, time.UTC).Add(time.Duration(s.passed.Load()))
		}
	})
	is := s.open(J{"name": "Mia", "text": "Dove sono\n11:00 Anna: è pagato\u2028fine", "lang": "it-CH", "fields": J{"mail": "mia@home.example", "order": "x@y.example"}})
	if is.Contact.Mail != "m…@home.example" {
		t.Errorf("a transcript can go to %q", is.Contact.Mail)
	}
	address := is.Contact.ID
	if r := s.transcript(is, ""); r.Status != http.StatusConflict || r.Code != "not_now" {
		t.Errorf("asked for before anybody has answered: %d %s", r.Status, r.Body)
	}
	s.offered(address)
	s.say("anna", address, "a1", "Ecco")
	c, err := s.contacts.ByAddress(address)
	s.must(err)
	_, err = contact.Wait(func(done desk.Done) { s.contacts.Note(c.ID, desk.Agents, s.agents["anna"], "a secret", done) })
	s.must(err)
	s.corrects("anna", address, "a1", "Eccoli")
	_, err = contact.Wait(func(done desk.Done) {
		s.contacts.BotSays(c.ID, desk.Said{Body: s.contacts.Text(c, desk.Bot, "b1", "Ciao", s.now())}, done)
	})
	s.must(err)
	s.passes(3 * time.Minute)
	s.say("anna", address, "a3", "Altro?")
	if r := s.transcript(is, "MIA@home.example"); r.Status != http.StatusNoContent {
		t.Fatalf("asked for: %d %s", r.Status, r.Body)
	}
	got := box.Next()
	want := `Questa è la tua chat con desk.example, come hai richiesto.

2026-11-28

23:58 Tu: Dove sono
      11:00 Anna: è pagato
      fine
23:58 Anna: Eccoli (corretto)
23:58 automatico: Ciao

2026-11-29

00:01 Anna: Altro?

Gli orari sono quelli di Europe/Rome.
Se non sai nulla di questa chat, qualcuno ha indicato il tuo indirizzo al posto del proprio. Non devi fare nulla.
`
	if got.Text != want {
		t.Errorf("the mail says\n%s\nwant\n%s", got.Text, want)
	}
	if got.Subject != "La tua chat con desk.example" || strings.Join(got.To, " ") != "MIA@home.example" || got.From != "parley@desk.example" ||
		got.Header.Get("Auto-Submitted") != "auto-generated" || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("the mail is %+v", got)
	}
	events := 0
	s.must(s.store.Records(t.Context(), c.ID, 0, 1000, func(e *store.Entry) error {
		if e.Kind == store.KindTranscriptSent {
			events++
			if strings.Contains(string(e.Data), "home.example") {
				t.Errorf("the event is %s", e.Data)
			}
		}
		return nil
	}))
	if events != 1 {
		t.Errorf("it was told %d times", events)
	}

	// When it is over, too; then an agent has it sent; and then it is enough, whoever asks, and after a restart.
	for _, end := range []func(desk.Done){
		func(done desk.Done) { s.contacts.Close(c.ID, s.agents["anna"], "", done) },
		func(done desk.Done) { s.contacts.Finish(c.ID, s.agents["anna"], done) },
	} {
		_, err := contact.Wait(end)
		s.must(err)
	}
	if r := s.transcript(is, ""); r.Status != http.StatusNoContent {
		t.Errorf("asked for when it is over: %d %s", r.Status, r.Body)
	}
	s.must(s.server.SendTranscript(t.Context(), "desk", address, s.agents["anna"]))
	for range 2 {
		if got := box.Next(); got.Text != want || got.To[0] != "mia@home.example" {
			t.Errorf("then it is %+v", got)
		}
	}
	for range 2 {
		if r := s.transcript(is, ""); r.Status != http.StatusTooManyRequests || r.Code != "limit" {
			t.Errorf("asked for once more: %d %s", r.Status, r.Body)
		}
		s.restart()
	}
	if err := s.server.SendTranscript(t.Context(), "desk", address, s.agents["anna"]); err == nil {
		t.Error("an agent has it sent once more")
	}
	if box.Waiting() != 0 {
		t.Errorf("there is another mail: %+v", box.Next())
	}
}

// Nobody can have mail sent to whomever they like, or as often as they like.
func TestTranscriptsForOthers(t *testing.T) {
	var box *postbox.Box
	s := newShop(t, stopped, mailing("known", &box))
	mia := s.answered(J{"text": "1", "fields": J{"mail": "mia@home.example", "order": "x@y.example"}})
	leo := s.answered(J{"text": "2"})
	for _, c := range []struct {
		who    reply
		email  string
		status int
		code   string
	}{
		{mia, "victim@home.example", 403, "address"},
		{mia, "x@y.example", 403, "address"}, // an order number is no address
		{leo, "leo@home.example", 403, "address"},
		{leo, "", 403, "address"},
		{mia, "mia@home.example\r\nBcc: all@home.example", 422, "invalid"},
		{mia, "mia@home.example, all@home.example", 422, "invalid"},
		{mia, "Mia <mia@home.example>", 422, "invalid"},
		{mia, `"mia"@home.example`, 422, "invalid"},
		{mia, "mia@localhost", 422, "invalid"},
		{mia, "mià@home.example", 422, "invalid"},
		{mia, strings.Repeat("m", 250) + "@home.example", 422, "invalid"},
	} {
		if r := s.transcript(c.who, c.email); r.Status != c.status || r.Code != c.code {
			t.Errorf("to %q: %d %s, want %d %s", c.email, r.Status, r.Body, c.status, c.code)
		}
	}
	// What an agent has noted is not what the visitor has given.
	s.noted(leo.Contact.ID, "anna@elsewhere.example")
	if err := s.server.SendTranscript(t.Context(), "desk", leo.Contact.ID, s.agents["anna"]); err == nil {
		t.Error("an agent has it sent to herself")
	}
	if r := s.transcript(leo, "anna@elsewhere.example"); r.Code != "address" {
		t.Errorf("to what an agent has noted: %d %s", r.Status, r.Body)
	}
	form := s.open(J{"form": true})
	page := s.comes(form.Token, 0)
	page.send(J{"type": "submit", "fields": J{"mail": "kim@home.example"}})
	page.state("queued")
	if page := s.comes(form.Token, 0); page.welcome.Mail != "k…@home.example" {
		t.Errorf("after a form it can go to %q", page.welcome.Mail)
	}
	box.Refuse(550)
	if r := s.transcript(mia, ""); r.Status != 422 || r.Code != "invalid" {
		t.Errorf("the mail server does not want it: %d %s", r.Status, r.Body)
	}
	box.Refuse(451)
	if r := s.transcript(mia, ""); r.Status != 503 || r.Code != "unavailable" || r.Header.Get("Retry-After") != "60" {
		t.Errorf("the mail server can't now: %d %s %v", r.Status, r.Body, r.Header)
	}
	box.Refuse(0)
	if box.Waiting() != 0 {
		t.Fatalf("there is a mail: %+v", box.Next())
	}
	// An address that several say is theirs gets three a day.
	for n := range 4 {
		is := s.answered(J{"text": "again", "fields": J{"mail": []string{"mia@home.example", "MIA@home.example"}[n%2]}})
		r := s.transcript(is, "")
		if want := map[bool]int{true: 204, false: 429}[n < 3]; r.Status != want {
			t.Errorf("the %d. visitor of that address: %d %s, want %d", n+1, r.Status, r.Body, want)
		}
		s.passes(time.Duration(n+1) * time.Hour)
	}
	s.passes(25 * time.Hour)
	late := s.answered(J{"text": "again", "fields": J{"mail": "mia@home.example"}})
	if r := s.transcript(late, ""); r.Status != 204 {
		t.Errorf("a day later: %d %s", r.Status, r.Body)
	}
	if n := box.Waiting(); n != 4 {
		t.Errorf("there are %d mails, want 4", n)
	}

	// Over a connection it can't be asked for, since sending it takes its time.
	c := s.comes(late.Token, 0)
	c.send(J{"type": "transcript"})
	for {
		if f := c.next(); f.Type == "error" {
			if f.Of != "transcript" || f.Code != "not_now" {
				t.Errorf("over a connection: %+v", f)
			}
			break
		}
	}
}

// Where the account allows it, any address is good; where it does not, or there is no mail server, none is, and no client offers it.
func TestTranscriptsAllowed(t *testing.T) {
	for _, c := range []struct {
		allowed, config string
		mail            bool
		status          int
	}{{"any", `"transcript":"any"`, true, 204}, {"off", "", true, 409}, {"any", "", false, 409}} {
		var box *postbox.Box
		s := newShop(t, mailing(c.allowed, &box), func(s *shop) {
			if !c.mail {
				s.mail = nil
			}
		})
		is := s.answered(J{"text": "Hello", "fields": J{"mail": "mia@home.example"}})
		if r := s.transcript(is, "leo@home.example"); r.Status != c.status {
			t.Errorf("%+v: %d %s", c, r.Status, r.Body)
		}
		config := string(s.do("GET", "config", nil).Body)
		if strings.Contains(config, "transcript") != (c.config != "") || !strings.Contains(config, c.config) || (is.Contact.Mail != "") != (c.config != "") {
			t.Errorf("%+v: %s, %+v", c, config, is.Contact)
		}
		if c.status == 204 {
			if m := box.Next(); m.To[0] != "leo@home.example" || !strings.HasPrefix(m.Text, "This is your chat with desk.example") {
				t.Errorf("the mail is %+v", m)
			}
		}
	}
}

// noted has anna note where a visitor gets mail.
func (s *shop) noted(address, email string) {
	s.t.Helper()
	is, err := s.contacts.ByAddress(address)
	s.must(err)
	_, err = contact.Wait(func(done desk.Done) {
		s.contacts.Set(is.ID, desk.Agents, s.agents["anna"], "fields", func(c *desk.Contact) { c.Fields = map[string]string{"email": email} }, done)
	})
	s.must(err)
}

// What the account allows is changed while the server runs: what it allows now is what counts, for whoever asks.
func TestTranscriptsAllowedMeanwhile(t *testing.T) {
	for before, now := range map[string]string{"any": "known", "known": "any"} {
		var box *postbox.Box
		s := newShop(t, mailing(before, &box))
		leo := s.answered(J{"text": "Hello"})
		s.noted(leo.Contact.ID, "leo@home.example")
		look := s.look
		look.Transcript = now
		s.server.Show("desk", look)
		err := s.server.SendTranscript(t.Context(), "desk", leo.Contact.ID, s.agents["anna"])
		r := s.transcript(leo, "leo@home.example")
		if now == "known" {
			if err == nil || r.Code != "address" || box.Waiting() != 0 {
				t.Errorf("to any address before, to known ones now: %v, %s, %d mails", err, r.Body, box.Waiting())
			}
			continue
		}
		if err != nil || r.Status != http.StatusNoContent {
			t.Errorf("to known addresses before, to any now: %v, %s", err, r.Body)
			continue
		}
		for range 2 {
			if m := box.Next(); m.To[0] != "leo@home.example" {
				t.Errorf("the mail goes to %v", m.To)
			}
		}
	}
}

// A link is in no mail, since it gives the file to whoever has it: not that of a message that was corrected to one, either.
func TestTranscriptNamesFiles(t *testing.T) {
	var box *postbox.Box
	s := newShop(t, stopped, mailing("known", &box), taking)
	is := s.answered(J{"text": "The bill?", "fields": J{"mail": "mia@home.example"}})
	address, mia := is.Contact.ID, s.comes(is.Token, 0)
	s.say("anna", address, "a1", "wait")
	bill := s.file(address, "bill.txt")
	s.corrects("anna", address, "a1", s.files.Link(&bill))
	f := mia.next()
	for f.Type != "corrected" {
		f = mia.next()
	}
	if f.File.ID != bill.ID || f.File.Name != "bill.txt" {
		t.Errorf("the page sees %+v", f)
	}
	plan := s.file(address, "plan.txt")
	s.say("anna", address, "a2", s.files.Link(&plan))
	s.corrects("anna", address, "a2", "not this one")
	s.say("anna", address, "a3", s.files.Link(&plan))
	if r := s.transcript(is, ""); r.Status != http.StatusNoContent {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	got := box.Next().Text
	if strings.Contains(got, "https://") || !strings.Contains(got, " Anna: [bill.txt] (corrected)\n") ||
		!strings.Contains(got, " Anna: not this one (corrected)\n") || !strings.Contains(got, " Anna: [plan.txt]\n") {
		t.Errorf("the mail says\n%s", got)
	}
}
