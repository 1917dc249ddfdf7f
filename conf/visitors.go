package conf

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"parley.im/parley/xmppd/desk"
)

// Visitors is the table [visitors]. What people behind one address share is one (of IPv6 the first 64 bits).
type Visitors struct {
	// Connections of visitors at a time, in all ...
	Connections int `toml:"connections" default:"10000" min:"1"`
	// ... and from one address.
	ConnectionsPerAddress int `toml:"connections_per_address" default:"64" min:"0"`
	// Contacts that can be opened from one address in a minute ...
	OpensPerMinute int `toml:"opens_per_minute" default:"20" min:"0"`
	// ... and that go on at a time, ...
	ContactsPerAddress int `toml:"contacts_per_address" default:"40" min:"0"`
	// ... and those of one account.
	ContactsPerAccount int `toml:"contacts_per_account" default:"5000" min:"0"`
}

// A Desk is the table desk of an account: how it wants its contacts dealt with.
type Desk struct {
	// Who is asked to take a contact: "broadcast", all at once; "skill-based", who knows most of what it is about;
	// "round-robin", one after the other; "least-loaded", who has least to do; "dynamic", by all three, as weighed below.
	Algorithm string `toml:"algorithm" default:"'broadcast'" one:"broadcast skill-based round-robin least-loaded dynamic"`
	// In how many steps agents are asked, those first whom it suits best: 1 to 10.
	Steps int `toml:"steps" default:"3" min:"1"`
	// How long it takes from one step to the next: 5s to 300s.
	Delay time.Duration `toml:"delay" default:"'12s'" min:"5s"`
	// For "dynamic": what counts how much of how little an agent has to do, ...
	WeightLoad int `toml:"weight_load" default:"1" min:"0"`
	// ... how long she has been given nothing, ...
	WeightIdle int `toml:"weight_idle" default:"1" min:"0"`
	// ... and how much she knows of what it is about.
	WeightTags int `toml:"weight_tags" default:"1" min:"0"`
	// Whether one agent is asked at a time, for delay. With "round-robin" it is always so.
	Exclusive bool `toml:"exclusive" default:"false"`
	// Whether an agent who does not answer what she alone was asked is paused, until she says that she is ready.
	ForcedPause bool `toml:"forced_pause" default:"true"`
	// Conversations that an agent has at a time, ...
	Limit int `toml:"limit" default:"4" min:"1"`
	// ... and those that she is asked to take.
	Offers int `toml:"offers" default:"5" min:"1"`
	// How long it takes after an agent was asked until a reply takes the conversation; what is said sooner, perhaps to somebody else, is refused,
	// and !accept takes it at once. "0s" is no such time.
	AcceptAfter time.Duration `toml:"accept_after" default:"'0s'" min:"0s"`
	// How long a visitor waits before hearing that nobody has time.
	Wait time.Duration `toml:"wait" default:"'2m'" min:"10s"`
	// How long others are asked to take a conversation over, ...
	Transfer time.Duration `toml:"transfer" default:"'1m'" min:"5s"`
	// ... and whether it then stays with its agent. Otherwise it waits for anybody.
	BounceBack bool `toml:"bounce_back" default:"true"`
	// After how long a silence a conversation counts no more towards the limit. "0s" is never.
	Idle time.Duration `toml:"idle" default:"'5m'" min:"0s"`
	// How long a visitor may be without a connection before a conversation is over, ...
	VisitorGrace time.Duration `toml:"visitor_grace" default:"'5m'" min:"1s"`
	// ... and while waiting for one.
	WaitGrace time.Duration `toml:"wait_grace" default:"'30s'" min:"1s"`
	// How long an agent may be gone before what she has waits for another one.
	AgentGrace time.Duration `toml:"agent_grace" default:"'1m'" min:"1s"`
	// How long an agent may add to a conversation that is over.
	WrapUp time.Duration `toml:"wrap_up" default:"'2m'" min:"1s"`
	// How long a visitor may leave a message when nobody is there.
	OfflineFor time.Duration `toml:"offline_for" default:"'10m'" min:"1s"`
	// How long a form may take.
	CollectFor time.Duration `toml:"collect_for" default:"'1h'" min:"1s"`
	// How long a bot, a program which then has each contact before agents are asked, may leave a visitor without an answer: after that they are
	// asked in its place. "0s" is no bot.
	Bot time.Duration `toml:"bot" default:"'0s'" min:"0s"`
	// Who gets a mail when a visitor has said something and nobody was there, if there is [mail]: an address or a list of them. It says when, and of
	// which contact, and nothing of what was said.
	OfflineMail []string `toml:"offline_mail" default:"[]"`
	// When somebody is there, such as ["mon-fri 09:00-17:30", "sat 10:00-13:00"]. An empty list is always.
	Hours []string `toml:"hours" default:"[]"`
	// Days on which nobody is, such as "2026-12-25".
	Closed []string `toml:"closed" default:"[]"`
	// By which clock, such as "Europe/Rome".
	Zone string `toml:"zone" default:"'UTC'"`
	// A part of the agents, whom contacts can be for, and can be transferred to.
	Groups []Group `toml:"group"`
	// What single agents know, and how much they take.
	Agents []Skilled `toml:"agent"`
	// Answers that agents need often: !c lists them.
	Canned []Canned `toml:"canned"`
}

