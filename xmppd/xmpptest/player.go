package xmpptest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Play plays the talk against s, on which the cast must exist, and fails tb
// where the server says something else than the talk. The conversation goes to
// tb's output.
func (t *Talk) Play(tb testing.TB, s Server) {
	tb.Helper()
	p := newPlayer(tb.Context(), t, s, tb.Output())
	defer p.close()
	if where, err := p.play(); err != nil {
		tb.Fatalf("%s", t.failure(where, err))
	}
}

// failure tells where in the story the server went another way.
func (t *Talk) failure(s step, err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:", t.Path, s.line)
	if s.note != "" {
		fmt.Fprintf(&b, "\n%s", indent("# ", s.note))
	}
	if line := s.String(); line != "" {
		fmt.Fprintf(&b, "\n%s", line)
	}
	fmt.Fprintf(&b, "\n%s", indent("    ", err.Error()))
	return b.String()
}

// String is the line as the talk has it.
func (s step) String() string {
	verbs := map[verb]string{
		doConnect: "connects", doSecure: "secures", doSignIn: "signs in", doAuthenticate: "authenticates",
		doSend: ">", doExpect: "<", doNothing: "<", doSkip: "<", doEnd: "<", doCut: "<",
		doClose: "closes", doDrop: "drops", doWait: "wait", doRestart: "the server restarts", doCrash: "the server crashes",
		doOpen: "opens", doJoin: "joins",
	}
	v := verbs[s.do]
	if s.any {
		v = "<~"
	}
	return strings.TrimSpace(strings.TrimSpace(s.who+" "+v) + " " + s.text)
}

func indent(by, text string) string {
	return by + strings.ReplaceAll(text, "\n", "\n"+by)
}

// A player plays one talk once.
type player struct {
	talk    *Talk
	server  Server
	ctx     context.Context // ends with the test
	out     io.Writer
	vars    vars
	devices map[string]*device
	guests  map[string]*guest
	readers sync.WaitGroup
	pings   int
}

func newPlayer(ctx context.Context, t *Talk, s Server, out io.Writer) *player {
	return &player{talk: t, server: s, ctx: ctx, out: out, vars: vars{}, devices: map[string]*device{}, guests: map[string]*guest{}}
}

// play returns the step that failed and why.
func (p *player) play() (step, error) {
	steps := p.talk.steps
	for i := 0; i < len(steps); i++ {
		s := steps[i]
		if s.note != "" && (i == 0 || steps[i-1].note != s.note) {
			fmt.Fprintf(p.out, "\n%s\n", indent("# ", s.note))
		}
		var err error
		if s.any {
			group := anyOrder(steps[i:])
			err = p.expectAny(&s, group)
			i += len(group) - 1
		} else {
			err = p.step(s)
		}
		if err != nil {
			return s, err
		}
	}
	last := step{line: steps[len(steps)-1].line, note: "At the end of the talk."}
	if err := p.leftovers(&last); err != nil {
		return last, err
	}
	if p.talk.hooks == nil {
		return step{}, nil
	}
	last = step{line: p.talk.hooks.line, note: "The webhooks."}
	return last, p.talk.hooks.check(p)
}

// anyOrder is the run of <~ lines that steps begins with.
func anyOrder(steps []step) []step {
	n := 1
	for n < len(steps) && steps[n].any && steps[n].who == steps[0].who {
		n++
	}
	return steps[:n]
}

