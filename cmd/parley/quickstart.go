package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/net/idna"
	"mellium.im/xmpp/jid"

	"parley.im/parley/conf"
	"parley.im/parley/store/keys"
)

// A start is what quickstart was asked for.
type start struct {
	dir     string
	id      string
	domain  string // as in JIDs
	ascii   string // as in DNS and certificates
	main    *settings
	account *settings
}

// quickstart makes a configuration, or adds an account to the one that there is.
func quickstart(_ context.Context, c *call) error {
	s, err := newStart(c)
	if err != nil {
		return err
	}
	_, err = os.Stat(s.path("parley.toml"))
	if errors.Is(err, fs.ErrNotExist) {
		return s.first(c)
	}
	if err != nil {
		return err
	}
	return s.another(c)
}

func newStart(c *call) (*start, error) {
	s := &start{dir: c.text("dir"), id: c.text("account"), main: new(settings), account: new(settings)}
	if s.dir == "" {
		s.dir = "."
	}
	var err error
	if s.domain, s.ascii, err = parseDomain(c.arg(0)); err != nil {
		return nil, err
	}
	if s.id == "" {
		s.id = strings.Split(s.ascii, ".")[0]
		s.id = s.id[:min(len(s.id), 32)]
	}
	s.account.set("id", strconv.Quote(s.id))
	s.account.set("domain", strconv.Quote(s.domain))
	s.account.set("profile", `"enterprise"`)
	if p := c.text("profile"); p != "" {
		s.account.set("profile", strconv.Quote(p))
	}
	for _, name := range []string{"starttls", "tls", "https"} {
		if c.on(name) {
			s.main.set("listen."+name, strconv.Quote(c.text(name)))
		}
	}
	for _, assignment := range c.given["set"] {
		key, value, ok := strings.Cut(assignment, "=")
		if !ok {
			return nil, c.usage("-set %s: want KEY=VALUE", assignment)
		}
		if under, ok := strings.CutPrefix(key, "account."+s.id+"."); ok {
			s.account.set(under, tomlValue(value))
		} else {
			s.main.set(key, tomlValue(value))
		}
	}
	return s, nil
}

// parseDomain brings a domain into the form of JIDs (RFC 7622 §3.2) and that of DNS.
func parseDomain(text string) (domain, ascii string, err error) {
	j, err := jid.New("", text, "")
	if err != nil || strings.ContainsAny(text, "[]:") {
		return "", "", fmt.Errorf("not a domain: %q", text)
	}
	domain = strings.ToLower(j.Domainpart())
	if ascii, err = idna.Lookup.ToASCII(domain); err != nil {
		return "", "", fmt.Errorf("not a domain: %q", text)
	}
	return domain, ascii, conf.CheckDomain(domain)
}

func (s *start) path(name string) string { return filepath.Join(s.dir, name) }

// first writes everything into a folder that has no configuration.
func (s *start) first(c *call) error {
	s.main.set("certificate.cert", `"tls/cert.pem"`)
	s.main.set("certificate.key", `"tls/key.pem"`)
	text := "# Parley. 'parley sample' prints every option with its default; 'parley check' finds faults.\n" + s.main.text("")
	if err := s.try(text); err != nil {
		return err
	}
	now := time.Now()
	ca, err := newAuthority(now)
	if err != nil {
		return err
	}
	cert, key, err := ca.issue(now, s.ascii, "*."+s.ascii)
	if err != nil {
		return err
	}
	files := []newFile{
		{s.path("tls/ca.pem"), ca.certPEM, 0o644},
		{s.path("tls/ca.key"), ca.keyPEM, 0o600},
		{s.path("tls/cert.pem"), cert, 0o644},
		{s.path("tls/key.pem"), key, 0o600},
		s.accountFile(),
		{s.path("parley.toml"), []byte(text), 0o644},
	}
	if _, err := os.Lstat(s.path("root.key")); err == nil {
		return withHint(fmt.Errorf("%s is there already", s.path("root.key")), "nothing is ever overwritten; name another folder with -dir")
	}
	if err := writeNew(files); err != nil {
		return err
	}
	if _, err := keys.CreateRoot(s.path("root.key")); err != nil {
		return err
	}
	c.say("wrote %s, %s, %s,", s.path("parley.toml"), s.path("accounts.d/"+s.id+".toml"), s.path("root.key"))
	c.say("      %s with a certificate for %s from a throw-away CA (for trying out)", s.path("tls/"), s.domain)
	c.say("Copy root.key somewhere safe: without it nothing that is stored can be read again.")
	s.sayNext(c)
	return nil
}