// A Canned is an answer that is ready.
type Canned struct {
	// What agents type after !c.
	Name string `toml:"name" example:"'hours'"`
	// What the visitor gets.
	Text string `toml:"text" example:"'We are here from nine to five, Monday to Friday.'"`
}

// A Skilled is what is set for one agent.
type Skilled struct {
	// Her name, which is the part of her address before the @.
	Name string `toml:"name" example:"'anna'"`
	// What visitors read in place of that; "" is what her card says, or her name itself.
	Shown string `toml:"shown" default:"''" example:"'Anna from sales'"`
	// What she knows: groups want all of theirs.
	Tags []string `toml:"tags" example:"['billing', 'italian']"`
	// Conversations that she has at a time. 0 is as others have.
	Limit int `toml:"limit" default:"0" min:"0"`
}

// A Group is some agents of an account.
type Group struct {
	// What it is called in !transfer #billing, and in what visitors' pages say.
	Name string `toml:"name" example:"'billing'"`
	// What its agents know: each of these.
	Tags []string `toml:"tags" example:"['billing']"`
	// When its contacts are served: from 1, first of all, to 30. 0 is as others are.
	Priority int `toml:"priority" default:"0" min:"0"`
}

// A Widget is the table widget of an account: what visitors see.
type Widget struct {
	// The origins of the web pages that may show it, such as "https://shop.example" or "https://*.shop.example".
	Sites []string `toml:"sites" default:"[]"`
	// The colour of buttons and the like, such as "#0b5fff"; "" is the widget's own.
	Colour string `toml:"colour" default:"''"`
	// The languages that visitors are spoken to in, the first where none of the others is wanted.
	Languages []string `toml:"languages" default:"['en', 'it', 'de']"`
	// Whether visitors see what agents have put in their cards: a nickname or name, and a picture.
	Cards bool `toml:"cards" default:"true"`
	// Where visitors may have their conversations mailed to, if there is [mail]: "known", the address that they, or whoever vouches for
	// them, gave before; "any"; "off", nowhere.
	Transcript string `toml:"transcript" default:"'known'" one:"off known any"`
	// Work that a visitor's browser does before a chat is opened, against programs that open many: how many zero bits a hash begins with that it
	// has to find. 0 asks for none; 15 takes most devices a second or two; at most 24.
	Work int `toml:"work" default:"0" min:"0"`
	// What visitors are asked before they write.
	Fields []Field `toml:"field"`
}

// A Field is a field of the form.
type Field struct {
	// Its name in events. "name" is what the visitor is called.
	Name string `toml:"name" example:"'email'"`
	// What stands before it, in each language: "en: Your e-mail".
	Label []string `toml:"label" example:"['en: Your e-mail', 'it: La tua e-mail', 'de: Ihre E-Mail-Adresse']"`
	// "text", "textarea", "email", "tel", "url" or "number".
	Type string `toml:"type" default:"'text'" one:"text textarea email tel url number"`
	// Whether it must be filled in.
	Required bool `toml:"required" default:"false"`
}

