package xmpptest

import (
	"regexp"
	"strings"
	"time"
)

// A verb is what a line of a talk does.
type verb int

const (
	doConnect verb = iota + 1
	doSecure
	doSignIn
	doAuthenticate
	doSend
	doExpect
	doNothing
	doSkip
	doEnd
	doCut
	doClose
	doDrop
	doWait
	doRestart
	doCrash
	doOpen
	doJoin
)

// A step is one line of a talk, with the indented lines that belong to it.
type step struct {
	line int
	note string // the note above it
	who  string
	do   verb
	text string        // as written: what is sent or expected, or how to connect
	want *node         // doExpect
	any  bool          // doExpect: <~
	wait time.Duration // doWait
	with string        // doSignIn, doAuthenticate: another password than the cast's
}

var said = regexp.MustCompile(`^(\S+) (connects|secures|signs in|authenticates|opens|joins|closes|drops|>|<~|<)(?: (.*))?$`)

var password = regexp.MustCompile(`^with "(.+)"$`)

// talk reads the section of that name.
func (t *Talk) talk(s section) error {
	var note []string
	noting := false
	for i := 0; i < len(s.lines); i++ {
		line, at := s.lines[i], s.first+i
		if text, ok := strings.CutPrefix(line, "#"); ok {
			if !noting {
				note = nil
			}
			note, noting = append(note, strings.TrimSpace(text)), true
			continue
		}
		noting = false
		if strings.TrimSpace(line) == "" {
			continue
		}
		for i+1 < len(s.lines) && continues(s.lines[i+1]) {
			i++
			line += "\n" + strings.TrimSpace(s.lines[i])
		}
		st := step{line: at, note: strings.Join(note, "\n")}
		if err := t.parseStep(&st, line); err != nil {
			return err
		}
		t.steps = append(t.steps, st)
	}
	return nil
}

// continues says whether a line belongs to the one above it.
func continues(line string) bool {
	return strings.TrimSpace(line) != "" && (line[0] == ' ' || line[0] == '\t')
}

func (t *Talk) parseStep(st *step, line string) error {
	switch line {
	case "the server restarts":
		st.do = doRestart
		return nil
	case "the server crashes":
		st.do = doCrash
		return nil
	}
	if d, ok := strings.CutPrefix(line, "wait "); ok {
		st.do, st.text = doWait, d
		var err error
		if st.wait, err = time.ParseDuration(d); err != nil {
			return t.fault(st.line, "wait for how long? %q", d)
		}
		return nil
	}
	first, rest, more := strings.Cut(line, "\n")
	m := said.FindStringSubmatch(first)
	if m == nil {
		return t.fault(st.line, "not a line of a talk: %q", first)
	}
	st.who, st.text = m[1], m[3]
	if more {
		st.text += "\n" + rest
	}
	if _, ok := t.person(st.who); !ok {
		return t.fault(st.line, "%s is not in the cast", st.who)
	}
	return t.parseSaid(st, m[2])
}

// plain are the lines that take no text, or one of a few.
var plain = map[string]struct {
	do   verb
	text []string
}{
	"connects":      {doConnect, []string{"", "tls"}},
	"secures":       {doSecure, []string{""}},
	"signs in":      {doSignIn, []string{"", "over starttls"}},
	"authenticates": {doAuthenticate, []string{"", "over starttls"}},
	"closes":        {doClose, []string{""}},
	"drops":         {doDrop, []string{""}},
}

func (t *Talk) parseSaid(st *step, verb string) (err error) {
	person, _ := t.person(st.who)
	visitor := person.Role == visitorRole
	switch {
	case visitor && (verb == "connects" || verb == "secures" || verb == "signs in" || verb == "authenticates" || verb == "<~"),
		!visitor && (verb == "opens" || verb == "joins"):
		return t.fault(st.line, "%s is a %s, who never %s", st.who, person.Role, verb)
	case verb == "opens":
		st.do = doOpen
		return nil
	case verb == "joins":
		st.do = doJoin
		return nil
	}
	if p, ok := plain[verb]; ok {
		st.do = p.do
		if m := password.FindStringSubmatch(st.text); m != nil && (p.do == doSignIn || p.do == doAuthenticate) {
			st.with = m[1]
			return nil
		}
		for _, text := range p.text {
			if st.text == text {
				return nil
			}
		}
		return t.fault(st.line, "%s %s, and then %q?", st.who, verb, st.text)
	}
	if st.text == "" {
		return t.fault(st.line, "%s %s what?", st.who, verb)
	}
	if verb == ">" {
		st.do = doSend
		return nil
	}
	st.any = verb == "<~"
	switch {
	case st.any:
		st.do = doExpect
	case st.text == "nothing":
		st.do = doNothing
	case st.text == "...":
		st.do = doSkip
	case st.text == "end":
		st.do = doEnd
	case st.text == "cut":
		st.do = doCut
	default:
		st.do = doExpect
	}
	if st.do == doExpect && !visitor {
		if st.want, err = parsePattern(st.text); err != nil {
			return t.fault(st.line, "%v", err)
		}
	}
	return nil
}