// another adds an account and its certificate to the configuration that there is.
func (s *start) another(c *call) error {
	if len(s.main.list) > 0 {
		return fmt.Errorf("%s is there already: its options are changed by editing it", s.path("parley.toml"))
	}
	ca, err := readAuthority(s.path("tls"))
	if err != nil {
		return withHint(fmt.Errorf("there is a configuration, but not quickstart's CA: %w", err),
			"'parley account add' adds an account; its certificate is named in parley.toml")
	}
	before, err := os.ReadFile(s.path("parley.toml"))
	if err != nil {
		return err
	}
	name := "tls/" + s.ascii
	entry := fmt.Sprintf("\n[[certificate]]\ncert = %q\nkey = %q\n", name+".pem", name+".key")
	if err := s.try(string(before) + entry); err != nil {
		return err
	}
	cert, key, err := ca.issue(time.Now(), s.ascii, "*."+s.ascii)
	if err != nil {
		return err
	}
	files := []newFile{
		{s.path(name + ".pem"), cert, 0o644},
		{s.path(name + ".key"), key, 0o600},
		s.accountFile(),
	}
	if err := writeNew(files); err != nil {
		return err
	}
	if err := replaceFile(s.path("parley.toml"), []byte(string(before)+entry)); err != nil {
		return err
	}
	c.say("wrote %s and %s, added the certificate to %s", s.path("accounts.d/"+s.id+".toml"), s.path(name+".pem"), s.path("parley.toml"))
	s.sayNext(c)
	c.say("A server that runs already takes the account over when it gets SIGHUP.")
	return nil
}

func (s *start) accountFile() newFile {
	return newFile{s.path("accounts.d/" + s.id + ".toml"), []byte(s.account.text("")), 0o644}
}

// try reads the configuration as it would be, before anything is written.
func (s *start) try(text string) error {
	f, err := conf.Parse(s.path("parley.toml"), []byte(text+"\n[[account]]\n"+s.account.text("account.")), nil)
	if err != nil {
		return err
	}
	// The accounts that have files of their own are not in the text.
	old, err := conf.Load(s.path("parley.toml"), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	mine := f.Accounts[len(f.Accounts)-1]
	for _, a := range old.Accounts {
		if a.ID == mine.ID || a.Domain == mine.Domain {
			return withHint(fmt.Errorf("there is an account %s with the domain %s already", a.ID, a.Domain),
				"-account names another id")
		}
	}
	return nil
}

func (s *start) sayNext(c *call) {
	with := ""
	if s.dir != "." {
		with = " -config " + s.path("parley.toml")
	}
	c.say("Next: 'parley agent add%s anna@%s', then 'parley serve%s'.", with, s.domain, with)
}

// tomlValue is what was typed, in quotation marks unless it is a TOML value as it is.
func tomlValue(text string) string {
	tree := make(map[string]any)
	if _, err := toml.Decode("x = "+text, &tree); err != nil || len(tree) != 1 {
		return strconv.Quote(text)
	}
	return text
}

// settings are options to be written, in the order in which they were set.
type settings struct{ list []setting }

type setting struct{ table, key, value string }

// set sets the option with that dotted name.
func (s *settings) set(name, value string) {
	table, key := "", name
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		table, key = name[:i], name[i+1:]
	}
	for i := range s.list {
		if s.list[i].table == table && s.list[i].key == key {
			s.list[i].value = value
			return
		}
	}
	s.list = append(s.list, setting{table, key, value})
}

// text writes the options outside of tables first, then table by table; all of that is in the table called
// within, which ends with a dot.
func (s *settings) text(within string) string {
	var b strings.Builder
	tables := []string{""}
	seen := map[string]bool{"": true}
	for _, o := range s.list {
		if !seen[o.table] {
			seen[o.table] = true
			tables = append(tables, o.table)
		}
	}
	for _, table := range tables {
		switch table {
		case "":
		case "certificate":
			b.WriteString("\n[[certificate]]\n")
		default:
			b.WriteString("\n[" + within + table + "]\n")
		}
		for _, o := range s.list {
			if o.table == table {
				b.WriteString(o.key + " = " + o.value + "\n")
			}
		}
	}
	return b.String()
}