var (
	site      = regexp.MustCompile(`^https?://(\*\.)?[A-Za-z0-9.-]+(:[0-9]+)?$`)
	colour    = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	langTag   = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)
	maxName   = 100
	maxCanned = 4000
	maxShown  = 60                                                        // characters
	weekdays  = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} // by time.Weekday
)

func (f *File) checkVisitors(add func(*Fault)) {
	for i := range f.Accounts {
		a := &f.Accounts[i]
		at := func(table string) faultFunc {
			key := element("account", i) + "." + table + "."
			return func(option, hint string, err error) {
				if err != nil {
					add(f.Fault(key+option, hint, "%v", err))
				}
			}
		}
		if len(a.Desk.OfflineMail) > 0 && f.Mail.Server == "" {
			at("desk")("offline_mail", "", fmt.Errorf("nothing is mailed without a server under [mail]"))
		}
		a.Desk.check(at("desk"))
		a.Widget.check(at("widget"))
	}
}

// A faultFunc takes what is wrong with an option of a table, if anything is.
type faultFunc func(option, hint string, err error)

func (d *Desk) check(fault faultFunc) {
	if d.Steps > 10 {
		fault("steps", "", fmt.Errorf("too many: at most 10"))
	}
	if d.Delay > 5*time.Minute {
		fault("delay", "", fmt.Errorf("too long: at most 300s"))
	}
	if d.WeightLoad+d.WeightIdle+d.WeightTags == 0 {
		fault("weight_load", "", fmt.Errorf("not all weights can be 0"))
	}
	for _, to := range d.OfflineMail {
		if !isMailbox(to) {
			fault("offline_mail", "", fmt.Errorf("not an address such as \"shop@desk.example\": %q", to))
		}
	}
	_, err := d.hours()
	fault("hours", `such as ["mon-fri 09:00-17:30", "sat 10:00-13:00"]`, err)
	_, err = d.closed()
	fault("closed", "", err)
	_, err = time.LoadLocation(d.Zone)
	if err != nil || d.Zone == "Local" || d.Zone == "" {
		fault("zone", `such as "Europe/Rome"`, fmt.Errorf("not a time zone: %q", d.Zone))
	}
	names := make(map[string]bool)
	for j, g := range d.Groups {
		at := element("group", j)
		fault(at+".name", "", checkName(g.Name, names))
		if g.Priority > 30 {
			fault(at+".priority", "", fmt.Errorf("too large: at most 30"))
		}
	}
	agents := make(map[string]bool)
	for j, g := range d.Agents {
		at := element("agent", j)
		fault(at+".name", "", checkName(g.Name, agents))
		if utf8.RuneCountInString(g.Shown) > maxShown || strings.ContainsFunc(g.Shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
			fault(at+".shown", "", fmt.Errorf("not a line of at most %d characters", maxShown))
		}
	}
	codes := make(map[string]bool)
	for j, c := range d.Canned {
		at := element("canned", j)
		fault(at+".name", "", checkName(c.Name, codes))
		if strings.TrimSpace(c.Text) == "" || len(c.Text) > maxCanned {
			fault(at+".text", "", fmt.Errorf("not a text of at most %d bytes", maxCanned))
		}
	}
}

func (w *Widget) check(fault faultFunc) {
	if w.Work > 24 {
		fault("work", "", fmt.Errorf("too much: at most 24"))
	}
	for _, s := range w.Sites {
		if !site.MatchString(s) {
			fault("sites", `such as "https://shop.example", with nothing after it`, fmt.Errorf("not the origin of a web page: %q", s))
		}
	}
	if w.Colour != "" && !colour.MatchString(w.Colour) {
		fault("colour", `such as "#0b5fff"`, fmt.Errorf("not a colour: %q", w.Colour))
	}
	for _, l := range w.Languages {
		if !langTag.MatchString(l) {
			fault("languages", `such as ["en", "it"]`, fmt.Errorf("not a language: %q", l))
		}
	}
	names := make(map[string]bool)
	for j, field := range w.Fields {
		at := element("field", j)
		fault(at+".name", "", checkName(field.Name, names))
		_, err := field.Labels()
		fault(at+".label", `such as ["en: Your e-mail"]`, err)
	}
}

