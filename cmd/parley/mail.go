package main

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"parley.im/parley/conf"
	"parley.im/parley/xmppd/notify"
	"parley.im/parley/xmppd/panics"
	"parley.im/parley/xmppd/web"
)

// mailConfig is what [mail] says.
func mailConfig(f *conf.File, log *slog.Logger) (notify.Config, error) {
	m := &f.Mail
	host, err := os.Hostname()
	if err != nil {
		return notify.Config{}, err
	}
	c := notify.Config{
		Server: m.Server, TLS: m.TLS, User: m.User, Password: m.Password.Reveal, From: m.From, To: m.To,
		Host: host, Every: m.Every, PerHour: m.PerHour, Log: log,
	}
	if m.Roots == "" || m.Server == "" {
		return c, nil
	}
	text, err := os.ReadFile(m.Roots)
	if err != nil {
		return c, unusable(f, "mail.roots", "", err)
	}
	c.Roots = x509.NewCertPool()
	if !c.Roots.AppendCertsFromPEM(text) {
		return c, f.Fault("mail.roots", "", "no certificate is in %s", m.Roots)
	}
	return c, nil
}

// checkMail looks for what [mail] names.
func checkMail(f *conf.File) (faults []error) {
	if f.Mail.Server == "" {
		return nil
	}
	if _, err := mailConfig(f, nil); err != nil {
		faults = append(faults, err)
	}
	if f.Mail.User != "" {
		if _, err := f.Mail.Password.Reveal(); err != nil {
			faults = append(faults, unusable(f, "mail.password", "", err))
		}
	}
	return faults
}

func mailCommands() []command {
	return []command{{
		name:    "mail test",
		does:    "Sends a mail to those who get the server's alerts, and says what the mail server made of it.",
		more:    "It works the same whether the server runs or not.",
		options: []option{configOption, setOption},
		run:     mailTest,
	}}
}

func mailTest(ctx context.Context, c *call) error {
	f, err := c.load()
	if err != nil {
		return err
	}
	if f.Mail.Server == "" {
		return withHint(errors.New("mail is switched off"), "name a mail server under [mail]; 'parley sample' has its options")
	}
	mc, err := mailConfig(f, nil)
	if err != nil {
		return err
	}
	if err := notify.Test(ctx, mc); err != nil {
		return err
	}
	c.say("%s took a mail to %s", f.Mail.Server, strings.Join(f.Mail.To, ", "))
	return nil
}

// guarded answers with a handler whose panics are logged, and so mailed, and cost one request.
func guarded(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			switch p {
			case nil:
				return
			case http.ErrAbortHandler: // an answer is broken off on purpose
				panic(p)
			}
			panics.Log(log, p)
			// Where the answer has begun, this says nothing any more: the connection ends.
			web.Refuse(web.Internal, "something went wrong here").Write(w)
		}()
		next.ServeHTTP(w, r)
	})
}
