package notify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"parley.im/parley/store"
)

// An Account is whose alerts are mailed.
type Account struct {
	ID     string
	Domain string
	Store  Store
}

// A Store is what a Notifier needs of a store.Account.
type Store interface {
	Newest() store.Ordinal
	Watch(ch chan<- struct{}) (stop func())
	Happened(ctx context.Context, after, to store.Ordinal, yield func(*store.Entry) error) error
	Read(ctx context.Context, after store.Ordinal, max int, yield func(*store.Entry) error) error
	// Setting and SetSetting keep how far the log was read.
	Setting(ctx context.Context, name string) (string, error)
	SetSetting(ctx context.Context, name, value string) error
}

// A Notifier mails the alerts of any number of accounts, and panics.
type Notifier struct {
	Stats Stats

	c      Config
	mailer *mailer
	panics chan Panic
	ended  *Panic // what is to be said of the last server's end; nil if nothing
}

// panicsMax is how many panics wait for being mailed; more are only counted.
const panicsMax = 16

// New makes a notifier. It does nothing before Run and RunPanics.
func New(c Config) *Notifier {
	n := &Notifier{c: c.withDefaults(), panics: make(chan Panic, panicsMax)}
	n.mailer = newMailer(&n.c, &n.Stats)
	return n
}

// On says whether there is a mail server.
func (n *Notifier) On() bool { return n.c.Server != "" }

// Alerts says whether an event is mailed.
func Alerts(event string) bool {
	switch event {
	case "webhook.failing", "webhook.disabled", "backup.stale", "certificate.expiring", "key.unavailable":
		return true
	}
	return strings.HasPrefix(event, "security.")
}

// Run mails an account's alerts until ctx ends. What is unfinished is mailed after the next
// start. It may run once at a time for each account.
func (n *Notifier) Run(ctx context.Context, a Account) error {
	return n.follow(ctx, &a, &watch{mailer: n.mailer, setting: alertsSetting, wants: Alerts})
}

// RunLeft mails to some people of an account's that visitors have left messages when nobody was there: when, and of which contacts, but
// nothing of what they said. It is otherwise as Run, and neither keeps the other waiting.
func (n *Notifier) RunLeft(ctx context.Context, a Account, to []string) error {
	if len(to) == 0 {
		return nil
	}
	c := n.c
	c.To = to
	return n.follow(ctx, &a, &watch{mailer: newMailer(&c, &n.Stats), setting: leftSetting, said: true, wants: func(event string) bool { return event == "offline_message.created" }})
}

func (n *Notifier) follow(ctx context.Context, a *Account, w *watch) error {
	if !n.On() {
		return nil
	}
	w.n, w.account, w.log, w.batches = n, a, n.c.Log.With("account", a.ID), make(map[string]*batch)
	if err := w.run(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("mail of %s: %w", a.ID, err)
	}
	return nil
}

// RunPanics mails panics until ctx ends: the first one at once, and then, as other alerts,
// what has gathered.
func (n *Notifier) RunPanics(ctx context.Context) {
	if !n.On() {
		return
	}
	if n.ended != nil {
		n.mailPanic(ctx, "ended", *n.ended, n.ended.Count)
	}
	var last time.Time
	count := 0
	for {
		var p Panic
		select {
		case <-ctx.Done():
			return
		case p = <-n.panics:
			count++
		}
		if sleep(ctx, n.c.Every-time.Since(last)) != nil && ctx.Err() != nil {
			return
		}
		for more := true; more; { // the newest of those that came meanwhile
			select {
			case p = <-n.panics:
				count++
			default:
				more = false
			}
		}
		n.mailPanic(ctx, "panic", p, count)
		last, count = time.Now(), 0
	}
}

// Ended has it mailed that servers have ended so many times without being told to, the last
// one before now. It is called before RunPanics.
func (n *Notifier) Ended(count int, now time.Time, version string) {
	n.ended = &Panic{At: now, Count: count, Version: version}
}

// mailPanic tries until the server has taken the mail.
func (n *Notifier) mailPanic(ctx context.Context, template string, p Panic, count int) {
	p.Host, p.Count = n.c.Host, count
	m, err := render(template, p)
	for try := 0; err == nil; try++ {
		if err = n.mailer.send(ctx, m); err == nil || ctx.Err() != nil {
			return
		}
		n.c.Log.Warn("mail of a panic is not sent", "attempt", try+1, "err", err, "wait", n.wait(try))
		if final(err) && try+1 >= finalTries {
			break
		}
		err = sleep(ctx, n.wait(try))
	}
	n.c.Log.Error("mail of a panic is given up", "err", err)
}

// finalTries is how often a mail is tried that the server says it will never take.
const finalTries = 3

// wait stands before the try after that one, the first being 0.
func (n *Notifier) wait(try int) time.Duration { return n.c.Waits[min(try, len(n.c.Waits)-1)] }

// Test sends a mail that says that it is a test.
func Test(ctx context.Context, c Config) error {
	m, err := render("test", c)
	if err != nil {
		return err
	}
	return Send(ctx, &c, m)
}
