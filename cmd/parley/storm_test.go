package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A storm of resumptions, as when a network comes back: so many sessions that were cut,
// each with so many messages that nobody acknowledged.
type storm struct {
	t      *testing.T
	d      *daemon
	riders []*rider
	each   int // messages
	report []string
}

// TestAStormOfResumptions resumes many sessions at once: all get what they had not
// acknowledged, exactly once and in order (rules 34 and 35). It is small here; with
// PARLEY_STORM=1000x100 it is as many sessions as that, with so many messages each, and
// must be over within five seconds. With -v it tells what each phase took.
func TestAStormOfResumptions(t *testing.T) {
	sessions, each, patient := 40, 25, time.Minute
	if size := os.Getenv("PARLEY_STORM"); size != "" {
		if _, err := fmt.Sscanf(size, "%dx%d", &sessions, &each); err != nil {
			t.Fatalf("PARLEY_STORM=%s: %v, want 1000x100", size, err)
		}
		patient = 5 * time.Second
	}
	s := newStorm(t, sessions, each)
	s.phase("sign in", (*rider).arrive, (*rider).begin)
	s.phase("send and get", s.talk)
	s.phase("are cut", (*rider).cut)
	took := s.phase("come back", (*rider).arrive, func(r *rider) error { return r.resume(0) }, s.gotAgain)
	s.phase("acknowledge", s.settle)
	s.phase("are cut again", (*rider).cut)
	s.phase("come back to nothing", (*rider).arrive, func(r *rider) error { return r.resume(each) }, s.settle)
	t.Logf("%d sessions with %d messages each, %d processors:\n%s", sessions, each, runtime.NumCPU(), strings.Join(s.report, "\n"))
	if took > patient {
		t.Errorf("the sessions were back after %v, want %v at most", took, patient)
	}
}

func newStorm(t *testing.T, sessions, each int) *storm {
	t.Helper()
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "",
		"-set", "limits.unauthenticated_per_address=0", "-set", "roster.colleagues=false", "desk.example")
	var people strings.Builder
	for i := range sessions {
		fmt.Fprintf(&people, "rider%d@desk.example\t%s\n", i, riderPassword)
	}
	must(t, people.String(), "agent", "import", "-no-policy", "-config", config)
	s := &storm{t: t, d: startDaemon(t, dir), each: each}
	c := &tls.Config{ServerName: "desk.example", RootCAs: s.d.roots(), MinVersion: tls.VersionTLS12}
	for i := range sessions {
		s.riders = append(s.riders, &rider{number: i, addr: s.d.tls, tls: c})
	}
	t.Cleanup(func() {
		for _, r := range s.riders {
			if r.conn != nil {
				_ = r.cut() // most have been before
			}
		}
	})
	return s
}

// phase lets all riders do something at once, and notes what it took.
func (s *storm) phase(name string, steps ...func(*rider) error) time.Duration {
	s.t.Helper()
	errs := make([]error, len(s.riders))
	before, begun := s.cpu(), time.Now()
	var wg sync.WaitGroup
	for i, r := range s.riders {
		wg.Go(func() {
			for _, step := range steps {
				if errs[i] = step(r); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	took, cpu := time.Since(begun), s.cpu()-before
	s.report = append(s.report, fmt.Sprintf("they %-22s %7v; the server worked %7v", name, took.Round(time.Millisecond), cpu))
	for _, err := range errs {
		if err != nil {
			s.t.Fatalf("%s: %v", name, err)
		}
	}
	return took
}

// cpu is the processor time that the server has had, where that can be known.
func (s *storm) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.d.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// Behind the name, in hundredths of a second: proc(5).
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// talk sends the next rider its messages, and takes one's own without acknowledging them.
func (s *storm) talk(r *rider) error {
	var b strings.Builder
	to := (r.number + 1) % len(s.riders)
	for i := range s.each {
		fmt.Fprintf(&b, "<message to='rider%d@desk.example/r' type='chat' id='%d-%d'><body>%s</body></message>", to, r.number, i, strings.Repeat("x", 100))
	}
	if _, err := r.conn.Write([]byte(b.String())); err != nil {
		return err
	}
	_, err := s.got(r)
	return err
}

// gotAgain takes what is sent again after a resumption, each with its time.
func (s *storm) gotAgain(r *rider) error {
	text, err := s.got(r)
	if n := strings.Count(text, "urn:xmpp:delay"); err == nil && n != s.each {
		err = fmt.Errorf("%s: %d of %d messages tell their delay", r.name(), n, s.each)
	}
	return err
}

var messageID = regexp.MustCompile(`<message type='chat' id='([^']*)'`)

// got takes a rider's messages and looks whether they are those that the one before it
// sent.
func (s *storm) got(r *rider) (text string, err error) {
	text, err = r.take("</message>", s.each)
	if err != nil {
		return "", err
	}
	from := (r.number + len(s.riders) - 1) % len(s.riders)
	var want, got []string
	for i := range s.each {
		want = append(want, fmt.Sprintf("%d-%d", from, i))
	}
	for _, m := range messageID.FindAllStringSubmatch(text, -1) {
		got = append(got, m[1])
	}
	if !slices.Equal(got, want) {
		return "", fmt.Errorf("%s got %v, want %v", r.name(), got, want)
	}
	return text, nil
}

// settle acknowledges all, and looks that nothing else came.
func (s *storm) settle(r *rider) error {
	text, err := r.ask("<a ", "<a xmlns='urn:xmpp:sm:3' h='%d'/><r xmlns='urn:xmpp:sm:3'/>", s.each)
	if err == nil && strings.Contains(text, "<message") {
		err = fmt.Errorf("%s got more than once: %.300q", r.name(), text)
	}
	if err != nil {
		return err
	}
	count, err := r.take("/>", 1)
	if err == nil && !strings.Contains(count, fmt.Sprintf(" h='%d'", s.each)) {
		err = fmt.Errorf("%s: %q, want that %d stanzas were dealt with", r.name(), count, s.each)
	}
	return err
}
