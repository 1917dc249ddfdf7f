package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"parley.im/parley/conf"
	"parley.im/parley/store/backup"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
)

// restore makes an installation again of copies.
func restore(ctx context.Context, c *call) error {
	r, err := c.restoration()
	if err != nil {
		return err
	}
	r.Dir = c.text("dir")
	if r.Data, err = backup.ParseTarget(c.text("from"), os.Getenv); err != nil {
		return fmt.Errorf("-from: %w", err)
	}
	if r.Keys, err = backup.ParseTarget(c.text("keys-from"), os.Getenv); err != nil {
		return fmt.Errorf("-keys-from: %w", err)
	}
	if path := c.text("root-key"); path != "" {
		root, err := keys.ReadRoot(path)
		if err != nil {
			return err
		}
		defer root.Wipe()
		r.Roots = []seal.Key{root}
	}
	report, err := r.Run(ctx)
	if err != nil {
		return hinted(err)
	}
	c.tellRestored(report)
	if r.Roots == nil {
		c.say("it was not looked at who made these copies: with -root-key FILE it is")
	}
	c.say("%s is made: put root.key and the certificates where its parley.toml says, look through that, and run 'parley check'", r.Dir)
	c.tellElsewhere(r.Dir)
	return nil
}

// tellElsewhere says where data and keys belong if the restored configuration has them in other
// folders, in which a server would begin with nothing.
func (c *call) tellElsewhere(dir string) {
	f, err := conf.Load(filepath.Join(dir, "parley.toml"), nil)
	if err != nil {
		return // 'parley check' says why
	}
	for _, folder := range []struct{ name, belongs string }{{"data", f.Data}, {"keys", f.Keys}} {
		made := filepath.Join(dir, folder.name)
		is, err := filepath.Abs(made)
		belongs, err2 := filepath.Abs(folder.belongs)
		if err == nil && err2 == nil && is != belongs {
			c.say("%s belongs in place of %s, where that parley.toml has its %s", made, belongs, folder.name)
		}
	}
}

// hinted says what else can be tried when a copy is no good.
func hinted(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, backup.ErrUnsigned):
		return withHint(err, "-unsigned takes it, if it is of an earlier version, or of before the root key was replaced; with that time's key in -root-key it can be told who made it")
	}
	return withHint(err, "an earlier copy may be whole: name a time with -at, or another place with -from or -keys-from")
}

// restoration is what options say of it.
func (c *call) restoration() (*backup.Restore, error) {
	f, err := os.Open(c.text("identity"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &backup.Restore{Unsigned: c.on("unsigned")}
	if r.Identities, err = age.ParseIdentities(f); err != nil {
		// What the library says would repeat a line of the file.
		return nil, withHint(fmt.Errorf("%s holds no identity of age", c.text("identity")), "'parley backup keygen' makes such files")
	}
	if text := c.text("at"); text != "" {
		if r.At, err = parseTime(text); err != nil {
			return nil, c.usage("-at: not a time such as 2026-11-28T09:30:00Z or \"2026-11-28 09:30\": %q", text)
		}
	}
	return r, nil
}

// parseTime reads a time with its zone, or one of here.
func parseTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	for _, form := range []string{time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if err != nil {
			t, err = time.ParseInLocation(form, text, time.Local)
		}
	}
	return t, err
}

func (c *call) tellRestored(r *backup.Report) {
	for _, a := range r.Accounts {
		c.say("account %s: as it was at %s, %d records, %d conversations stay shredded", a.ID, a.Time.UTC().Format(time.RFC3339), a.Newest, a.Shredded)
		if a.Missing > 0 {
			c.say("account %s: %d files that people have sent are in no copy, or can't be read there; 'parley verify' names them", a.ID, a.Missing)
		}
		if a.Locked {
			c.say("account %s: its keys are from %s; what was said in conversations that began after that cannot be read", a.ID, r.KeysTime.UTC().Format(time.RFC3339))
		}
	}
	if r.Behind {
		c.say("the newest copy of the keys is from %s, and no copy of the data is as new: the last ones were not brought to that place, or were taken away", r.KeysTime.UTC().Format(time.RFC3339))
	}
	for _, dir := range r.Unfinished {
		c.say("%s is what a restore that was cut short has left: delete it, unless another one runs just now", dir)
	}
	for _, id := range r.Deleted {
		c.say("account %s: there are no keys of it any more: it had been deleted", id)
	}
}

// verifyBackup restores the newest copies aside and looks whether they are whole.
func verifyBackup(ctx context.Context, c *call) error {
	f, err := c.load()
	if err != nil {
		return err
	}
	root, err := readRoot(f)
	if err != nil {
		return err
	}
	defer root.Wipe()
	roots, err := keys.OpenRoots(f.Keys, root) // on the server, where it may be being replaced
	if err != nil {
		return err
	}
	pairs, err := c.pairs()
	if err != nil {
		return err
	}
	var faults []error
	for _, p := range pairs {
		r, err := c.restoration()
		if err != nil {
			return err
		}
		r.Data, r.Keys, r.Roots = p.data, p.keys, roots.Both()
		if err := c.verifyPair(ctx, r, func(dir string, report *backup.Report) error {
			return backup.Verify(ctx, dir, report, root, slog.New(slog.DiscardHandler))
		}); err != nil {
			if errors.Is(err, backup.ErrUnsigned) {
				err = hinted(err)
			}
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// A pair is where copies of data and of keys are.
type pair struct{ data, keys backup.Target }

// pairs are those that options name, or else those of the configuration: each place of
// data, and each of keys, at least once.
func (c *call) pairs() ([]pair, error) {
	if c.on("from") != c.on("keys-from") {
		return nil, c.usage("-from and -keys-from belong together")
	}
	if c.on("from") {
		data, err := backup.ParseTarget(c.text("from"), os.Getenv)
		if err != nil {
			return nil, err
		}
		theKeys, err := backup.ParseTarget(c.text("keys-from"), os.Getenv)
		return []pair{{data, theKeys}}, err
	}
	f, err := c.load()
	if err != nil {
		return nil, err
	}
	i := &installation{log: slog.New(slog.DiscardHandler), now: time.Now}
	b, err := backupConfig(f, i)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, c.usage("no copies are configured, and -from is missing")
	}
	var list []pair
	for n := range max(len(b.DataTargets), len(b.KeysTargets)) {
		list = append(list, pair{b.DataTargets[n%len(b.DataTargets)], b.KeysTargets[n%len(b.KeysTargets)]})
	}
	return list, nil
}

// verifyPair restores into a folder of its own, which is removed in any case.
func (c *call) verifyPair(ctx context.Context, r *backup.Restore, look func(string, *backup.Report) error) error {
	dir, err := os.MkdirTemp("", "parley-verify-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r.Dir = filepath.Join(dir, "restored")
	report, err := r.Run(ctx)
	if err == nil {
		err = look(r.Dir, report)
	}
	if err != nil {
		return fmt.Errorf("data in %s, keys in %s: %w", r.Data.Name(), r.Keys.Name(), err)
	}
	c.tellRestored(report)
	c.say("data in %s, keys in %s: whole", r.Data.Name(), r.Keys.Name())
	return nil
}
