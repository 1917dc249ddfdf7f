package main

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// safes makes two places for copies beside an installation, and a key for them; the
// options are for the configuration.
func safes(t *testing.T, dir, every string) (identity string, options []string) {
	t.Helper()
	for _, name := range []string{"copies", "copies/data", "copies/keys"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	identity = filepath.Join(t.TempDir(), "identity.txt") // not where the server could find it
	public := strings.TrimSpace(must(t, "", "backup", "keygen", identity))
	return identity, []string{
		fmt.Sprintf("backup.recipients=[%q]", public), "backup.every=" + every,
		fmt.Sprintf(`backup.target=[{of = "data", to = %q}, {of = "keys", to = %q}]`, dir+"/copies/data", dir+"/copies/keys"),
	}
}

// restored makes an installation of the newest copies, with what is not in them.
func restored(t *testing.T, dir, identity string, more ...string) (back string) {
	t.Helper()
	back = filepath.Join(t.TempDir(), "back")
	must(t, "", append([]string{"restore", "-identity", identity, "-from", filepath.Join(dir, "copies/data"), "-keys-from", filepath.Join(dir, "copies/keys"), "-dir", back,
		"-root-key", filepath.Join(dir, "root.key")}, more...)...)
	for _, name := range []string{"root.key", "tls"} {
		if _, err := os.Stat(filepath.Join(back, name)); err == nil {
			t.Errorf("%s was in a copy", name)
		}
	}
	if err := os.CopyFS(filepath.Join(back, "tls"), os.DirFS(filepath.Join(dir, "tls"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(back, "tls/key.pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(back, "root.key"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return back
}

var numbered = regexp.MustCompile(`"number (\d+)"`)

// numbers are those of the messages in an agent's archive, in order.
func numbers(j *jabber) (list []int) {
	for _, e := range j.archive() {
		for _, m := range numbered.FindAllStringSubmatch(e.String(), -1) {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				j.t.Fatal(err)
			}
			list = append(list, n)
		}
	}
	return list
}

// talkUntil says numbered messages, each when the one before is acknowledged, and answers
// how many were, when the connection ends.
func talkUntil(j *jabber, progress func(acknowledged int)) (acknowledged int) {
	for n := 1; ; n++ {
		if _, err := fmt.Fprintf(j.conn, "<message to='ben@desk.example' id='n%d' type='chat'><body>number %d</body></message>"+
			"<iq type='get' id='p%d'><ping xmlns='urn:xmpp:ping'/></iq>", n, n, n); err != nil {
			return acknowledged
		}
		for {
			e, open := <-j.got
			if !open {
				return acknowledged
			}
			if e.attr("id") == fmt.Sprint("p", n) {
				break
			}
		}
		acknowledged = n
		progress(n)
	}
}

// HAP-2, HAP-3, I3: while people talk, both folders are lost. From the copies everything
// comes back but the last moments: agents sign in and read, and nothing of it was in
// clear in the copies, nor readable for who has the server alone.
func TestLostFoldersComeBack(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"enterprise", "plus"} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			identity, options := safes(t, dir, "1s")
			o := newOrdealIn(t, dir, profile, append(options, "roster.colleagues=false")...)
			o.talk()
			anna := o.login("anna", "laptop").in(t)

			copied := make(chan int, 1)
			talked := make(chan int)
			go func() { // ends with the connection, which the server's end cuts
				talked <- talkUntil(anna, func(n int) {
					if n == 50 {
						copied <- n
					}
				})
			}()
			least := <-copied
			must(t, "", "backup", "-config", o.conf)
			o.searchCopies("after a copy")
			o.d.end(syscall.SIGKILL)
			most := <-talked
			for _, name := range []string{"data", "keys"} {
				if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}

			back := restored(t, dir, identity)
			d := startDaemon(t, back)
			again := d.login("anna", o.passwords["anna"], "desk").in(t)
			got := numbers(again)
			for i, n := range got {
				if n != i+1 {
					t.Fatalf("message %d of the archive is number %d", i+1, n)
				}
			}
			if len(got) < least || len(got) > most+1 {
				t.Errorf("%d messages came back; %d had been copied, %d were said", len(got), least, most)
			}
			if text := again.ask("get", "", "<vCard xmlns='vcard-temp'/>").String(); !strings.Contains(text, o.m.of(unkept, "vCard")) {
				t.Errorf("Anna's card is %s", text)
			}
			t.Logf("%d of %d messages came back", len(got), most)
		})
	}
}

