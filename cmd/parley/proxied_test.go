package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// proxyHead is a PROXY header of version 2 with an address block.
func proxyHead(command, family byte, block string) string {
	head := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family)
	return string(binary.BigEndian.AppendUint16(head, uint16(len(block)))) + block
}

// proxiedHere listens for proxies on 127.0.0.1 that are there, too.
func proxiedHere(t *testing.T, wait time.Duration, log io.Writer) *proxied {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	trusted := func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }
	p := proxiedWithin(wait, l, trusted, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() { p.Close() })
	return p
}

// dialFrom connects from one of this machine's addresses.
func dialFrom(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	v4Block = "\xc0\x00\x02\x07\xc0\x00\x02\x01\x30\x39\x01\xbb" // 192.0.2.7:12345 to 192.0.2.1:443
	v6Block = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x30\x39\x01\xbb"
)

// What is believed of who comes, and what follows the header is nobody else's business.
func TestProxyHeaders(t *testing.T) {
	t.Parallel()
	p := proxiedHere(t, patience, io.Discard)
	for _, c := range []struct{ name, head, want string }{
		{"version 1", "PROXY TCP4 192.0.2.7 192.0.2.1 12345 443\r\n", "192.0.2.7:12345"},
		{"version 1, IPv6", "PROXY TCP6 2001:db8::7 2001:db8::1 12345 443\r\n", "[2001:db8::7]:12345"},
		{"version 1, not known", "PROXY UNKNOWN\r\n", ""},
		{"version 1, not known but told", "PROXY UNKNOWN 192.0.2.7 192.0.2.1 12345 443\r\n", ""},
		{"version 2", proxyHead(0x21, 0x11, v4Block), "192.0.2.7:12345"},
		{"version 2, IPv6", proxyHead(0x21, 0x21, v6Block), "[2001:db8::7]:12345"},
		{"version 2, IPv4 in IPv6", proxyHead(0x21, 0x21, strings.Repeat("\x00", 10)+"\xff\xff\xc0\x00\x02\x07"+v6Block[16:]), "192.0.2.7:12345"},
		{"version 2, with more to tell", proxyHead(0x21, 0x11, v4Block+"\x04\x00\x08whatever"), "192.0.2.7:12345"},
		{"version 2, the proxy itself", proxyHead(0x20, 0x00, ""), ""},
		{"version 2, the proxy itself, talkative", proxyHead(0x20, 0x11, v4Block), ""},
	} {
		client := dialFrom(t, "127.0.0.1", p.Addr().String())
		if _, err := io.WriteString(client, c.head+"hello"); err != nil {
			t.Fatal(err)
		}
		server, err := p.Accept()
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if c.want == "" {
			c.want = client.LocalAddr().String()
		}
		if got := server.RemoteAddr().String(); got != c.want {
			t.Errorf("%s: comes from %s, want %s", c.name, got, c.want)
		}
		if _, err := io.WriteString(client, " world"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len("hello world"))
		if _, err := io.ReadFull(server, got); err != nil || string(got) != "hello world" {
			t.Errorf("%s: after the header came %q, %v", c.name, got, err)
		}
		if hung := server.(*proxiedConn); hung.begin != nil && hung.begin.Buffered() > 0 {
			t.Errorf("%s: something is left of what came with the header", c.name)
		}
		client.Close()
		server.Close()
	}
}

// Whoever does not begin as a trusted proxy does is closed, without a word.
func TestProxyHeadersRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, from, head, want string }{
		{"an honest header from elsewhere", "127.0.0.2", "PROXY TCP4 192.0.2.7 192.0.2.1 12345 443\r\n", errUntrusted.Error()},
		{"TLS", "127.0.0.1", "\x16\x03\x01\x00\x05hello", errNoHeader.Error()},
		{"HTTP", "127.0.0.1", "GET / HTTP/1.1\r\n\r\n", errNoHeader.Error()},
		{"a name", "127.0.0.1", "PROXY TCP4 localhost 192.0.2.1 12345 443\r\n", "not a PROXY header"},
		{"the other family", "127.0.0.1", "PROXY TCP4 2001:db8::7 2001:db8::1 12345 443\r\n", "not a PROXY header"},
		{"a port too high", "127.0.0.1", "PROXY TCP4 192.0.2.7 192.0.2.1 65536 443\r\n", "not a PROXY header"},
		{"cut in the line", "127.0.0.1", "PROXY TCP4 192.0.2.7 192.0.2.1 123", "not a PROXY header"},
		{"a line without an end", "127.0.0.1", "PROXY TCP4 " + strings.Repeat("1", 4096), "not a PROXY header"},
		{"a line that ends too late", "127.0.0.1", "PROXY UNKNOWN " + strings.Repeat("x", 100) + "\r\n", "not a PROXY header"},
		{"half a line's end", "127.0.0.1", "PROXY TCP4 192.0.2.7 192.0.2.1 12345 443\n", "not a PROXY header"},
		{"version 3", "127.0.0.1", proxyHead(0x31, 0x11, v4Block), "not a PROXY header"},
		{"an unknown command", "127.0.0.1", proxyHead(0x22, 0x11, v4Block), "not a PROXY header"},
		{"an unknown family", "127.0.0.1", proxyHead(0x21, 0x51, v4Block), "not a PROXY header"},
		{"a block too short", "127.0.0.1", proxyHead(0x21, 0x21, v4Block), "not a PROXY header"},
		{"a length that lies", "127.0.0.1", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff" + v4Block, "not a PROXY header"},
		{"UDP", "127.0.0.1", proxyHead(0x21, 0x12, v4Block), errNotOverTCP.Error()},
		{"a socket of its machine", "127.0.0.1", proxyHead(0x21, 0x31, strings.Repeat("/", 216)), errNotOverTCP.Error()},
		{"nobody", "127.0.0.1", proxyHead(0x21, 0x00, ""), "not a PROXY header"},
		{"half a block", "127.0.0.1", proxyHead(0x21, 0x11, v4Block)[:20], "not a PROXY header"},
		{"nothing", "127.0.0.1", "", "left before the PROXY header"},
	} {
		var log bytes.Buffer
		p := proxiedHere(t, patience, &log)
		client := dialFrom(t, c.from, p.Addr().String())
		if _, err := io.WriteString(client, c.head); err != nil {
			t.Fatal(err)
		}
		if err := client.(*net.TCPConn).CloseWrite(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Logf("%s: %v", c.name, err) // it may have been closed already
		}
		if got, _ := io.ReadAll(client); len(got) > 0 { // how the end is noticed depends on what was read
			t.Errorf("%s: answered with %q", c.name, got)
		}
		p.Close() // after which the log is written
		if !strings.Contains(log.String(), c.want) {
			t.Errorf("%s: the log has %s, want %s", c.name, &log, c.want)
		}
		if conn, err := p.Accept(); err == nil {
			t.Errorf("%s: let in as %s", c.name, conn.RemoteAddr())
		}
	}
}

