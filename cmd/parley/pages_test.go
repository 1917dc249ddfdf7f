package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/storetest"
)

// BenchmarkPages is how an archive is read back, page by page in one process over TLS
// on the loopback: one conversation that has the log for itself, and one of fifty that
// go on at the same time. What it reports is for a message, the client's part (small:
// it only counts) included.
func BenchmarkPages(b *testing.B) {
	b.Run("alone", func(b *testing.B) { benchmarkPages(b, 1, 100_000) })
	b.Run("oneOf50", func(b *testing.B) { benchmarkPages(b, 50, 10_000) })
}

func benchmarkPages(b *testing.B, pairs, records int) {
	const page = 100
	s := newBenchServer(b, 2*pairs+1)
	st := s.inst.list()[0].store
	agents, err := st.Agents(b.Context())
	if err == nil {
		err = storetest.Fill(b.Context(), st, &storetest.Filling{Agents: agents, Domain: "desk.example", Conversations: 1, Said: records, Active: 1,
			Records: pairs * records, Start: time.Now().Add(-24 * time.Hour), End: time.Now(), Body: 128})
	}
	if err != nil {
		b.Fatal(err)
	}
	st.SaveDelivery(agents[0].ID, store.Delivery{Cursor: st.Newest()}) // nothing waits for her
	r := &archiveReader{conn: s.signIn(b, 0), buf: make([]byte, 1<<20)}
	b.ReportAllocs()
	b.ResetTimer()
	before, read := cpuTime(b), 0
	for read < b.N {
		n, err := r.page(min(page, b.N-read))
		if err != nil || n == 0 {
			b.Fatal(n, err)
		}
		read += n
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(read), "cpu-ns/msg")
}

// An archiveReader is a client that reads its archive from the beginning, again and
// again.
type archiveReader struct {
	conn  *tls.Conn
	buf   []byte
	after string
}

// page asks for the next messages and answers how many have come.
func (r *archiveReader) page(limit int) (int, error) {
	if _, err := fmt.Fprintf(r.conn, "<iq type='set' id='p'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>"+
		"<max>%d</max>%s</set></query></iq>", limit, r.after); err != nil {
		return 0, err
	}
	got := r.buf[:0]
	for !bytes.HasSuffix(got, []byte("</fin></iq>")) {
		n, err := r.conn.Read(r.buf[len(got):])
		if err == nil && n == 0 {
			err = io.ErrShortBuffer
		}
		if err != nil {
			return 0, err
		}
		got = r.buf[:len(got)+n]
	}
	fin := got[bytes.LastIndex(got, []byte("<fin ")):]
	_, last, _ := bytes.Cut(fin, []byte("<last>"))
	last, _, _ = bytes.Cut(last, []byte("</last>"))
	r.after = "<after>" + string(last) + "</after>"
	if bytes.Contains(fin, []byte("complete='true'")) {
		r.after = ""
	}
	return bytes.Count(got, []byte("</result>")), nil
}

// cpuTime is what the process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
