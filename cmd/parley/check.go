package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"mellium.im/xmpp/jid"

	"parley.im/parley/conf"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
	"parley.im/parley/xmppd/visit/widget"
	"parley.im/parley/xmppd/web"
)

// check tells all faults of the configuration and of what it names.
func check(ctx context.Context, c *call) error {
	f, err := c.load()
	if err != nil {
		return err
	}
	certs, faults := loadCertificates(f)
	faults = append(faults, checkDomains(f)...)
	faults = append(faults, checkFolders(f)...)
	for _, a := range f.Accounts {
		if err := checkPair(dataDir(f, a.ID), f.Keys, a.ID); err != nil {
			faults = append(faults, err)
		}
	}
	faults = append(faults, checkMail(f)...)
	if _, err := readRoot(f); err != nil {
		faults = append(faults, err)
	}
	if _, err := backupConfig(f, &installation{}); err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return several(faults)
	}
	for _, notice := range unspoken(f) {
		c.say("%v", notice)
	}
	misnamed(ctx, c, f)
	if c.on("dns") {
		if err := checkDNS(ctx, c, f, certs); err != nil {
			return err
		}
	}
	if len(certs) == 0 {
		c.say("%s: no faults; accounts: %d, no certificates yet", f.Path(), len(f.Accounts))
		return nil
	}
	until := certs[0].Leaf.NotAfter
	for _, cert := range certs {
		if cert.Leaf.NotAfter.Before(until) {
			until = cert.Leaf.NotAfter
		}
	}
	c.say("%s: no faults; accounts: %d, certificates: %d, the first expires on %s",
		f.Path(), len(f.Accounts), len(certs), until.Format(time.DateOnly))
	return nil
}

// unspoken are languages that visitors are to be spoken to in, and the widget has no words for. An app may have some of its
// own, so they are no faults.
func unspoken(f *conf.File) (notices conf.Faults) {
	for i, a := range f.Accounts {
		for _, l := range a.Widget.Languages {
			if known := widget.Languages(); a.Visitors && !slices.Contains(known, l) {
				notices = append(notices, f.Fault(fmt.Sprintf("account.%d.widget.languages", i), "", "the widget speaks no %q, but %s: it leaves that out", l, strings.Join(known, ", ")))
			}
		}
	}
	return notices
}

// misnamed tells of agents with names that new ones do not get. Only a server that runs is asked: to open its files is not for check.
func misnamed(ctx context.Context, c *call, f *conf.File) {
	conn, err := dialControl(ctx, f.Listen.Control)
	if err != nil {
		return
	}
	cl := remoteClient(f.Listen.Control, conn)
	defer cl.close()
	agents, err := cl.agents(ctx, "")
	if err != nil {
		c.say("the server that runs does not tell its agents' names: %v", err)
	}
	for _, g := range agents {
		if name, _, _ := strings.Cut(g.JID, "@"); web.Reserved(name) != nil {
			c.say("%s: colleagues can take this agent for a program, or for the server: give her another name", g.JID)
		}
	}
}

// several makes one error of faults, each told with its hint.
func several(errs []error) error {
	var faults conf.Faults
	for _, err := range errs {
		if f, ok := errors.AsType[*conf.Fault](err); ok {
			faults = append(faults, f)
		} else {
			faults = append(faults, &conf.Fault{Text: err.Error(), Hint: hintOf(err)})
		}
	}
	return faults
}

// checkDomains holds the accounts' domains to the rules of JIDs (RFC 7622 §3.2).
func checkDomains(f *conf.File) (faults []error) {
	for i, a := range f.Accounts {
		j, err := jid.New("", a.Domain, "")
		if err != nil || j.Domainpart() != a.Domain {
			faults = append(faults, f.Fault("account."+strconv.Itoa(i)+".domain", "", "not a domain as addresses have it: %q", a.Domain))
		}
	}
	return faults
}

// checkFolders looks whether data and keys can be kept where they should be. Folders
// that are missing are made by the first command that needs them.
func checkFolders(f *conf.File) (faults []error) {
	for _, d := range []struct{ key, path string }{{"data", f.Data}, {"keys", f.Keys}} {
		info, err := os.Stat(d.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			parent := filepath.Dir(d.path)
			if unix.Access(parent, unix.W_OK) != nil {
				faults = append(faults, f.Fault(d.key, "", "cannot be made: %s is not writable", parent))
			}
		case err != nil:
			faults = append(faults, unusable(f, d.key, "", err))
		case !info.IsDir():
			faults = append(faults, f.Fault(d.key, "", "not a folder: %s", d.path))
		case unix.Access(d.path, unix.W_OK|unix.X_OK) != nil:
			faults = append(faults, f.Fault(d.key, "run this as the user who owns the folder", "not writable: %s", d.path))
		case info.Mode().Perm()&0o077 != 0:
			faults = append(faults, f.Fault(d.key, "chmod 700 "+d.path, "others may look into %s", d.path))
		}
	}
	if err := checkApart(f); err != nil {
		faults = append(faults, err)
	}
	return append(faults, checkOwners(f)...)
}

// checkPair refuses data whose keys are gone: new ones would only hide that.
func checkPair(dir, keysDir, account string) error {
	data := filepath.Join(dir, "data.db")
	if _, err := os.Stat(data); err != nil {
		return nil // there is nothing to read
	}
	if there, err := keys.Exist(keysDir, account); err != nil || there {
		return err
	}
	return withHint(fmt.Errorf("the keys of account %s are not in %s, and without them nothing in %s can be read", account, keysDir, data),
		"put the folder of keys back as it was")
}

// checkApart refuses links that lead keys and data together after all. VIV-11
func checkApart(f *conf.File) error {
	data, err1 := filepath.EvalSymlinks(f.Data)
	folder, err2 := filepath.EvalSymlinks(f.Keys)
	if err1 != nil || err2 != nil {
		return nil // not there yet
	}
	for _, pair := range [][2]string{{data, folder}, {folder, data}} {
		if rel, err := filepath.Rel(pair[0], pair[1]); err == nil && filepath.IsLocal(rel) {
			return f.Fault("keys", "keys are kept apart from what they protect: give two folders side by side",
				"a link leads into the same folder as data: %s", folder)
		}
	}
	return nil
}

// readRoot reads the root key from where the configuration says.
func readRoot(f *conf.File) (seal.Key, error) {
	if name := f.RootKey.Env(); name != "" {
		k, err := keys.RootFromEnv(name)
		if err != nil {
			return k, f.Fault("root_key", "", "%v", err)
		}
		return k, nil
	}
	k, err := keys.ReadRoot(f.RootKey.File())
	if err != nil {
		hint := lockedOut(err)
		if errors.Is(err, fs.ErrNotExist) {
			hint = "put the copy of root.key back; 'parley quickstart' makes one only for a new installation"
		}
		return k, f.Fault("root_key", hint, "%v", err)
	}
	return k, nil
}

// makeFolders makes the folders of data and keys where they are missing, and looks whether
// those that are there can be used.
func makeFolders(f *conf.File) error {
	for _, dir := range []string{f.Data, f.Keys} {
		if err := conn.MakeDir(dir); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	if err := checkApart(f); err != nil {
		return err
	}
	if faults := checkOwners(f); len(faults) > 0 {
		return several(faults)
	}
	return nil
}
