package xmppd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/im"
)

// An order is a command on its way.
type order struct {
	*Session
	support *support
	contact *desk.Contact // nil where it is for the desk
	args    string        // what follows the name, trimmed
}

// A command is what an agent can type in a contact, with '!' before it, or ask for with a form
// (XEP-0050). do answers what she is told.
type command struct {
	usage string // its arguments in order; those in brackets may be left out
	about string
	do    func(*order) (string, error)
}

// commands are those of contacts, by name.
var commands = map[string]command{
	"accept":     {"", "take this chat", (*order).accept},
	"decline":    {"[why]", "leave it to others", (*order).decline},
	"info":       {"", "what is known of the visitor", (*order).info},
	"history":    {"[n]", "the last messages of this chat", (*order).history},
	"note":       {"text", "a note that only agents see", (*order).note},
	"set":        {"field [value]", "what you have learned of the visitor", (*order).set},
	"tag":        {"tag", "what this chat is about; -tag takes it away", (*order).tag},
	"transfer":   {"@agent|#group [note]", "ask others to take it over", (*order).transfer},
	"back":       {"", "keep it after all, while nobody has taken it over", (*order).back},
	"invite":     {"@agent", "have a colleague join you", (*order).invite},
	"leave":      {"", "give it to another agent, or leave it as a guest", (*order).leave},
	"takeover":   {"", "make it yours, if you read along as a supervisor", (*order).takeOver},
	"hold":       {"", "put it aside", (*order).hold},
	"resume":     {"", "take it up again", (*order).resume},
	"close":      {"[why]", "end it", (*order).close},
	"ban":        {"time [why]", "end it, and hear no more of this visitor: 1h, 1d, 1w, 1mo", (*order).banVisitor},
	"rate":       {"", "ask the visitor how it was", (*order).rate},
	"transcript": {"", "mail the visitor what was said, to the address that is known", (*order).transcript},
	"c":          {"[name]", "say an answer that is ready; without a name, which there are", (*order).canned},
	"done":       {"", "nothing more to say about it", (*order).done},
}

// command does what an agent has typed, without the '!'. The visitor never hears of it.
func (s *Session) command(c *desk.Contact, line string) {
	o := &order{Session: s, support: s.agent.account.support, contact: c}
	name, args := firstWord(line)
	o.args = args
	reply, known, _ := o.run(commands, name)
	switch {
	case known:
	case name == "help":
		reply = help("What you type here goes to the visitor, except for:", "!", commands)
	default:
		reply = fmt.Sprintf("There is no !%s; nothing was sent. !help lists what there is. To say it to the visitor, type !!%s", im.OneLine(name, 20), im.OneLine(line, 40))
	}
	if reply != "" {
		s.agent.hear(o.support.says(c, s.agent, reply))
	}
}

// firstWord is a line's, and what follows it.
func firstWord(line string) (word, rest string) {
	line = strings.TrimSpace(line)
	if i := strings.IndexFunc(line, unicode.IsSpace); i >= 0 {
		return line[:i], strings.TrimSpace(line[i:])
	}
	return line, ""
}

// run does a command of that table, and answers what its agent is told.
func (o *order) run(table map[string]command, name string) (reply string, known, failed bool) {
	cmd, known := table[strings.ToLower(name)]
	if !known {
		return "", false, false
	}
	o.turn.pass() // it may wait for the store
	reply, err := cmd.do(o)
	if err != nil {
		reply = o.excuse(err)
	}
	return reply, true, err != nil
}

// help lists the commands of a table.
func help(text, sign string, table map[string]command) string {
	var b strings.Builder
	b.WriteString(text)
	for _, name := range slices.Sorted(maps.Keys(table)) {
		fmt.Fprintf(&b, "\n%s%s: %s", sign, strings.TrimSpace(name+" "+table[name].usage), table[name].about)
	}
	return b.String()
}

// excuse is an error for the agent who typed a command.
func (s *Session) excuse(err error) string {
	if e := s.deskError(err); e.Text != "" {
		return strings.ToUpper(e.Text[:1]) + strings.ReplaceAll(e.Text[1:], "; your text was not sent", "") + "."
	}
	return "That did not work."
}

