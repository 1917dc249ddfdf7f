package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"parley.im/parley/store/audit"
	"parley.im/parley/store/keys"
	"parley.im/parley/store/seal"
)

func rootKeyCommands() []command {
	common := []option{configOption, setOption}
	return []command{
		{
			name: "key rotate root",
			does: "Replaces the root key: all account keys are wrapped by another one, in the background.",
			more: "Until that is done and root_key of the configuration names the new key, either of the two opens everything, whatever happens. " +
				"Then the server has to be started again, and forgets the old one. What is cut short goes on at the next start, or with the same command.",
			options: append([]option{
				{name: "to", value: "FILE", does: "the new key; made if there is no such file"},
				{name: "to-env", value: "NAME", does: "or the environment variable that holds it"},
			}, common...),
			run: keyRotateRoot,
		},
		{
			name: "key rotate account", args: "ID",
			does:    "Replaces an account's key, as happens once a week by itself: all secrets are wrapped by another one, in the background.",
			options: common, run: keyRotateAccount,
		},
		{
			name: "key status",
			does: "Shows how far keys are replaced, and whether a copy of the root key was confirmed.", options: append(common, jsonOption),
			run: keyStatus,
		},
		{
			name: "key fingerprint", args: "FILE",
			does: "Prints the first eight digits of the fingerprint of a root key's copy: the SHA-256 of its 32 bytes.",
			run:  keyFingerprint,
		},
		{
			name: "key confirm-copy", args: "[FILE]",
			does: "Confirms that there is a copy of the root key, after a look at it: FILE is the copy, else the first eight digits of its fingerprint are asked for.",
			more: "'parley key fingerprint' prints them, on whatever machine the copy is. Until then the server says at each start that this is missing.",
			options: append([]option{
				{name: "stdin", does: "reads the digits from the first line of standard input instead of the terminal"},
			}, common...),
			run: keyConfirmCopy,
		},
	}
}

// A keysInfo is how the installation's keys are.
type keysInfo struct {
	CopyConfirmed time.Time     `json:"copy_confirmed,omitzero"`
	Root          string        `json:"root_configured,omitempty"` // "old" or "new" while it is replaced
	Running       bool          `json:"running,omitempty"`
	Done          int           `json:"done,omitempty"`
	Total         int           `json:"total,omitempty"`
	Failed        string        `json:"error,omitempty"`
	Accounts      []accountKeys `json:"accounts"`
}

// An accountKeys is how one account's key is.
type accountKeys struct {
	ID       string    `json:"id"`
	Version  int64     `json:"version"`
	Made     time.Time `json:"made"`
	Secrets  int64     `json:"secrets"`
	Left     int64     `json:"left,omitempty"` // wrapped by an older one still
	Rotating bool      `json:"rotating,omitempty"`
}

// A rootRequest brings the new root key.
type rootRequest struct {
	Key string `json:"key"`
}

// A copyRequest says what was seen of a copy.
type copyRequest struct {
	Fingerprint string `json:"fingerprint"`
}

func (o *operator) handleKeys() {
	o.handle("GET /v1/keys", o.showKeys)
	o.handle("POST /v1/keys/root", o.rotateRoot)
	o.handle("POST /v1/keys/copy", o.confirmCopy)
	o.handle("POST /v1/accounts/{account}/rotate-key", o.rotateAccountKey)
}

func (o *operator) showKeys(r *http.Request) (any, error) {
	root, is := o.inst.root.configured()
	info := keysInfo{CopyConfirmed: keys.CopyConfirmed(o.inst.root.dir, root)}
	k := o.inst.root
	k.mu.Lock()
	info.Root = map[keys.Role]string{keys.Old: "old", keys.New: "new"}[is]
	info.Running, info.Done, info.Total = k.running, k.done, k.total
	if k.failed != nil {
		info.Failed = k.failed.Error()
	}
	k.mu.Unlock()
	info.Accounts = make([]accountKeys, 0)
	for _, a := range o.inst.list() {
		if err := a.open(r.Context()); err != nil {
			return nil, err
		}
		p, err := a.keys.Progress()
		if err != nil {
			return nil, err
		}
		info.Accounts = append(info.Accounts, accountKeys{a.id, p.Version, p.Made, p.Secrets, p.Left, p.Rotating})
	}
	return info, nil
}