func (p *player) step(s step) error {
	switch s.do {
	case doWait:
		return p.wait(s.wait)
	case doRestart:
		return p.restart(s, p.server.Restart)
	case doCrash:
		return p.restart(s, p.server.Crash)
	case doConnect:
		d, err := p.device(s.who)
		if err != nil {
			return err
		}
		p.tell(s.who, "connects", s.text)
		how := "starttls"
		if s.text == "tls" {
			how = "tls"
		}
		return d.dial(p.ctx, p.server, how)
	case doSignIn, doAuthenticate:
		d, err := p.device(s.who)
		if err != nil {
			return err
		}
		if s.with != "" {
			d.person.Password = s.with
		}
		p.tell(s.String(), "", "")
		return d.signIn(p.ctx, p.server, s.text == "over starttls", s.do == doSignIn)
	}
	if person, _ := p.talk.person(s.who); person.Role == visitorRole {
		return p.visit(s)
	}
	d, ok := p.devices[s.who]
	if !ok || d.in == nil {
		return fmt.Errorf("%s isn't connected", s.who)
	}
	return p.converse(d, s)
}

// device makes a new connection for WHO, whose earlier one must have ended.
func (p *player) device(who string) (*device, error) {
	person, _ := p.talk.person(who)
	_, resource, _ := strings.Cut(who, "/")
	d := &device{who: who, person: person, resource: resource, roots: p.server.Roots(), readers: &p.readers}
	if old := p.devices[who]; old != nil && old.raw != nil {
		if !old.over {
			return nil, fmt.Errorf("%s is still connected", who)
		}
		old.drop()
	}
	p.devices[who] = d
	return d, nil
}

func (p *player) converse(d *device, s step) error {
	switch s.do {
	case doSecure:
		p.tell(d.who, "secures", "")
		return d.secure(p.ctx)
	case doSend:
		text, err := p.expand(d, s.text)
		if err != nil {
			return err
		}
		p.tell(d.who, ">", text)
		d.send(text)
		return nil
	case doExpect:
		return p.expect(d, s.want)
	case doNothing:
		return p.nothing(d)
	case doSkip:
		return p.skip(d)
	case doEnd:
		return p.expectKind(d, gotEnd, "the end of the stream")
	case doCut:
		return p.expectKind(d, gotCut, "a cut line")
	case doClose:
		p.tell(d.who, ">", "</stream:stream>")
		d.send("</stream:stream>")
		// RFC 6120 §4.4: the other side closes its stream, too.
		return p.expectKind(d, gotEnd, "the end of the stream")
	case doDrop:
		p.tell(d.who, "drops", "")
		d.drop()
		return nil
	}
	return fmt.Errorf("no way to do this: %v", s)
}

// wait lets pretend time pass.
func (p *player) wait(d time.Duration) error {
	if !pretending() {
		return fmt.Errorf("only pretend time can pass: this talk needs a synctest bubble")
	}
	fmt.Fprintf(p.out, "wait %v\n", d)
	time.Sleep(d)
	return nil
}

// pretending says whether this runs in a synctest bubble.
func pretending() (yes bool) {
	// Wait panics outside of a bubble, and there is no other way to ask.
	defer func() { yes = recover() == nil }()
	synctest.Wait()
	return true
}

// restart lets the server end and start again when all that was sent is settled.
func (p *player) restart(s step, how func() error) error {
	p.settle(nil)
	p.tell(s.String(), "", "")
	return how()
}

// tell writes a line of the conversation.
func (p *player) tell(who, verb, text string) {
	const much = 4000
	if len(text) > much {
		text = fmt.Sprintf("%s… (%d bytes)", text[:much/20], len(text))
	}
	fmt.Fprintf(p.out, "%s\n", strings.TrimSpace(who+" "+verb+" "+strings.ReplaceAll(text, "\n", "\n    ")))
}

// close ends what is left of the talk. Every reader has returned afterwards.
func (p *player) close() {
	for _, d := range p.devices {
		if d.raw != nil {
			d.drop()
		}
	}
	for _, g := range p.guests {
		g.drop(false)
		g.client.CloseIdleConnections()
	}
	p.readers.Wait()
}

// sorted are the connections in the order of their names.
func (p *player) sorted() []*device {
	all := make([]*device, 0, len(p.devices))
	for _, d := range p.devices {
		if d.in != nil {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b *device) int { return strings.Compare(a.who, b.who) })
	return all
}
