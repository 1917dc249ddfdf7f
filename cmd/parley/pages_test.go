package main

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// BenchmarkArchive is a page of fifty messages of an agent's many finished conversations,
// over the wire.
func BenchmarkArchive(b *testing.B) {
	s, f := filledServer(b)
	r := &archiveReader{conn: s.signIn(b, 0), buf: make([]byte, 1<<20)}
	for _, test := range []struct{ name, after, filter string }{
		{name: "first"},
		{name: "last", after: "<before/>"},
		{name: "byTime", filter: f.At(f.Records / 2).Format("2006-01-02T15:04:05.000Z")},
	} {
		b.Run(test.name, func(b *testing.B) {
			var took []time.Duration
			before := cpuTime(b)
			for b.Loop() {
				began := time.Now()
				r.after, r.start = test.after, test.filter
				if n, err := r.page(50); err != nil || n != 50 {
					b.Fatal(n, err)
				}
				took = append(took, time.Since(began))
			}
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(len(took)), "cpu-µs")
			slices.Sort(took)
			b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
		})
	}
}

// filledServer serves an account with records. PARLEY_RECORDS is how many there are;
// PARLEY_FIXTURES is a folder that keeps the installation, filled, from one run to the next.
func filledServer(b *testing.B) (*benchServer, *storetest.Filling) {
	b.Helper()
	records, _ := strconv.Atoi(cmp.Or(os.Getenv("PARLEY_RECORDS"), "20000"))
	dir := b.TempDir()
	if keep := os.Getenv("PARLEY_FIXTURES"); keep != "" {
		dir = filepath.Join(keep, fmt.Sprint("served-", records))
	}
	s := benchServerIn(b, dir, 2*benchPairs)
	b.Logf("%d records, started in %v", s.inst.list()[0].store.Newest(), s.started)
	f := &storetest.Filling{Domain: "desk.example", Conversations: max(records/1000, 20), Said: 50, Active: 20, Records: records,
		Start: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Body: 128}
	fillBench(b, s.inst.list()[0].store, f)
	return s, f
}

// fillBench fills an account that has a few agents, with others who never sign in.
func fillBench(b *testing.B, st store.Account, f *storetest.Filling) {
	b.Helper()
	if st.Newest() > 0 {
		return
	}
	names := make([]string, f.Conversations)
	for i := range names {
		names[i] = fmt.Sprintf("other%07d", i)
	}
	_, err := st.ImportAgents(b.Context(), names, "", make([]store.Credential, len(names)))
	if err == nil {
		f.Agents, err = st.Agents(b.Context())
	}
	if err == nil {
		err = storetest.Fill(b.Context(), st, f)
	}
	if err != nil {
		b.Fatal(err)
	}
	for _, g := range f.Agents {
		st.SaveDelivery(g.ID, store.Delivery{Cursor: st.Newest()}) // nothing waits for them
	}
}

// An archiveReader is a client that reads its archive from the beginning, again and
// again.
type archiveReader struct {
	conn  *tls.Conn
	buf   []byte
	after string // of result set management
	start string // a time; "" is any
}

// page asks for the next messages and answers how many have come.
func (r *archiveReader) page(limit int) (int, error) {
	filter := ""
	if r.start != "" {
		filter = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>" +
			"<field var='start'><value>" + r.start + "</value></field></x>"
	}
	if _, err := fmt.Fprintf(r.conn, "<iq type='set' id='p'><query xmlns='urn:xmpp:mam:2'>%s<set xmlns='http://jabber.org/protocol/rsm'>"+
		"<max>%d</max>%s</set></query></iq>", filter, limit, r.after); err != nil {
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