func (o *operator) rotateRoot(r *http.Request) (any, error) {
	var in rootRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	next, err := keys.ParseRoot([]byte(in.Key))
	if err != nil {
		return nil, refuse("the new root key: %v", err)
	}
	if err := o.inst.root.change(next); err != nil {
		return nil, err
	}
	target, begun := o.inst.root.begin()
	if !begun {
		return done, nil
	}
	o.inst.chores.start(o.inst.log, func(ctx context.Context) {
		if err := o.inst.rewrapBy(ctx, target); err != nil && ctx.Err() == nil {
			o.inst.log.Error("not all keys are wrapped by the new root key; both are needed", "err", err)
		}
	})
	return done, nil
}

func (o *operator) rotateAccountKey(r *http.Request) (any, error) {
	a, err := o.inst.account(r.Context(), r.PathValue("account"))
	if err != nil {
		return nil, err
	}
	o.inst.chores.start(o.inst.log, func(ctx context.Context) {
		if err := a.keys.Rotate(ctx); err != nil && ctx.Err() == nil {
			o.inst.log.Error("the account's key is not replaced", "account", a.id, "err", err)
		}
	})
	return done, nil
}

func (o *operator) confirmCopy(r *http.Request) (any, error) {
	var in copyRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	seen := strings.ToLower(strings.TrimSpace(in.Fingerprint))
	if _, err := hex.DecodeString(seen); err != nil || len(seen) < 8 {
		return nil, withHint(refuse("not eight hexadecimal digits"), "'parley key fingerprint COPY' prints those of a copy")
	}
	// A root key that is about to be one counts, so that the nagging can end with the change.
	root, other := o.inst.root.ofAccount()
	for _, k := range []seal.Key{root, other} {
		if k != (seal.Key{}) && strings.HasPrefix(keys.Fingerprint(k), seen) {
			audit.Tell(r.Context(), "fingerprint", seen[:8]) // what is typed wrongly may be anything, the key itself included
			return done, keys.ConfirmCopy(o.inst.root.dir, k, o.inst.now())
		}
	}
	return nil, withHint(refuse("that is a copy of another key"), "copy the file that root_key names, to a place where it outlives this machine")
}

func keyRotateRoot(ctx context.Context, c *call) error {
	next, where, err := c.newRoot()
	if err != nil {
		return err
	}
	return c.withClient(ctx, func(cl *client) error {
		in := rootRequest{base64.StdEncoding.EncodeToString(next[:])}
		if err := cl.do(ctx, "POST", "/v1/keys/root", in, nil); err != nil {
			return err
		}
		info, err := c.await(ctx, cl, func(k *keysInfo) (left string) {
			if k.Running {
				left = fmt.Sprintf("%d of %d accounts", k.Done, k.Total)
			}
			return left
		})
		switch {
		case err != nil:
			return err
		case info.Failed != "":
			return withHint(errors.New(info.Failed), "both root keys are good for now; the same command goes on")
		case info.Root == "old":
			c.say("all keys are wrapped by the new root key: now let root_key be %s, copy it somewhere safe, and start the server again", where)
		default:
			c.say("the root key is replaced")
		}
		return nil
	})
}

// newRoot reads the new root key, or makes it, and says how the configuration names it.
func (c *call) newRoot() (k seal.Key, where string, err error) {
	path, env := c.text("to"), c.text("to-env")
	switch {
	case path == "" && env == "" || path != "" && env != "":
		return k, "", c.usage("where the new key is: -to FILE or -to-env NAME")
	case env != "":
		k, err = keys.RootFromEnv(env)
		return k, fmt.Sprintf("{ env = %q }", env), err
	}
	if path, err = filepath.Abs(path); err != nil {
		return k, "", err
	}
	if k, err = keys.ReadRoot(path); errors.Is(err, fs.ErrNotExist) {
		if k, err = keys.CreateRoot(path); err == nil {
			c.say("made %s", path)
		}
	}
	return k, fmt.Sprintf("{ file = %q }", path), err
}

// awaitPause is how often it is asked how far something has come.
const awaitPause = 200 * time.Millisecond