// searchCopies finds nothing of what was said, typed or sent in the copies and the
// spool, in any profile: they are sealed.
func (o *ordeal) searchCopies(when string) {
	o.t.Helper()
	files := 0
	for _, dir := range []string{"copies", "data/backup"} {
		root := filepath.Join(o.dir, dir)
		for path, in := range o.m.below(o.t, root, func(string) bool { files++; return false }, spoken, unkept, named, secret) {
			o.t.Errorf("%s, %s holds %q", when, path, in)
		}
	}
	if files < 8 {
		o.t.Errorf("%s, there are only %d files to search", when, files)
	}
}

// HAP-2: the server is killed again and again while it makes copies. What the newest
// manifest names is whole each time, and nothing of what an older copy had is missing
// from a newer one.
func TestBackupKilled(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	identity, options := safes(t, dir, "1s")
	o := newOrdealIn(t, dir, "enterprise", options...)
	last := 0
	for round := range 6 {
		if round > 0 {
			o.d.start()
		}
		anna := o.login("anna", fmt.Sprint("laptop-", round)).in(t)
		kill := make(chan struct{}, 1)
		talked := make(chan int)
		after := 20 + rng.IntN(60)
		go func() { // ends with the connection, which the server's end cuts
			talked <- talkUntil(anna, func(n int) {
				if n == after {
					kill <- struct{}{}
				}
			})
		}()
		stop := make(chan struct{})
		copying := make(chan int)
		go func() { // ends with the server; a copy is always being made
			done := 0
			for {
				select {
				case <-stop:
					copying <- done
					return
				default:
				}
				if _, _, err := typed(t, "", "backup", "-full", "-config", o.conf); err == nil {
					done++
				}
			}
		}()
		<-kill
		o.d.end(syscall.SIGKILL)
		close(stop)
		<-talked
		t.Logf("round %d: %d copies by command", round, <-copying)
		if _, prose, err := typed(t, "", "verify", "-backup", "-config", o.conf, "-identity", identity); err != nil {
			t.Fatalf("after kill %d: %s", round+1, prose)
		}
		records := restoredRecords(t, o, identity)
		if records < last {
			t.Errorf("after kill %d there are %d records in the newest copy, and there were %d", round+1, records, last)
		}
		last = records
	}
	if last == 0 {
		t.Error("nothing was ever copied")
	}
}

var recordsLine = regexp.MustCompile(`account desk: as it was at \S+, (\d+) records`)

func restoredRecords(t *testing.T, o *ordeal, identity string) int {
	t.Helper()
	_, prose, err := typed(t, "", "restore", "-identity", identity, "-from", filepath.Join(o.dir, "copies/data"),
		"-keys-from", filepath.Join(o.dir, "copies/keys"), "-dir", filepath.Join(t.TempDir(), "back"))
	m := recordsLine.FindStringSubmatch(prose)
	if err != nil || m == nil || strings.Contains(prose, " belongs ") { // which is for absolute paths
		t.Fatalf("restore: %s", prose)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// HAP-3: a place that is away makes the metrics, the log and an event say so; the other
// one gets its copies.
func TestStaleBackupIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, options := safes(t, dir, "1s")
	if err := os.Remove(filepath.Join(dir, "copies/data")); err != nil {
		t.Fatal(err)
	}
	args := []string{"quickstart", "-dir", dir, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "-set", "backup.stale=2s"}
	for _, option := range options {
		args = append(args, "-set", option)
	}
	must(t, "", append(args, "desk.example")...)
	config := filepath.Join(dir, "parley.toml")
	d := startDaemon(t, dir)
	eventually(t, "it is an event", func() bool {
		return strings.Contains(must(t, "", "conversation", "show", "-config", config, "1"), "backup.stale")
	})
	d.says(`msg="the newest copy is too old"`, "copies/data: no such file")
	_, page := d.get("/metrics")
	var ages []float64
	for _, of := range []string{"data", "keys"} {
		m := regexp.MustCompile(fmt.Sprintf(`parley_backup_age_seconds\{target="%s/copies/%s",of="%s"\} (\S+)`, dir, of, of)).FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("the metrics tell no age of %s:\n%s", of, page)
		}
		age, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		ages = append(ages, age)
	}
	if ages[0] < 2 || ages[1] >= ages[0] {
		t.Errorf("the copies are %v seconds old", ages)
	}
	if out, _, err := typed(t, "", "backup", "-config", config); err == nil || !strings.Contains(out, "copies/data: no such file") {
		t.Errorf("parley backup says %s, %v", out, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "copies/data"), 0o700); err != nil {
		t.Fatal(err)
	}
	must(t, "", "backup", "-config", config)
	eventually(t, "the age is small again", func() bool {
		_, page := d.get("/metrics")
		m := regexp.MustCompile(`copies/data",of="data"\} (\S+)`).FindStringSubmatch(page)
		age, err := strconv.ParseFloat(m[1], 64)
		return err == nil && age < 2
	})
	d.end(syscall.SIGTERM)
}