// FuzzProxyHeader: whatever comes first, it is an address, the proxy's own, or an end; and no
// more is read than a header may have.
func FuzzProxyHeader(f *testing.F) {
	for _, s := range []string{
		"", "PROXY TCP4 192.0.2.7 192.0.2.1 12345 443\r\n", "PROXY UNKNOWN\r\n", "PROXY TCP6 2001:db8::7 ::1 1 2\r\n",
		proxyHead(0x21, 0x11, v4Block), proxyHead(0x21, 0x21, v6Block), proxyHead(0x20, 0x00, ""), proxyHead(0x21, 0x31, strings.Repeat("/", 216)), proxyHead(0x21, 0x12, v4Block),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		in := bytes.NewReader(append(head, make([]byte, 1<<16)...))
		addr, err := readProxyHeader(bufio.NewReader(in))
		if err == nil && addr != nil {
			if at, err := netip.ParseAddrPort(addr.String()); err != nil || at.Addr().Is4In6() {
				t.Errorf("%q brings %s, %v", head, addr, err)
			}
		}
		if read := in.Size() - int64(in.Len()); read > 3*4096 {
			t.Errorf("%q: %d bytes were read", head, read)
		}
	})
}

// A header that does not come, or comes byte by byte, holds up nobody, and ends by itself.
func TestSlowProxyHeaders(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := proxiedHere(t, 300*time.Millisecond, &log)
	head := proxyHead(0x21, 0x11, v4Block)
	silent := dialFrom(t, "127.0.0.1", p.Addr().String())
	dripping := dialFrom(t, "127.0.0.1", p.Addr().String())
	if _, err := io.WriteString(dripping, head[:3]); err != nil {
		t.Fatal(err)
	}
	quick := dialFrom(t, "127.0.0.1", p.Addr().String())
	if _, err := io.WriteString(quick, head); err != nil {
		t.Fatal(err)
	}
	got, err := p.Accept()
	if err != nil || got.RemoteAddr().String() != "192.0.2.7:12345" {
		t.Fatalf("%v, %v behind two slow ones", got, err)
	}
	defer got.Close()
	drip := time.NewTicker(20 * time.Millisecond) // quicker than the deadline, and slower in all
	defer drip.Stop()
	for i := 3; i < len(head); i++ {
		<-drip.C
		if _, err := io.WriteString(dripping, head[i:i+1]); err != nil {
			break
		}
	}
	for name, c := range map[string]net.Conn{"silent": silent, "dripping": dripping} {
		if text, err := io.ReadAll(c); len(text) > 0 || err != nil && isTimeout(err) {
			t.Errorf("%s: %q, %v, want it closed", name, text, err)
		}
	}
	p.Close()
	if !strings.Contains(log.String(), "PROXY header") {
		t.Errorf("the log has %s", &log)
	}
}

// So many wait for their header at most; when they have gone, others are let in. Close ends
// those that wait.
func TestProxyHeadersAtOnce(t *testing.T) {
	t.Parallel()
	p := proxiedHere(t, patience, io.Discard)
	var waiting []net.Conn
	for range proxyHeadersAtOnce {
		waiting = append(waiting, dialFrom(t, "127.0.0.1", p.Addr().String()))
	}
	late := dialFrom(t, "127.0.0.1", p.Addr().String())
	if _, err := io.WriteString(late, "PROXY TCP4 192.0.2.7 192.0.2.1 12345 443\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all places are taken", func() bool { return len(p.room) == cap(p.room) })
	select {
	case a := <-p.ready:
		t.Fatalf("there was room for one more: %v", a)
	default:
	}
	waiting[0].Close()
	got, err := p.Accept()
	if err != nil || got.RemoteAddr().String() != "192.0.2.7:12345" {
		t.Fatalf("%v, %v when there is room", got, err)
	}
	got.Close()
	p.Close()
	if text, err := io.ReadAll(waiting[1]); len(text) > 0 || err != nil && isTimeout(err) {
		t.Errorf("after Close: %q, %v", text, err)
	}
}
