package sqlite

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/storetest"
)

// PARLEY_RECORDS is how many records the account of these tests has, 20,000 unless it
// says otherwise; 10000000 is what the targets are for. PARLEY_FIXTURES is a folder in
// which such accounts are kept from one run to the next.
var (
	sizeRecords, _ = strconv.Atoi(cmp.Or(os.Getenv("PARLEY_RECORDS"), "20000"))
	sizeFixtures   = os.Getenv("PARLEY_FIXTURES")
)

// A layout is how an agent's conversations lie in the log of her account, one to each
// thousand records.
type layout struct {
	name         string
	said, active int // messages in each; how many go on at the same time, 0 is all
}

var layouts = []layout{
	{"finished", 50, 20}, // a twentieth of the log is hers
	{"short", 5, 20},
	{"longLived", 50, 0},
}

func (l layout) filling(records int) *storetest.Filling {
	f := &storetest.Filling{Domain: "desk.example", Conversations: max(records/1000, 20), Said: l.said, Records: records, Body: 128,
		Start: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	f.Active = cmp.Or(l.active, f.Conversations)
	return f
}

// openSized opens the account that f describes, and makes it when there is none.
func openSized(tb testing.TB, f *storetest.Filling) *Account {
	tb.Helper()
	dir := tb.TempDir()
	if sizeFixtures != "" {
		dir = filepath.Join(sizeFixtures, fmt.Sprintf("%d-%d-%d-%d", f.Records, f.Conversations, f.Said, f.Active))
	}
	k, err := keys.Open(tb.Context(), keys.Config{Dir: dir + "/keys", Account: "desk", Root: seal.Key{1}})
	if err != nil {
		tb.Fatal(err)
	}
	began := time.Now()
	a, err := Open(tb.Context(), Config{Dir: dir + "/data", Account: "desk", Keys: k, Sealed: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Logf("opened in %v", time.Since(began))
	tb.Cleanup(func() {
		if err := errors.Join(a.Close(), k.Close()); err != nil {
			tb.Error(err)
		}
	})
	if a.Newest() == 0 {
		fillSized(tb, a, f)
	}
	if f.Agents, err = a.Agents(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	if int(a.Newest()) < f.Records {
		tb.Fatalf("%s holds a part of what it should: delete it", dir)
	}
	return a
}

func fillSized(tb testing.TB, a *Account, f *storetest.Filling) {
	tb.Helper()
	names := make([]string, f.Conversations+1)
	for i := range names {
		names[i] = fmt.Sprintf("agent%07d", i)
	}
	_, err := a.ImportAgents(tb.Context(), names, "", make([]store.Credential, len(names)))
	if err == nil {
		f.Agents, err = a.Agents(tb.Context())
	}
	if err == nil {
		err = storetest.Fill(tb.Context(), a, f)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkArchive is the cost of a page of fifty messages of such an agent's archive.
// Set PARLEY_RECORDS and PARLEY_FIXTURES.
func BenchmarkArchive(b *testing.B) {
	for _, l := range layouts {
		b.Run(l.name, func(b *testing.B) { benchmarkArchive(b, l.filling(sizeRecords)) })
	}
}

func benchmarkArchive(b *testing.B, f *storetest.Filling) {
	a := openSized(b, f)
	me := f.Agents[0].ID
	with, err := a.FindDirect(b.Context(), me, f.Agents[f.Conversations/2].ID)
	if err != nil {
		b.Fatal(err)
	}
	middle := store.Ordinal(f.Records / 2)
	for _, test := range []struct {
		name string
		page store.Page
	}{
		{"first", store.Page{}},
		{"last", store.Page{Backwards: true}},
		{"after", store.Page{After: middle}},
		{"before", store.Page{Before: middle, Backwards: true}},
		{"byTime", store.Page{Start: f.At(f.Records / 2)}},
		{"byTimeBackwards", store.Page{End: f.At(f.Records / 2), Backwards: true}},
		{"cold", store.Page{Backwards: true}}, // whose conversations these are is read anew
		{"with", store.Page{With: with, Max: min(f.Said/2, 50)}},
		{"withLast", store.Page{With: with, Max: min(f.Said/2, 50), Backwards: true}},
	} {
		b.Run(test.name, func(b *testing.B) {
			test.page.Agent = me
			test.page.Max = cmp.Or(test.page.Max, 50)
			var took []time.Duration
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				if test.name == "cold" {
					a.views.forget()
				}
				n, began := 0, time.Now()
				if _, err := a.Page(b.Context(), test.page, func(*store.Entry) error { n++; return nil }); err != nil || n != test.page.Max {
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

// cpuTime is what the process has used.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
