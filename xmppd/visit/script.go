package visit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/language"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// scriptMax is how long a transcript is at most, in bytes; of a longer one the end is sent.
const scriptMax = 256 << 10

// words are what a transcript says itself, in one language.
type words struct {
	subject, intro, you, bot, corrected, earlier, times, why string
}

var scripts = map[string]words{
	"en": {"Your chat with %s", "This is your chat with %s, as you have asked for it.", "You", "automatic", "corrected", "(What came before is left out.)", "Times are those of %s.",
		"If you know nothing of this chat, somebody has given your address instead of their own. You need not do anything."},
	"it": {"La tua chat con %s", "Questa è la tua chat con %s, come hai richiesto.", "Tu", "automatico", "corretto", "(Quello che precede è omesso.)", "Gli orari sono quelli di %s.",
		"Se non sai nulla di questa chat, qualcuno ha indicato il tuo indirizzo al posto del proprio. Non devi fare nulla."},
	"de": {"Ihr Chat mit %s", "Das ist Ihr Chat mit %s, wie Sie ihn angefordert haben.", "Sie", "automatisch", "berichtigt", "(Was davor kam, ist weggelassen.)", "Die Zeiten sind die von %s.",
		"Wenn Sie von diesem Chat nichts wissen, hat jemand Ihre Adresse statt der eigenen angegeben. Sie brauchen nichts zu tun."},
}

// script is the words for a visitor: in their language, or in the account's first.
func (a *account) script(lang string) words {
	for _, l := range append([]string{lang}, a.looks().Languages...) {
		base, _ := language.Make(l).Base()
		if w, ok := scripts[base.String()]; ok && l != "" {
			return w
		}
	}
	return scripts["en"]
}

// A letter is a mail.
type letter struct{ subject, body string }

// transcript is what a visitor has seen of a contact, and how often it was sent already.
func (a *account) transcript(ctx context.Context, c *desk.Contact) (l letter, sent int, err error) {
	t := &talk{account: a, id: c.ID, contact: c}
	var said []*news
	size, cut := 0, false
	for after, full := int64(0), true; full; {
		n := 0
		err := a.Store.Records(ctx, c.ID, after, pageSize, func(e *store.Entry) error {
			n, after = n+1, e.N
			switch it := newsOf(e); {
			case e.Locked:
				return store.ErrUnavailable // there would be holes in it
			case e.Kind == store.KindTranscriptSent:
				sent++
			case it != nil && it.Type == "corrected":
				correct(said, it)
			case it != nil && it.Type == "message":
				said = append(said, it)
				for size += len(it.Text); size > scriptMax; cut = true {
					size -= len(said[0].Text)
					said = said[1:]
				}
			}
			return nil
		})
		if err != nil {
			return l, 0, err
		}
		full = n == pageSize
	}
	t.dress(ctx, said)
	w, zone := a.script(c.Lang), a.Contacts.Settings().Hours.Zone
	if zone == nil {
		zone = time.UTC
	}
	var b strings.Builder
	fmt.Fprintf(&b, w.intro+"\n\n", a.Domain)
	if cut {
		b.WriteString(w.earlier + "\n\n")
	}
	day := ""
	for _, it := range said {
		at := it.At.In(zone)
		if d := at.Format(time.DateOnly); d != day {
			if day != "" {
				b.WriteString("\n")
			}
			day = d
			b.WriteString(d + "\n\n")
		}
		who := map[string]string{string(desk.Visitor): w.you, string(desk.Bot): w.bot, string(desk.Agents): oneLine(it.From.Name)}[it.From.Kind]
		if who != "" {
			who += ": "
		}
		edited := ""
		if it.Type == "corrected" {
			edited = " (" + w.corrected + ")"
		}
		text := it.Text
		if it.File != nil { // a mail is kept for longer than its link is good, and whoever has that has the file
			text = "[" + oneLine(it.File.Name) + "]"
		}
		b.WriteString(at.Format("15:04 ") + who + hanging(text) + edited + "\n")
	}
	fmt.Fprintf(&b, "\n"+w.times+"\n"+w.why+"\n", zone)
	return letter{fmt.Sprintf(w.subject, a.Domain), b.String()}, sent, nil
}

// correct puts a correction in place of what it corrects (XEP-0308 §3).
func correct(said []*news, by *news) {
	for _, it := range said {
		if it.ID == by.ID && it.From.Kind == by.From.Kind && it.agent == by.agent {
			it.Text, it.Type = by.Text, "corrected"
		}
	}
}

// hanging is a text of which no line but the first begins where others' lines do.
func hanging(text string) string {
	var b strings.Builder
	for _, r := range strings.TrimRight(text, "\n") {
		switch r {
		case '\n', '\v', '\f', '\r', '\u0085', '\u2028', '\u2029':
			b.WriteString("\n      ")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