// checkName says what is wrong with a name that others of its kind have, too.
func checkName(name string, others map[string]bool) error {
	switch {
	case name == "":
		return fmt.Errorf("a name is missing")
	case len(name) > maxName, strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return fmt.Errorf("not a name of at most %d letters without spaces: %q", maxName, name)
	case others[name]:
		return fmt.Errorf("there are two %q", name)
	}
	others[name] = true
	return nil
}

// Labels are what stands before a field, by language.
func (f *Field) Labels() (map[string]string, error) {
	all := make(map[string]string)
	for _, l := range f.Label {
		lang, text, ok := strings.Cut(l, ":")
		if text = strings.TrimSpace(text); !ok || !langTag.MatchString(lang) || text == "" {
			return nil, fmt.Errorf("not a language and a text: %q", l)
		}
		all[lang] = text
	}
	return all, nil
}

// hours are when somebody is there, by the day; nil is always.
func (d *Desk) hours() (map[time.Weekday][]desk.Span, error) {
	var week map[time.Weekday][]desk.Span
	for _, h := range d.Hours {
		days, span, _ := strings.Cut(h, " ")
		from, to, ranged := strings.Cut(days, "-")
		first, last := slices.Index(weekdays, from), slices.Index(weekdays, to)
		if !ranged {
			last = first
		}
		if first < 0 || last < 0 {
			return nil, fmt.Errorf("no days: %q in %q", days, h)
		}
		s, err := desk.ParseSpan(strings.TrimSpace(span))
		if err != nil {
			return nil, err
		}
		if week == nil {
			week = make(map[time.Weekday][]desk.Span)
		}
		for day := first; ; day = (day + 1) % 7 {
			week[time.Weekday(day)] = append(week[time.Weekday(day)], s)
			if day == last {
				break
			}
		}
	}
	return week, nil
}

func (d *Desk) closed() (map[string]bool, error) {
	var days map[string]bool
	for _, day := range d.Closed {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			return nil, fmt.Errorf("not a day such as 2026-12-25: %q", day)
		}
		if days == nil {
			days = make(map[string]bool)
		}
		days[day] = true
	}
	return days, nil
}

// Settings are the options as the desk has them. They were checked.
func (d *Desk) Settings() desk.Settings {
	s := desk.Settings{
		Algorithm: desk.Algorithm(d.Algorithm), Steps: d.Steps, Delay: d.Delay,
		Weights:   desk.Weights{Load: float64(d.WeightLoad), Idle: float64(d.WeightIdle), Tags: float64(d.WeightTags)},
		Exclusive: d.Exclusive, Force: d.ForcedPause, Limit: d.Limit, Offers: d.Offers,
		Wait: d.Wait, Transfer: d.Transfer, BounceBack: d.BounceBack, Idle: d.Idle,
		VisitorGrace: d.VisitorGrace, WaitGrace: d.WaitGrace, AgentGrace: d.AgentGrace, WrapUp: d.WrapUp,
		OfflineFor: d.OfflineFor, CollectFor: d.CollectFor, Bot: d.Bot, AcceptAfter: d.AcceptAfter,
	}
	for _, g := range d.Groups {
		if s.Groups == nil {
			s.Groups = make(map[string]desk.Group)
		}
		s.Groups[g.Name] = desk.Group{Tags: g.Tags, Priority: g.Priority}
	}
	for _, g := range d.Agents {
		if s.Agents == nil {
			s.Agents = make(map[string]desk.Skills)
		}
		s.Agents[g.Name] = desk.Skills{Tags: g.Tags, Limit: g.Limit}
	}
	for _, c := range d.Canned {
		if s.Canned == nil {
			s.Canned = make(map[string]string)
		}
		s.Canned[strings.ToLower(c.Name)] = c.Text
	}
	if s.Hours.Week, _ = d.hours(); s.Hours.Week == nil && len(d.Closed) > 0 {
		s.Hours.Week = always()
	}
	s.Hours.Closed, _ = d.closed()
	if zone, err := time.LoadLocation(d.Zone); err == nil && zone != time.UTC {
		s.Hours.Zone = zone
	}
	return s
}

// always are all hours of all days.
func always() map[time.Weekday][]desk.Span {
	week := make(map[time.Weekday][]desk.Span)
	for day := range weekdays {
		week[time.Weekday(day)] = []desk.Span{{From: 0, To: 24 * 60}}
	}
	return week
}
