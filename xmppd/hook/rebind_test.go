package hook

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"parley.im/parley/store"
)

// A nameServer is a real one, over UDP, whose answer for the address of a name is another each
// time it is asked; the last one stays.
type nameServer struct {
	conn net.PacketConn

	mu      sync.Mutex // guards what follows
	answers map[string][][]string
}

func newNameServer(t *testing.T, answers map[string][][]string) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &nameServer{conn: conn, answers: answers}
	var wg sync.WaitGroup
	wg.Go(n.serve)
	t.Cleanup(func() { conn.Close(); wg.Wait() })
	return n
}

func (n *nameServer) serve() {
	b := make([]byte, 64<<10)
	for {
		size, from, err := n.conn.ReadFrom(b)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(b[:size]) != nil || len(m.Questions) != 1 {
			continue
		}
		m.Response, m.Additionals = true, nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			for _, text := range n.next(q.Name.String()) {
				m.Answers = append(m.Answers, resource(q, netip.MustParseAddr(text))...)
			}
		}
		if out, err := m.Pack(); err == nil {
			n.conn.WriteTo(out, from)
		}
	}
}

func (n *nameServer) next(name string) (addresses []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.answers[name]
	if len(list) == 0 {
		return nil
	}
	if len(list) > 1 {
		n.answers[name] = list[1:]
	}
	return list[0]
}

// resolver asks the name server and nobody else.
func (n *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", n.conn.LocalAddr().String())
	}}
}

// twoListeners listen at one port of two addresses.
func twoListeners(t *testing.T, one, other string) (a, b net.Listener) {
	t.Helper()
	for range 20 {
		a, err := net.Listen("tcp", one+":0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(a.Addr().String())
		if b, err = net.Listen("tcp", other+":"+port); err == nil {
			return a, b
		}
		a.Close()
	}
	t.Fatalf("no port is free at both %s and %s", one, other)
	return nil, nil
}

// A name whose answer is a good address when it is looked at, and one inside the operator's
// network when it is dialled, leads nowhere: what is dialled is what is judged, each time.
func TestANameThatChangesItsAnswerLeadsNowhere(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, "shop.example", time.Now().Add(time.Hour))
	outside, inside := twoListeners(t, "127.0.0.2", "127.0.0.1")
	defer inside.Close()
	r := &receiver{}
	shop := httptest.NewUnstartedServer(r)
	shop.Listener.Close()
	shop.Listener = outside
	shop.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	shop.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	shop.Config.SetKeepAlivesEnabled(false) // each event dials anew
	shop.StartTLS()
	defer shop.Close()
	_, port, _ := net.SplitHostPort(outside.Addr().String())

	names := newNameServer(t, map[string][][]string{
		"shop.example.":  {{"127.0.0.2"}, {"127.0.0.1"}},
		"mixed.example.": {{"127.0.0.1", "127.0.0.2"}},
	})
	m := newLedger(t).with(store.Endpoint{ID: "wh_1", URL: "https://shop.example:" + port + "/"})
	// 127.0.0.2 stands for the Internet, 127.0.0.1 for what is nobody's business.
	c := Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, Roots: ca.pool, resolver: names.resolver()}
	s, stop := start(t, c, desk(m))
	defer stop()
	m.say("one")
	if at := m.next("wh_1").Attempts[0]; at.Status != 204 || at.Err != "" {
		t.Fatalf("at first: %d %q", at.Status, at.Err)
	}
	m.say("two")
	want := "refused to connect to 127.0.0.1:" + port
	if at := m.next("wh_1").Attempts[0]; at.Status != 0 || !strings.HasPrefix(at.Err, want) {
		t.Errorf("then: %d %q, want %q", at.Status, at.Err, want)
	}

	// Of several addresses the good one is taken, and only that is dialled.
	m.with(store.Endpoint{ID: "wh_2", URL: "https://mixed.example:" + port + "/", Cursor: m.Newest()})
	s.Reload("desk")
	m.say("three")
	if at := m.next("wh_2").Attempts[0]; at.Err != `TLS: the receiver's certificate is not for the name "mixed.example"` {
		t.Errorf("of two addresses: %d %q, want to hear of the certificate of the good one", at.Status, at.Err)
	}
	stop()

	// Nobody has come to the other: the first that comes is the test.
	ours, err := net.Dial("tcp", inside.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	first, err := inside.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if first.RemoteAddr().String() != ours.LocalAddr().String() {
		t.Errorf("somebody has connected to the inside: %s", first.RemoteAddr())
	}
}