// await tells how far something has come until it has ended: then left says nothing.
func (c *call) await(ctx context.Context, cl *client, left func(*keysInfo) string) (*keysInfo, error) {
	t := time.NewTicker(awaitPause)
	defer t.Stop()
	said := ""
	for {
		var info keysInfo
		if err := cl.do(ctx, "GET", "/v1/keys", nil, &info); err != nil {
			return nil, err
		}
		now := left(&info)
		if now == "" {
			return &info, nil
		}
		if now != said {
			c.say("%s", now)
			said = now
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.C:
		}
	}
}

func keyRotateAccount(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		var before keysInfo
		if err := cl.do(ctx, "GET", "/v1/keys", nil, &before); err != nil {
			return err
		}
		if err := cl.do(ctx, "POST", accountPath(c.arg(0))+"/rotate-key", nil, nil); err != nil {
			return err
		}
		_, err := c.await(ctx, cl, func(k *keysInfo) (left string) {
			for n, a := range k.Accounts {
				begun := n < len(before.Accounts) && (a.Version > before.Accounts[n].Version || before.Accounts[n].Rotating)
				if a.ID == c.arg(0) && (a.Rotating || !begun) {
					left = fmt.Sprintf("%d of %d secrets are left", a.Left, a.Secrets)
				}
			}
			return left
		})
		if err == nil {
			c.say("the key of account %s is replaced", c.arg(0))
		}
		return err
	})
}

func keyStatus(ctx context.Context, c *call) error {
	return c.withClient(ctx, func(cl *client) error {
		var info keysInfo
		if err := cl.do(ctx, "GET", "/v1/keys", nil, &info); err != nil {
			return err
		}
		if c.on("json") {
			return c.printJSON(info)
		}
		return c.table(func(w io.Writer) {
			copied := "not confirmed: see 'parley key confirm-copy'"
			if !info.CopyConfirmed.IsZero() {
				copied = "confirmed on " + info.CopyConfirmed.Format(time.DateOnly)
			}
			fmt.Fprintf(w, "root key\t%s\ncopy\t%s\n", info.rootText(), copied)
			for _, a := range info.Accounts {
				state := fmt.Sprintf("%d secrets", a.Secrets)
				if a.Rotating {
					state = fmt.Sprintf("being replaced: %d of %d secrets are left", a.Left, a.Secrets)
				}
				fmt.Fprintf(w, "account %s\tversion %d of %s, %s\n", a.ID, a.Version, a.Made.Format(time.DateOnly), state)
			}
		})
	})
}

// readCopy reads a copy of a root key, wherever it lies and whoever may read it there.
func readCopy(path string) (seal.Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return seal.Key{}, fmt.Errorf("read the copy: %w", err)
	}
	defer clear(text)
	k, err := keys.ParseRoot(text)
	if err != nil {
		return k, fmt.Errorf("read the copy: %s: %w", path, err)
	}
	return k, nil
}

func keyFingerprint(_ context.Context, c *call) error {
	k, err := readCopy(c.arg(0))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.stdout, keys.Fingerprint(k)[:8])
	return err
}

func keyConfirmCopy(ctx context.Context, c *call) error {
	seen := ""
	if path := c.arg(0); path != "" {
		if f, err := c.load(); err == nil && sameFile(path, f.RootKey.File()) {
			return withHint(errors.New("that is the root key itself"), "name its copy, which is best on another machine")
		}
		k, err := readCopy(path)
		if err != nil {
			return err
		}
		seen = keys.Fingerprint(k)
	} else {
		var err error
		if seen, err = c.digits(); err != nil {
			return err
		}
	}
	return c.withClient(ctx, func(cl *client) error {
		if err := cl.do(ctx, "POST", "/v1/keys/copy", copyRequest{seen}, nil); err != nil {
			return err
		}
		c.say("there is a copy of the root key: keep it where it outlives this machine")
		return nil
	})
}

func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// digits asks for the beginning of a fingerprint.
func (c *call) digits() (string, error) {
	if c.on("stdin") {
		return firstLine(c.stdin)
	}
	tty, ok := c.stdin.(*os.File)
	if !ok || !isTerminal(tty) {
		return "", c.usage("digits can only be typed at a terminal; -stdin reads them from standard input")
	}
	return c.ask(tty, "First eight digits of the copy's fingerprint: ")
}