// A disk without room for another byte, here and in the places for copies: that is told,
// the server lives on, and the next copy is whole.
func TestBackupOnFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	identity, options := safes(t, dir, "1h")
	args := []string{"quickstart", "-dir", dir, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "-set", "auth.iterations=10000"}
	for _, option := range options {
		args = append(args, "-set", option)
	}
	must(t, "", append(args, "desk.example")...)
	config := filepath.Join(dir, "parley.toml")
	d := startDaemon(t, dir)
	must(t, "correct horse 42\n", "agent", "add", "-config", config, "-password-stdin", "anna@desk.example")
	must(t, "", "backup", "-config", config)
	limitFiles(t, d, 0)
	if _, prose, err := typed(t, "", "backup", "-full", "-config", config); err == nil || !strings.Contains(prose, "file too large") {
		t.Errorf("with a full disk: %v, %s", err, prose)
	}
	limitFiles(t, d, unix.RLIM_INFINITY)
	must(t, "", "backup", "-full", "-config", config)
	if _, prose, err := typed(t, "", "verify", "-backup", "-config", config, "-identity", identity); err != nil {
		t.Error(prose)
	}
	for _, path := range []string{"copies/data", "copies/keys", "data/backup/half"} {
		if err := filepath.WalkDir(filepath.Join(dir, path), func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && (strings.HasPrefix(e.Name(), ".partly-") || strings.Contains(path, "/half/")) {
				t.Errorf("%s is left", path)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
}

// What is typed wrongly, or asked for where there is nothing, is told; no half of a key
// is repeated.
func TestBackupCommandsRefuse(t *testing.T) {
	dir, config := quickstarted(t, "-https", "", "desk.example")
	identity := filepath.Join(dir, "identity.txt")
	must(t, "", "backup", "keygen", identity)
	secret, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	half := regexp.MustCompile(`AGE-SECRET-KEY-\S+`).FindString(string(secret))
	bad := filepath.Join(dir, "bad.txt")
	if err := os.WriteFile(bad, []byte(half[:40]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for _, c := range []struct {
		name string
		in   []string
		want string
	}{
		{"no copies", []string{"backup", "-config", config}, "no copies are configured"},
		{"an identity as recipient", []string{"check", "-config", config, "-set", `backup.recipients=["` + half + `"]`}, "not a public key of age"},
		{"a bad recipient", []string{"check", "-config", config, "-set", `backup.recipients=["age1x"]`,
			"-set", `backup.target=[{of="data",to="/a"},{of="keys",to="/b"}]`}, "not public keys of age"},
		{"a key twice", []string{"backup", "keygen", identity}, "file exists"},
		{"no identity", []string{"restore", "-identity", bad, "-from", empty, "-keys-from", empty, "-dir", dir + "/new"}, "holds no identity of age"},
		{"no copy", []string{"restore", "-identity", identity, "-from", empty, "-keys-from", empty, "-dir", dir + "/new"}, "there is no copy in " + empty},
		{"something there", []string{"restore", "-identity", identity, "-from", empty, "-keys-from", empty, "-dir", dir}, "is not empty"},
		{"no time", []string{"restore", "-identity", identity, "-from", empty, "-keys-from", empty, "-dir", dir + "/new", "-at", "noon"}, "not a time such as"},
		{"half a pair", []string{"verify", "-backup", "-config", config, "-identity", identity, "-from", empty}, "belong together"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, prose, err := typed(t, "", c.in...)
			if err == nil || !strings.Contains(prose, c.want) {
				t.Errorf("%v: %s, want %q", err, prose, c.want)
			}
			if strings.Contains(prose, half[:30]) {
				t.Error("a secret is repeated")
			}
		})
	}
}