// wait is contact.Wait for what has no more to say than whether it worked.
func wait(begin func(desk.Done)) error {
	_, err := contact.Wait(begin)
	return err
}

func (o *order) accept() (string, error) {
	return "", wait(func(done desk.Done) { o.support.contacts.Accept(o.contact.ID, o.agent.id, done) })
}

func (o *order) decline() (string, error) {
	return "", wait(func(done desk.Done) { o.support.contacts.Decline(o.contact.ID, o.agent.id, o.args, done) })
}

func (o *order) hold() (string, error) {
	return "On hold. !resume, or your next message, takes it up again.", wait(func(done desk.Done) { o.support.contacts.Hold(o.contact.ID, o.agent.id, done) })
}

func (o *order) resume() (string, error) {
	return "Resumed.", wait(func(done desk.Done) { o.support.contacts.Resume(o.contact.ID, o.agent.id, done) })
}

func (o *order) leave() (string, error) {
	return "", wait(func(done desk.Done) { o.support.contacts.Leave(o.contact.ID, o.agent.id, done) })
}

func (o *order) close() (string, error) {
	return "", wait(func(done desk.Done) { o.support.contacts.Close(o.contact.ID, o.agent.id, o.args, done) })
}

func (o *order) done() (string, error) {
	return "", wait(func(done desk.Done) { o.support.contacts.Finish(o.contact.ID, o.agent.id, done) })
}

func (o *order) rate() (string, error) {
	err := o.support.contacts.AskRating(o.contact.ID, o.agent.id)
	if errors.Is(err, desk.ErrNotNow) {
		return "The visitor is not here to be asked.", nil
	}
	return "The visitor is asked how it was.", err
}

func (o *order) transcript() (string, error) {
	if err := o.mine(); err != nil {
		return "", err
	}
	send := o.server.config.Transcript
	switch {
	case o.args != "":
		return "It goes to the address that is known of the visitor, and to no other: !transcript", nil
	case send == nil:
		return "No mail is sent here.", nil
	}
	o.server.wg.Go(func() { // ends when the mail server has answered, or is given up
		said := "The transcript is sent."
		if err := send(context.Background(), o.agent.account.id, o.contact.Address, o.agent.id); err != nil {
			said = "The transcript is not sent: " + im.OneLine(err.Error(), maxField) + "."
		}
		o.agent.hear(o.support.tells(o.contact, o.agent, said))
	})
	return "It is on its way; you are told when the mail server has it.", nil
}

func (o *order) back() (string, error) {
	return "It stays with you.", wait(func(done desk.Done) { o.support.contacts.TakeBack(o.contact.ID, o.agent.id, done) })
}

func (o *order) note() (string, error) {
	if o.args == "" {
		return "What is the note? !note text", nil
	}
	if o.support.watches(o.contact, o.agent.id) {
		return "Noted.", o.whisper()
	}
	return "Noted.", wait(func(done desk.Done) {
		o.support.contacts.Note(o.contact.ID, desk.Agents, o.agent.id, o.args, done)
	})
}

// What agents may add to a contact.
const (
	maxFields    = 50
	maxFieldName = 40
	maxField     = 1000
	maxTags      = 50
)

// mine says whether the agent has the contact, or is in it as a guest.
func (o *order) mine() error {
	if !o.contact.With(o.agent.id) && o.contact.Owner != o.agent.id {
		return desk.ErrNotYours
	}
	return nil
}

func (o *order) set() (string, error) {
	name, value, _ := strings.Cut(o.args, " ")
	name, value = im.OneLine(name, maxFieldName), im.OneLine(value, maxField)
	if name == "" {
		return "Set what? !set field value", nil
	}
	if err := o.mine(); err != nil {
		return "", err
	}
	full := false
	err := wait(func(done desk.Done) {
		o.support.contacts.Set(o.contact.ID, desk.Agents, o.agent.id, "fields", func(c *desk.Contact) {
			fields := make(map[string]string, len(c.Fields)+1)
			for k, v := range c.Fields {
				fields[k] = v
			}
			if fields[name] = value; value == "" {
				delete(fields, name)
			}
			if full = len(fields) > maxFields; !full {
				c.Fields = fields
			}
		}, done)
	})
	if full {
		return "There are as many fields as there can be.", err
	}
	if value == "" {
		return name + " is taken away.", err
	}
	return name + " is set.", err
}

