package visit_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// perSocket is what an idle visitor's connection may take of the server's memory, TLS and all, in bytes.
const perSocket = 32 << 10

// Idle visitors take little: the connections are made by another process, so that what is measured is the server's
// side alone. PARLEY_TEST_SOCKETS=10000 has more of them.
func TestMemoryOfIdleVisitors(t *testing.T) {
	if addr := os.Getenv("PARLEY_TEST_DIAL"); addr != "" {
		dialMany(t, addr, os.Getenv("PARLEY_TEST_TOKEN"))
		return
	}
	sockets := 200
	if n, err := strconv.Atoi(os.Getenv("PARLEY_TEST_SOCKETS")); err == nil {
		sockets = n
	}
	s := newShop(t)
	// Contacts are not what is measured: eight connections have one.
	var tokens []string
	for i := range (sockets + 7) / 8 {
		s.comesFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String())
		tokens = append(tokens, s.open(J{"text": "Hello"}).Token)
	}
	before := memory()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMemoryOfIdleVisitors$", "-test.v")
	cmd.Env = append(os.Environ(), "PARLEY_TEST_DIAL="+s.https.Listener.Addr().String(), "PARLEY_TEST_TOKEN="+strings.Join(tokens, " "),
		fmt.Sprint("PARLEY_TEST_SOCKETS=", sockets))
	stdin, err := cmd.StdinPipe()
	s.must(err)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	s.must(cmd.Start())
	for end := time.Now().Add(5 * time.Minute); s.server.Stats.Connected.Load() < int64(sockets); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d are connected: %s", s.server.Stats.Connected.Load(), out.String())
		}
	}
	after := memory()
	if n := s.server.Stats.Connected.Load(); n != int64(sockets) {
		t.Errorf("%d are connected still", n)
	}
	each := (int64(after.all) - int64(before.all)) / int64(sockets)
	t.Logf("%d sockets: %d bytes each (heap %d, stacks %d), %.1f goroutines each", sockets, each,
		(int64(after.heap)-int64(before.heap))/int64(sockets), (int64(after.stacks)-int64(before.stacks))/int64(sockets),
		float64(after.goroutines-before.goroutines)/float64(sockets))
	if each > perSocket {
		t.Errorf("a socket takes %d bytes, more than %d", each, perSocket)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, out.String())
	}
}

type used struct {
	all, heap, stacks uint64
	goroutines        int
}

// memory is what is in use, with what the runtime keeps for it.
func memory() used {
	for range 5 {
		debug.FreeOSMemory() // each time stacks shrink by half, as they do by and by
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return used{m.HeapInuse + m.StackInuse + m.MSpanInuse, m.HeapInuse, m.StackInuse, runtime.NumGoroutine()}
}

// dialMany opens connections, says hello on each, and keeps them until nobody listens any more.
func dialMany(t *testing.T, addr, tokens string) {
	n, _ := strconv.Atoi(os.Getenv("PARLEY_TEST_SOCKETS"))
	conns := make(chan net.Conn, n)
	var all sync.WaitGroup
	list := strings.Fields(tokens)
	next := make(chan int)
	for range 16 {
		all.Go(func() {
			for i := range next {
				c, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(context.Background(), "tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				conns <- c
				hello := fmt.Sprintf(`{"type":"hello","token":"%s"}`, list[i/8])
				fmt.Fprintf(c, "GET /visit/desk/socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
					"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: parley.visit.1\r\n\r\n")
				c.Read(make([]byte, 1024))                                                           // 101
				c.Write(append([]byte{0x81, 0x80 | 126, 0, byte(len(hello)), 0, 0, 0, 0}, hello...)) // RFC 6455 §5.2, masked with nothing
				c.Read(make([]byte, 1024))                                                           // welcome
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	os.Stdin.Read(make([]byte, 1)) // until the server has been looked at
	close(conns)
	for c := range conns {
		c.Close()
	}
}
