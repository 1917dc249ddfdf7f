package xmpptest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A Talk is one conversation, as its file tells it.
type Talk struct {
	Path    string // where it was read
	Title   string // its first line
	Intro   string // the prose below the title
	Cast    []Person
	Config  string // settings beyond the usual ones, as TOML
	Account string // the same of the first one's account

	steps []step
	hooks *hooks // nil when the talk has no section for them
}

// A Person is one of the cast. Who runs the talk creates them before.
type Person struct {
	Name     string // the JID's localpart
	Role     string // "agent", or another of the roles
	Domain   string
	Password string
}

// visitorRole is that of who has no password and no client but a page.
const visitorRole = "visitor"

// Visits says whether the talk has visitors.
func (t *Talk) Visits() bool { return t.has(doOpen) }

// Agents are the cast without visitors.
func (t *Talk) Agents() (list []Person) {
	for _, p := range t.Cast {
		if p.Role != visitorRole {
			list = append(list, p)
		}
	}
	return list
}

// JID is the person's bare JID.
func (p Person) JID() string { return p.Name + "@" + p.Domain }

// Load reads the talk at path.
func Load(path string) (*Talk, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, string(text))
}

// Parse reads a talk from text; path is for messages. Faults are told as
// path:line: what is wrong.
func Parse(path, text string) (*Talk, error) {
	t := &Talk{Path: path}
	for _, s := range sections(text) {
		if err := t.section(s); err != nil {
			return nil, err
		}
	}
	switch {
	case t.Title == "":
		return nil, t.fault(1, "a talk begins with its title")
	case len(t.Cast) == 0:
		return nil, t.fault(1, "no cast")
	case len(t.steps) == 0:
		return nil, t.fault(1, "no talk")
	}
	return t, nil
}

// Waits says whether pretend time passes in the talk, so that it can only be
// played in a synctest bubble.
func (t *Talk) Waits() bool { return t.has(doWait) }

// Restarts says whether the server ends in the talk, in whatever way, and starts again.
func (t *Talk) Restarts() bool { return t.has(doRestart) || t.has(doCrash) }

// InClear says whether somebody connects to the port that starts in clear.
func (t *Talk) InClear() bool {
	for _, s := range t.steps {
		if s.do == doConnect && s.text == "" || (s.do == doSignIn || s.do == doAuthenticate) && s.text == "over starttls" {
			return true
		}
	}
	return false
}

// Hooks says whether the talk tells of webhooks, so that it needs a receiver.
func (t *Talk) Hooks() bool { return t.hooks != nil }

// Sent is what the cast sends, line by line and as written: seeds for whoever
// tries a parser.
func (t *Talk) Sent() []string {
	var all []string
	for _, s := range t.steps {
		if s.do == doSend {
			all = append(all, s.text)
		}
	}
	return all
}

func (t *Talk) has(v verb) bool {
	for _, s := range t.steps {
		if s.do == v {
			return true
		}
	}
	return false
}

// fault is an error in the talk's file.
func (t *Talk) fault(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", t.Path, line, fmt.Sprintf(format, args...))
}

// A section is what stands between two "-- name --" lines; the first has no
// name.
type section struct {
	name  string
	first int // the number of its first line
	lines []string
}

func sections(text string) []section {
	all := []section{{first: 1}}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		line = strings.TrimSuffix(line, "\r")
		name, ok := strings.CutPrefix(line, "-- ")
		if name, closed := strings.CutSuffix(name, " --"); ok && closed {
			all = append(all, section{name: name, first: i + 2})
			continue
		}
		last := &all[len(all)-1]
		last.lines = append(last.lines, line)
	}
	return all
}

func (t *Talk) section(s section) (err error) {
	switch s.name {
	case "":
		if len(s.lines) == 0 {
			return nil
		}
		t.Title = strings.TrimSpace(s.lines[0])
		t.Intro = strings.TrimSpace(strings.Join(s.lines[1:], "\n"))
	case "cast":
		return t.cast(s)
	case "parley.toml":
		t.Config = strings.Join(s.lines, "\n") + "\n"
	case "account.toml":
		t.Account = strings.Join(s.lines, "\n") + "\n"
	case "talk":
		return t.talk(s)
	case "webhook":
		t.hooks, err = t.parseHooks(s)
	default:
		err = t.fault(s.first-1, "unknown section %q", s.name)
	}
	return err
}

func (t *Talk) cast(s section) error {
	for i, line := range s.lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		p, err := parsePerson(line)
		if err != nil {
			return t.fault(s.first+i, "%v", err)
		}
		t.Cast = append(t.Cast, p)
	}
	return nil
}

// parsePerson reads `anna   agent   desk.example   "correct horse"`.
func parsePerson(line string) (Person, error) {
	head, quoted, ok := strings.Cut(line, `"`)
	f := strings.Fields(head)
	if !ok && len(f) == 3 && f[1] == visitorRole {
		return Person{Name: f[0], Role: f[1], Domain: f[2]}, nil
	}
	if !ok || len(f) != 3 {
		return Person{}, fmt.Errorf("want NAME ROLE DOMAIN %q, got %q", "PASSWORD", line)
	}
	password, err := strconv.Unquote(`"` + strings.TrimSpace(quoted))
	if err != nil {
		return Person{}, fmt.Errorf("the password of %s isn't a quoted string", f[0])
	}
	return Person{Name: f[0], Role: f[1], Domain: f[2], Password: password}, nil
}

// person finds who WHO is: "anna" of "anna/laptop".
func (t *Talk) person(who string) (Person, bool) {
	name, _, _ := strings.Cut(who, "/")
	for _, p := range t.Cast {
		if p.Name == name {
			return p, true
		}
	}
	return Person{}, false
}
