package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"parley.im/parley/conf"
	"parley.im/parley/store"
	"parley.im/parley/store/backup"
	"parley.im/parley/xmppd/panics"
)

// backupConfig is what the configuration says of copies; nil where it wants none.
func backupConfig(f *conf.File, i *installation) (*backup.Config, error) {
	b := f.Backup
	if len(b.Recipients) == 0 {
		return nil, nil
	}
	at, err := time.Parse("15:04", b.FullAt)
	if err != nil {
		return nil, err // checked by conf
	}
	c := &backup.Config{
		Data: f.Data, Keys: f.Keys, Spool: filepath.Join(f.Data, "backup"), Accounts: i.ids, Settings: i.settings,
		Every: b.Every, FullAt: time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute,
		KeepData: b.KeepData, KeepKeys: b.KeepKeys, Stale: b.Stale, Program: version(), Now: i.now, Log: i.log,
	}
	if i.root != nil {
		c.Roots = i.root.both
	}
	if c.Recipients, err = age.ParseRecipients(strings.NewReader(strings.Join(b.Recipients, "\n"))); err != nil {
		// What the library says would repeat the text, which may be the wrong half of a key.
		return nil, f.Fault("backup.recipients", "'parley backup keygen' makes a key and prints its public half", "not public keys of age")
	}
	for n, t := range b.Targets {
		target, err := openTarget(t)
		if err != nil {
			return nil, f.Fault(fmt.Sprintf("backup.target.%d", n), "", "%v", err)
		}
		if t.Of == "keys" {
			c.KeysTargets = append(c.KeysTargets, target)
		} else {
			c.DataTargets = append(c.DataTargets, target)
		}
	}
	return c, nil
}

func openTarget(t conf.BackupTarget) (backup.Target, error) {
	to := t.To
	if !strings.HasPrefix(to, "s3://") {
		abs, err := filepath.Abs(to)
		if err != nil {
			return nil, err
		}
		to = abs
	}
	return backup.OpenTarget(backup.TargetConfig{To: to, Endpoint: t.Endpoint, Region: t.Region, KeyID: t.KeyID, Key: t.Key.Reveal})
}

// ids are those of all accounts, disabled ones included.
func (i *installation) ids() []string {
	var list []string
	for _, a := range i.list() {
		list = append(list, a.id)
	}
	return list
}

// settings are the files of the configuration. They hold no secrets: those stand in
// files or variables of their own, which are not copied.
func (i *installation) settings() []string {
	f := i.config()
	names, err := filepath.Glob(filepath.Join(f.AccountsDir(), "*.toml"))
	if err != nil {
		return []string{f.Path()}
	}
	slices.Sort(names)
	return append([]string{f.Path()}, names...)
}

// A stale is a copy that has become too old.
type stale struct {
	of  backup.Kind
	age time.Duration
}

// staleWaiting is how many of them may wait to be told; there is one for each target
// until it is reached again, and others are only in the log.
const staleWaiting = 16

// openBackups prepares what makes copies, if the configuration wants any.
func (s *server) openBackups(f *conf.File) error {
	c, err := backupConfig(f, s.inst)
	if err != nil || c == nil {
		return err
	}
	s.stale = make(chan stale, staleWaiting)
	c.OnStale = func(k backup.Kind, _ string, age time.Duration) {
		select {
		case s.stale <- stale{k, age}:
		default:
		}
	}
	s.inst.backups, err = backup.New(*c)
	return err
}

// backupsEnd is how long the end of the server waits for a copy that is being made or
// brought: it is made again after the next start.
const backupsEnd = 5 * time.Second

// runBackups makes copies until the func that it returns is called.
func (s *server) runBackups(ctx context.Context) (stop func()) {
	if s.inst.backups == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() { // ends soon after the context; stop waits for it
		defer close(ended)
		var running sync.WaitGroup
		defer running.Wait()
		running.Go(func() { s.inst.backups.Run(ctx) })
		running.Go(func() { panics.Keep(ctx, s.log, "stale copies", s.tellStale) })
	}()
	return func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(backupsEnd): // a disk that answers no more holds only itself up
			s.log.Warn("a copy is still on its way")
		}
	}
}

// tellStale makes events of copies that are too old, in each account: which place it is
// concerns the operator only.
func (s *server) tellStale(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case old := <-s.stale:
			data, err := json.Marshal(map[string]any{"of": old.of, "age": int64(old.age / time.Second)})
			if err != nil {
				return // it cannot fail
			}
			for _, a := range s.inService() {
				limited, cancel := context.WithTimeout(ctx, backupsEnd)
				if _, err := store.Journalize(limited, a.store, store.KindBackupStale, data, s.inst.now()); err != nil && ctx.Err() == nil {
					s.log.Warn("the event of an old copy is not kept", "account", a.id, "err", err)
				}
				cancel()
			}
		}
	}
}

