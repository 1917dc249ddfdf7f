package main

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A zone is what a small DNS server knows, by name with the dot at its end. A name that is in
// none of its maps does not exist.
type zone struct {
	a    map[string][]string // IPv4 and IPv6
	srv  map[string][]dnsmessage.SRVResource
	fail map[string]bool // names for which it has trouble
}

// serve answers on loopback until the test ends, over UDP and TCP.
func (z *zone) serve(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	packets, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		packets.Close()
		all.Wait()
	})
	all.Go(func() {
		b := make([]byte, 4096)
		for {
			n, from, err := packets.ReadFrom(b)
			if err != nil {
				return
			}
			if answer := z.answer(b[:n]); answer != nil {
				_, _ = packets.WriteTo(answer, from) // whoever has left asks again
			}
		}
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			z.overTCP(c)
		}
	})
	return addr
}

// overTCP answers one question (RFC 1035 §4.2.2).
func (z *zone) overTCP(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	b := make([]byte, 2)
	if _, err := io.ReadFull(c, b); err != nil {
		return
	}
	b = make([]byte, binary.BigEndian.Uint16(b))
	if _, err := io.ReadFull(c, b); err != nil {
		return
	}
	answer := z.answer(b)
	_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
}

func (z *zone) answer(question []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(question)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	name := strings.ToLower(q.Name.String())
	addrs, known := z.a[name]
	srvs, service := z.srv[name]
	out := dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true}
	switch {
	case z.fail[name]:
		out.RCode = dnsmessage.RCodeServerFailure
	case !known && !service:
		out.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, out)
	b.EnableCompression()
	if b.StartQuestions() != nil || b.Question(q) != nil || b.StartAnswers() != nil {
		return nil
	}
	rh := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}
	for _, text := range addrs {
		ip := net.ParseIP(text)
		switch v4 := ip.To4(); {
		case v4 != nil && q.Type == dnsmessage.TypeA:
			err = b.AResource(rh, dnsmessage.AResource{A: [4]byte(v4)})
		case v4 == nil && q.Type == dnsmessage.TypeAAAA:
			err = b.AAAAResource(rh, dnsmessage.AAAAResource{AAAA: [16]byte(ip)})
		}
		if err != nil {
			return nil
		}
	}
	if q.Type == dnsmessage.TypeSRV {
		for _, r := range srvs {
			if b.SRVResource(rh, r) != nil {
				return nil
			}
		}
	}
	text, err := b.Finish()
	if err != nil {
		return nil
	}
	return text
}

// srv is one record that leads to a port of a name.
func srv(target string, port uint16) []dnsmessage.SRVResource {
	return []dnsmessage.SRVResource{{Weight: 5, Port: port, Target: dnsmessage.MustNewName(target)}}
}
