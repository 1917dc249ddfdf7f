package hook

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley.im/parley/store"
)

// A raw receiver does to each connection what it likes, until the other end is gone.
func raw(t *testing.T, do func(c net.Conn)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.(*net.TCPConn).SetWriteBuffer(64 << 10) // the test is about what the other end takes
				do(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return "http://" + l.Addr().String() + "/"
}

// asked reads a request, so that what follows is an answer.
func asked(c net.Conn) bool {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err == nil
}

// drip writes text byte by byte, for ever.
func drip(c io.Writer, text string) {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
			return
		}
		<-again.C
	}
}

// flood writes a gigabyte of text.
func flood(c io.Writer, text string) (taken int64) {
	some := []byte(strings.Repeat(text, 1+(64<<10)/len(text)))
	for taken < 1<<30 {
		n, err := c.Write(some)
		taken += int64(n)
		if err != nil {
			break
		}
	}
	return taken
}

// However receivers misuse a connection, it costs little memory and little of what they send is
// taken; it ends, with a sentence in the delivery log; and another endpoint gets its events.
func TestHostileReceiversHoldNothing(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	var taken atomic.Int64 // the most of one connection
	floods := func(head, text string) func(c net.Conn) {
		return func(c net.Conn) {
			if !asked(c) {
				return
			}
			if _, err := io.WriteString(c, head); err != nil {
				return
			}
			n := flood(c, text)
			for most := taken.Load(); n > most && !taken.CompareAndSwap(most, n); most = taken.Load() {
			}
		}
	}
	says := func(text string) func(c net.Conn) {
		return func(c net.Conn) {
			if asked(c) {
				io.WriteString(c, text) // then it is closed
			}
		}
	}
	drips := func(head, text string) func(c net.Conn) {
		return func(c net.Conn) {
			if asked(c) {
				io.WriteString(c, head)
				drip(c, text)
			}
		}
	}
	const late, odd = "the receiver did not answer in time", "the receiver's answer cannot be understood"
	cases := []struct {
		name   string
		do     func(net.Conn)
		status int
		want   string
		answer int // bytes of it that are kept; -1 is any
	}{
		{"drips its head", drips(ok+"x: ", "y"), 0, late, 0},
		{"drips its answer", drips(ok+"\r\n", "."), 200, "", -1},
		{"drips notices", drips("", "HTTP/1.1 103 Early Hints\r\n\r\n"), 0, late, 0},
		{"reads nothing", func(net.Conn) { <-t.Context().Done() }, 0, late, 0},
		{"promises more than it sends", says(ok + "Content-Length: 1000000000000\r\n\r\nabc"), 200, "", 3},
		{"sends more than it promises", floods(ok+"Content-Length: 3\r\n\r\n", "abc"), 200, "", 3},
		{"promises less than nothing", says(ok + "Content-Length: -1\r\n\r\nabc"), 0, odd, 0},
		{"makes two promises", says(ok + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), 0, odd, 0},
		{"answers with a gigabyte", floods(ok+"Content-Length: 1073741824\r\n\r\n", "abc"), 200, "", maxAnswer},
		{"answers with chunks for ever", floods(ok+"Transfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n"), 200, "", maxAnswer},
		{"promises a chunk of all there is", floods(ok+"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n", "abc"), 200, "", maxAnswer},
		{"has a head without end", floods(ok, "x: y\r\n"), 0, odd, 0},
		{"has a line without end", floods("HTTP/1.1 200 ", "OK"), 0, odd, 0},
		{"gives notices without end", floods("", "HTTP/1.1 103 Early Hints\r\n\r\n"), 0, odd, 0},
		{"is compressed", floods(ok+"Content-Encoding: gzip\r\n\r\n", "\x1f\x8b\x08\x00"), 200, "", maxAnswer},
	}
	log.SetOutput(io.Discard) // net/http quotes there what comes unasked
	defer log.SetOutput(os.Stderr)
	ca := newAuthority(t)
	good := &receiver{}
	m := newLedger(t).with(store.Endpoint{ID: "wh_good", URL: https(t, ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour)), good)})
	for i, c := range cases {
		m.with(store.Endpoint{ID: fmt.Sprint("wh_", i), URL: raw(t, c.do)})
	}
	const events = 50
	var texts []string
	for range events {
		texts = append(texts, strings.Repeat("hello ", 100))
	}
	m.say(texts...)

	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := loopback(ca)
	c.Timeout, c.Drain = 5*time.Second, 100*time.Millisecond
	c.Log = slog.New(slog.DiscardHandler)
	_, stop := start(t, c, desk(m))
	defer stop()
	first := make(map[string]store.Attempt)
	var peak uint64
	patience := time.After(60 * time.Second)
	for len(good.all()) < events || len(first) < len(cases)+1 {
		select {
		case p := <-m.advanced:
			for _, at := range p.Attempts {
				if _, known := first[at.Endpoint]; !known {
					first[at.Endpoint] = at
				}
			}
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
		case <-patience:
			t.Fatalf("the good receiver has %d of %d events; of %d others came %d attempts", len(good.all()), events, len(cases), len(first)-1)
		}
	}
	for i, c := range cases {
		at := first[fmt.Sprint("wh_", i)]
		if at.Status != c.status || at.Err != c.want || c.answer >= 0 && len(at.Answer) != c.answer || len(at.Answer) > maxAnswer {
			t.Errorf("%s: recorded %d %q and %d bytes of answer, want %d %q and %d", c.name, at.Status, at.Err, len(at.Answer), c.status, c.want, c.answer)
		}
	}
	if grown := int64(peak) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	// What the kernel holds for a connection on loopback is some MiB.
	if n := taken.Load(); n > 32<<20 {
		t.Errorf("%d MiB were taken of one answer", n>>20)
	}
	t.Logf("the heap grew by %d KiB; of one answer %d KiB were taken, the kernel's share included", (int64(peak)-int64(before.HeapAlloc))>>10, taken.Load()>>10)
}