// backupAges shows in the metrics how old the newest copies are.
func (h *health) backupAges() {
	b := h.server.inst.backups
	if b == nil {
		return
	}
	for n, a := range b.Ages() {
		h.set.NewGauge(fmt.Sprintf("parley_backup_age_seconds{target=%q,of=%q}", a.Target, string(a.Kind)),
			func() float64 { return b.Ages()[n].Age.Seconds() })
	}
}

// placeOptions name copies that the configuration does not, and one of them.
func placeOptions() []option {
	return []option{
		{name: "from", value: "TARGET", does: "where copies of data are: a folder, or s3://BUCKET/PREFIX?endpoint=URL with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"},
		{name: "keys-from", value: "TARGET", does: "where copies of keys are"},
		{name: "at", value: "TIME", does: "the newest copy from before, such as 2026-11-28T09:30:00Z; the newest of all"},
		{name: "unsigned", does: "takes copies that bear no signature of the root key: those of earlier versions, or from before it was replaced"},
	}
}

var identityOption = option{name: "identity", value: "FILE", does: "the secret half of a key that copies are sealed to"}

func backupCommands() []command {
	places, identity := placeOptions(), identityOption
	places[0].must, places[1].must, identity.must = true, true, true
	return []command{ // "backup" after those that begin so
		{
			name: "backup list",
			does: "Lists the places of copies, how many there are in each, and how old the newest is.",
			options: []option{configOption, setOption, jsonOption,
				{name: "all", does: "lists each copy"}},
			run: backupList,
		},
		{
			name: "backup keygen", args: "FILE",
			does: "Makes a key for copies: writes the secret half to a file and prints the public half, for [backup] recipients.",
			more: "Keep the file away from the server: with it, copies can be read, and without it nobody can.",
			run:  backupKeygen,
		},
		{
			name: "backup",
			does: "Copies what has changed to all places of [backup] at once.",
			more: "A running server does so by itself every [backup] every. Exits 1 if a place could not be reached.",
			options: []option{configOption, setOption, jsonOption,
				{name: "full", does: "copies everything, not only what has changed"}},
			run: backupNow,
		},
		{
			name: "restore",
			does: "Makes an installation again of copies, in a folder that is not there yet: data, keys, configuration.",
			more: "Puts nothing over what is there. Keys are always the newest there are, so that what was destroyed stays destroyed. " +
				"The root key and certificates are not in copies: put them where the configuration says. " +
				"With -root-key it is made sure that the copies were made by a server which has it; who can write to a place of copies could else have put others there.",
			options: append([]option{identity, {name: "dir", value: "DIR", does: "the folder to make", must: true},
				{name: "root-key", value: "FILE", does: "the root key, by which copies are signed"}}, places...),
			run: restore,
		},
	}
}

func backupNow(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		var list []backupInfo
		if err := cl.do(ctx, "POST", "/v1/backups", map[string]bool{"full": c.on("full")}, &list); err != nil {
			return err
		}
		if err := c.printBackups(list); err != nil {
			return err
		}
		bad := 0
		for _, b := range list {
			if b.Failure != "" {
				bad++
			}
		}
		if bad > 0 {
			return fmt.Errorf("%d of %d places have no new copy", bad, len(list))
		}
		return nil
	})
}

func (c *call) printBackups(list []backupInfo) error {
	if c.on("json") {
		return c.printJSON(list)
	}
	return c.table(func(w io.Writer) {
		for _, b := range list {
			newest := "none"
			if b.Newest != nil {
				newest = b.Newest.Local().Format(time.DateTime)
			}
			fmt.Fprintf(w, "%s\t%s\t%d copies\tnewest %s\t%s\n", b.Of, line(b.Target), b.Copies, newest, line(b.Failure))
			if c.on("all") {
				for _, name := range b.Names {
					fmt.Fprintf(w, "\t%s\n", name)
				}
			}
		}
	})
}

func backupList(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		var list []backupInfo
		if err := cl.do(ctx, "GET", "/v1/backups", nil, &list); err != nil {
			return err
		}
		return c.printBackups(list)
	})
}

func backupKeygen(_ context.Context, c *call) error {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.arg(0), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("# made: %s\n# public key: %s\n%s\n", time.Now().UTC().Format(time.RFC3339), identity.Recipient(), identity)
	if _, err = f.WriteString(text); err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.stdout, identity.Recipient())
	return err
}
