package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley.im/parley/conf"
	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// benchPairs is how many pairs of agents talk.
const benchPairs = 50

// BenchmarkPairs is a message's whole way, in one process over TLS on the loopback:
// fifty pairs of agents, each sender with up to ten messages on their way. What it
// reports is for a message, the clients' part (small: they only count) included. It is
// done with an empty account and with a filled one.
func BenchmarkPairs(b *testing.B) {
	b.Run("empty", func(b *testing.B) { benchmarkPairs(b, newBenchServer(b, 2*benchPairs)) })
	b.Run("filled", func(b *testing.B) {
		s, _ := filledServer(b)
		benchmarkPairs(b, s)
	})
}

func benchmarkPairs(b *testing.B, s *benchServer) {
	p := s.pairs(b)
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	p.talk(b, b.N)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/msg")
}

// A pairing is the two ends of each pair.
type pairing struct{ senders, receivers []*tls.Conn }

func (s *benchServer) pairs(b *testing.B) (p pairing) {
	for i := range benchPairs {
		p.senders, p.receivers = append(p.senders, s.signIn(b, 2*i)), append(p.receivers, s.signIn(b, 2*i+1))
	}
	return p
}

// talk lets all of them say so many messages, and returns when these have arrived.
func (p pairing) talk(b *testing.B, n int) {
	const pairs, window = benchPairs, 10
	senders, receivers := p.senders, p.receivers
	var wg sync.WaitGroup
	errs := make(chan error, 3*pairs)
	for i := range pairs {
		share := n / pairs
		if i < n%pairs {
			share++
		}
		room := make(chan struct{}, window)
		stanza := fmt.Appendf(nil, "<message to='%s/bench' type='chat'><body>%s</body></message>", benchJID(2*i+1), strings.Repeat("x", 100))
		wg.Go(func() {
			for range share {
				room <- struct{}{}
				if _, err := senders[i].Write(stanza); err != nil {
					errs <- err
					return
				}
			}
		})
		wg.Go(func() {
			if err := countMessages(receivers[i], share, func() { <-room }); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	if err := <-errs; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPairsBesideRetention compares the rate of the pairs while old records are
// destroyed with that of the moments between, on one server in alternation. Give it
// PARLEY_RECORDS=1000000 or more, so that there is enough to destroy.
func BenchmarkPairsBesideRetention(b *testing.B) {
	const round = 60_000 // messages
	s, _ := filledServer(b)
	p := s.pairs(b)
	account := s.inst.list()[0]
	p.talk(b, round)
	b.ResetTimer()
	var alone, beside, slowest time.Duration
	destroyed := int64(0)
	for range b.N {
		began := time.Now()
		p.talk(b, round/2)
		alone += time.Since(began)

		ctx, stop := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		before := logRows(b, account)
		go func() {
			f, err := account.store.Expire(ctx, store.Expiry{Now: s.inst.now()})
			slowest = max(slowest, f.Slowest)
			ended <- err
		}()
		began = time.Now()
		p.talk(b, round)
		beside += time.Since(began)
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			b.Fatalf("it ended before it was to: %v: give it more records", err)
		}
		destroyed += before + round - logRows(b, account)

		began = time.Now() // before and behind, so that what one leaves to the other counts for both
		p.talk(b, round/2)
		alone += time.Since(began)
	}
	b.ReportMetric(alone.Seconds()/beside.Seconds(), "ratio")
	b.ReportMetric(float64(round*b.N)/alone.Seconds(), "msg/s-alone")
	b.ReportMetric(float64(slowest.Microseconds())/1000, "ms-slowest")
	b.ReportMetric(float64(destroyed)/beside.Seconds(), "destroyed/s")
}

// logRows is how many records an account's file has.
func logRows(b *testing.B, a *account) (n int64) {
	db, err := conn.Open(conn.Config{Path: filepath.Join(a.dir, "data.db"), ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if n, err = db.Number("SELECT count(*) FROM log"); err != nil {
		b.Fatal(err)
	}
	return n
}

// countMessages reads until n messages have come.
func countMessages(r io.Reader, n int, each func()) error {
	buf := make([]byte, 16<<10)
	end := []byte("</message>")
	rest := 0 // of the last read, which may hold the beginning of an end
	for n > 0 {
		k, err := r.Read(buf[rest:])
		if err != nil {
			return err
		}
		have := buf[:rest+k]
		for n > 0 {
			i := bytes.Index(have, end)
			if i < 0 {
				break
			}
			have = have[i+len(end):]
			n--
			each()
		}
		if len(have) > len(end) {
			have = have[len(have)-len(end)+1:]
		}
		rest = copy(buf, have)
	}
	return nil
}

func benchJID(i int) string { return fmt.Sprintf("agent%d@desk.example", i) }

// A benchServer is a whole server for a benchmark.
type benchServer struct {
	*server
	started time.Duration // how long that took
	address string
	roots   *x509.CertPool
}

func newBenchServer(b *testing.B, agents int) *benchServer {
	b.Helper()
	return benchServerIn(b, b.TempDir(), agents)
}

// benchServerIn serves the installation in a folder, and makes it when there is none.
func benchServerIn(b *testing.B, dir string, agents int) *benchServer {
	b.Helper()
	config := filepath.Join(dir, "parley.toml")
	if _, err := os.Stat(config); err != nil {
		installBench(b, dir, config, agents)
	}
	f, err := conf.Load(config, nil)
	if err != nil {
		b.Fatal(err)
	}
	f.Roster.Colleagues = false // presence is another thing to measure
	f.Retention.Enterprise = 100 * 24 * time.Hour
	ctx, stop := context.WithCancel(context.Background())
	began := time.Now()
	server, err := newServer(ctx, f, slog.New(slog.DiscardHandler), realWorld)
	if err != nil {
		stop()
		b.Fatal(err)
	}
	started := time.Since(began)
	ended := make(chan error, 1)
	go func() { ended <- server.run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	roots, err := readRoots(filepath.Join(dir, "tls/ca.pem"))
	if err != nil {
		b.Fatal(err)
	}
	return &benchServer{server: server, started: started, address: server.xmppOn[0].Addr().String(), roots: roots}
}

func installBench(b *testing.B, dir, config string, agents int) {
	b.Helper()
	command := func(stdin string, args ...string) {
		if err := run(b.Context(), args, strings.NewReader(stdin), io.Discard, io.Discard); err != nil {
			b.Fatalf("parley %s: %v", strings.Join(args, " "), err)
		}
	}
	command("", "quickstart", "-dir", dir, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "", "-set", "auth.iterations=10000", "desk.example")
	var people strings.Builder
	for i := range agents {
		fmt.Fprintf(&people, "%s\tcorrect horse\n", benchJID(i))
	}
	command(people.String(), "agent", "import", "-no-policy", "-config", config)
}

// signIn returns a connection on which the agent is available as "bench".
func (s *benchServer) signIn(b *testing.B, i int) *tls.Conn {
	b.Helper()
	raw, err := net.Dial("tcp", s.address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { raw.Close() })
	name, _, _ := strings.Cut(benchJID(i), "@")
	l := login{domain: "desk.example", name: name, password: "correct horse"}
	j := &jabber{conn: tls.Client(raw, &tls.Config{ServerName: l.domain, RootCAs: s.roots})}
	j.in = bufio.NewReader(j.conn)
	if err := errors.Join(raw.SetDeadline(time.Now().Add(patience)), j.header(l), j.authenticate(l), j.header(l)); err != nil {
		b.Fatal(err)
	}
	j.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench</resource></bind></iq><presence/>")
	for range 2 { // the answer, and its own presence
		if _, err := j.element(); err != nil {
			b.Fatal(err)
		}
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		b.Fatal(err)
	}
	return j.conn
}