func (o *order) tag() (string, error) {
	tag := im.OneLine(o.args, maxFieldName)
	name, remove := strings.CutPrefix(tag, "-")
	if name == "" {
		return "Which tag? !tag refund, or !tag -refund to take it away", nil
	}
	if err := o.mine(); err != nil {
		return "", err
	}
	var tags []string
	err := wait(func(done desk.Done) {
		o.support.contacts.Set(o.contact.ID, desk.Agents, o.agent.id, "tags", func(c *desk.Contact) {
			tags = slices.DeleteFunc(slices.Clone(c.Tags), func(t string) bool { return t == name })
			if !remove && len(tags) < maxTags {
				tags = append(tags, name)
			}
			c.Tags = tags
		}, done)
	})
	return "Tags: " + cmp.Or(strings.Join(tags, ", "), "none"), err
}

func (o *order) transfer() (string, error) {
	target, note, _ := strings.Cut(o.args, " ")
	var to desk.Wants
	switch {
	case strings.HasPrefix(target, "#"):
		to.Group = target[1:]
	case strings.HasPrefix(target, "@") && o.colleague(target[1:]) != nil:
		to.Agent = o.colleague(target[1:]).id
	default:
		return "To whom? !transfer @agent, or !transfer #group, and a note if you like", nil
	}
	err := wait(func(done desk.Done) {
		o.support.contacts.Transfer(o.contact.ID, o.agent.id, to, strings.TrimSpace(note), done)
	})
	return target + " is asked. It stays yours until it is taken.", err
}

// colleague is the agent of that name, or nil.
func (o *order) colleague(name string) *agent { return o.agent.account.agent(strings.ToLower(name)) }

func (o *order) invite() (string, error) {
	g := o.colleague(strings.TrimPrefix(o.args, "@"))
	if g == nil {
		return "Whom? !invite @agent", nil
	}
	return g.name + " is with you now. The visitor sees what you both say.", wait(func(done desk.Done) {
		o.support.contacts.Invite(o.contact.ID, o.agent.id, g.id, done)
	})
}

func (o *order) info() (string, error) {
	if err := o.mine(); err != nil && !o.contact.OfferedTo(o.agent.id) && !o.support.watches(o.contact, o.agent.id) {
		return "", err
	}
	return o.support.info(o.contact), nil
}

// info is what is known of a contact, for its agents. What a visitor's page calls a field could be a name of ours: it says that
// it is one.
func (p *support) info(c *desk.Contact) string {
	var b strings.Builder
	line := func(name, value string) {
		if value = im.OneLine(value, maxField); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	line("Visitor", p.visitor(c))
	line("Page", strings.TrimSpace(c.Subject+" "+c.Page))
	line("Language", c.Lang)
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		line("Field "+cmp.Or(im.OneLine(name, maxFieldName), "?"), c.Fields[name])
	}
	line("Tags", strings.Join(c.Tags, ", "))
	line("Priority", strconv.Itoa(c.Priority))
	line("Since", c.Created.UTC().Format("2006-01-02 15:04 MST"))
	for _, leg := range c.Legs {
		line("With", p.account.nameOf(leg.Agent))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// maxHistory is how many messages are shown at most.
const maxHistory = 50

func (o *order) history() (string, error) {
	n := 10
	if o.args != "" {
		var err error
		if n, err = strconv.Atoi(o.args); err != nil || n < 1 || n > maxHistory {
			return fmt.Sprintf("How many? !history 1 to !history %d", maxHistory), nil
		}
	}
	var lines []string
	read := func(ctx context.Context) (err error) {
		lines, err = o.support.lines(ctx, o.contact, n)
		return err
	}
	var err error
	if o.support.watches(o.contact, o.agent.id) {
		err = o.recorded("contact-transcript.get", read)
	} else if err = o.mine(); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), storeWait)
		defer cancel()
		err = read(ctx)
	}
	if err != nil {
		return "", err
	}
	return cmp.Or(strings.Join(lines, "\n"), "Nothing was said yet."), nil
}
