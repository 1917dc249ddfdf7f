package backup_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"parley.im/parley/store/audit"
)

// auditing opens an audit log of an installation: an account's, or with "" its own.
func (p *place) auditing(account string) *audit.Log {
	p.t.Helper()
	dir := p.path("data")
	if account != "" {
		dir = p.path("data", "accounts", account)
	}
	l, err := audit.Open(audit.Config{Dir: dir, Account: account, Now: p.clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { l.Close() })
	return l
}

// WCP-10, HAP-2: audit logs come back with all their files, the installation's, too. What
// was on its way when the copy was made has a record then.
func TestAuditLogsComeBack(t *testing.T) {
	p := newPlace(t, true)
	logs := map[string]*audit.Log{"": p.auditing(""), "desk": p.auditing("desk")}
	for round := range 3 { // each in a month of its own, so that files are put aside
		for _, l := range logs {
			for i := range 40 {
				if err := l.Record("agent.create", fmt.Sprint("agent/", round, i), nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		p.mustCopy(false)
		p.later(35 * day)
	}
	for _, l := range logs {
		if _, err := l.Begin(audit.Record{Actor: audit.Actor{Kind: "operator", ID: "1"}, Action: "agent.delete", Object: "agent/1"}); err != nil {
			t.Fatal(err)
		}
	}
	p.mustCopy(false)
	head := logs["desk"]
	n, hash := head.Head()

	q, _ := p.restore(time.Time{})
	for account := range logs {
		l := q.auditing(account)
		report, err := l.Verify(nil)
		if err != nil || len(report.Faults) > 0 || report.Records != 121 || report.First != 1 {
			t.Errorf("the log of %q is %+v, %v", account, report, err)
		}
		var last audit.Record
		var at string
		if err := l.Read(audit.Filter{}, func(li *audit.Line) error {
			last = li.Record
			if li.N == n {
				at = li.Hash.String()
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if last.Action != "agent.delete" || last.Outcome != audit.Unknown {
			t.Errorf("the last record of %q is %+v", account, last)
		}
		if account == "desk" && at != hash.String() {
			t.Errorf("record %d has the hash %s, want %s", n, at, hash)
		}
	}
	for _, dir := range []string{q.path("data"), q.path("data/accounts/desk")} {
		if all, err := filepath.Glob(dir + "/audit-*.log"); err != nil || len(all) != 3 {
			t.Errorf("in %s there are %v, %v", dir, all, err)
		}
	}
}

// Files of an audit log that is put aside and grows while copies are made are whole in each
// of them.
func TestAuditLogIsPutAsideMeanwhile(t *testing.T) {
	p := newPlace(t, true)
	l := p.auditing("desk")
	if err := l.Record("agent.create", "agent/0", nil); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() { // ends when it is told to
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := l.Record("agent.create", fmt.Sprint("agent/", i), nil); err != nil {
				stopped <- err
				return
			}
			if i%20 == 19 {
				p.later(32 * day)
			}
		}
	}()
	for range 5 {
		if trouble := p.copy(false); len(trouble) > 0 {
			t.Fatal(trouble)
		}
		q, _ := p.restore(time.Time{}) // which verifies
		// Between two files there is no audit.log for a moment.
		if files, err := filepath.Glob(q.path("data/accounts/desk/audit*.log")); err != nil || len(files) == 0 {
			t.Errorf("audit logs: %q, %v", files, err)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
