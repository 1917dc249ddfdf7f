package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
)

// A Mail is one text to all operators.
type Mail struct {
	Subject, Text string
}

// A mailer hands mails to the server, one after another and not too many of them.
type mailer struct {
	c     *Config
	stats *Stats

	turn chan struct{} // holds one: who has it sends

	mu   sync.Mutex // guards what follows
	sent []time.Time
}

func newMailer(c *Config, stats *Stats) *mailer {
	m := &mailer{c: c, stats: stats, turn: make(chan struct{}, 1)}
	m.turn <- struct{}{}
	return m
}

// send returns when the server has taken the mail, or did not. It waits for its turn, and
// until the hour has room for another mail.
func (m *mailer) send(ctx context.Context, mail Mail) error {
	select {
	case <-m.turn:
		defer func() { m.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := m.budget(ctx); err != nil {
		return err
	}
	err := Send(ctx, m.c, mail)
	if err != nil {
		m.stats.Failed.Add(1)
		return err
	}
	m.stats.Sent.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent = append(m.sent, time.Now())
	return nil
}

// budget waits until less than PerHour mails were sent in the last hour.
func (m *mailer) budget(ctx context.Context) error {
	for {
		m.mu.Lock()
		for len(m.sent) > 0 && time.Since(m.sent[0]) >= time.Hour {
			m.sent = m.sent[1:]
		}
		var wait time.Duration
		if len(m.sent) >= m.c.PerHour {
			wait = time.Hour - time.Since(m.sent[0])
		}
		m.mu.Unlock()
		if wait == 0 {
			return ctx.Err()
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drain is how long a mail on its way may take when the server stops.
const drain = 3 * time.Second

// Send sends one mail, at once. It does not outlast c.Timeout, however slow the server is.
func Send(ctx context.Context, c *Config, m Mail) error {
	full := c.withDefaults()
	c = &full
	stop := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Timeout)
	defer cancel()
	// What the server has taken but not yet said so would be sent again.
	defer context.AfterFunc(stop, func() { time.AfterFunc(drain, cancel) })()
	msg, err := c.message(m)
	if err != nil {
		return err
	}
	d := &dialing{c: c}
	defer d.close()
	client, err := c.client(d)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, d.close)() // the library has a time-out for each step only
	err = d.send(ctx, client, msg)
	if err != nil && (ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		return fmt.Errorf("mail server %s: no answer in time: %w", c.Server, err)
	}
	if err != nil {
		return fmt.Errorf("mail server %s: %w", c.Server, err)
	}
	return nil
}

// ErrRefused says that the mail server will never take this mail.
var ErrRefused = errors.New("it does not take this mail")

// Deliver is Send to somebody who is no operator. Its errors, which are for the log, do not name that person.
func Deliver(ctx context.Context, c *Config, to string, m Mail) error {
	one := *c
	one.To = []string{to}
	err := Send(ctx, &one, m)
	if e, ok := errors.AsType[*mail.SendError](err); ok {
		why := fmt.Errorf("it answers %d", e.ErrorCode())
		if final(err) {
			why = fmt.Errorf("%w and answers %d", ErrRefused, e.ErrorCode())
		}
		return fmt.Errorf("mail server %s: %w", c.Server, why)
	}
	return err
}

// final says whether the server will never take this mail (RFC 5321 §4.2.1).
func final(err error) bool {
	e, ok := errors.AsType[*mail.SendError](err)
	return ok && !e.IsTemp() && e.ErrorCode() >= 500
}

func (c *Config) message(m Mail) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := msg.From(c.From); err != nil {
		return nil, fmt.Errorf("mail.from: %w", err)
	}
	if err := msg.To(c.To...); err != nil {
		return nil, fmt.Errorf("mail.to: %w", err)
	}
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5: nobody need answer that he is away
	msg.Subject(clean(m.Subject))
	msg.SetDate()
	msg.SetMessageID()
	msg.SetBodyString(mail.TypeTextPlain, m.Text)
	return msg, nil
}

func (c *Config) client(d *dialing) (*mail.Client, error) {
	host, text, err := net.SplitHostPort(c.Server)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	d.tls = &tls.Config{ServerName: host, RootCAs: c.Roots, MinVersion: tls.VersionTLS12}
	policy := mail.TLSMandatory
	if c.TLS != StartTLS {
		policy = mail.TLSOpportunistic // which with implicit TLS only asks whether there is TLS
	}
	if c.TLS == None {
		policy = mail.NoTLS
	}
	options := []mail.Option{
		mail.WithPort(port), mail.WithTLSConfig(d.tls), mail.WithTLSPolicy(policy), mail.WithTimeout(c.Timeout),
		mail.WithDialContextFunc(d.dial), mail.WithoutNoop(),
	}
	if c.Host != "" {
		options = append(options, mail.WithHELO(c.Host))
	}
	if c.User != "" {
		password, err := c.Password()
		if err != nil {
			return nil, fmt.Errorf("mail.password: %w", err)
		}
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(c.User), mail.WithPassword(password))
	}
	return mail.NewClient(host, options...)
}

// A dialing is the connection of one mail. It is closed by whoever comes first.
type dialing struct {
	c   *Config
	tls *tls.Config

	mu     sync.Mutex // guards what follows
	conn   net.Conn
	closed bool
}

var errPlain = errors.New("the connection would not be encrypted, and the server is not on this machine")

func (d *dialing) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if d.c.TLS == None {
		// KIS-10: the name may lead anywhere, so it is the address that counts.
		if to, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !to.IP.IsLoopback() {
			conn.Close()
			return nil, errPlain
		}
	}
	d.mu.Lock()
	closed := d.closed
	d.conn = conn
	d.mu.Unlock()
	if closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	if d.c.TLS != Implicit {
		return conn, nil
	}
	over := tls.Client(conn, d.tls)
	if err := over.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return over, nil
}

func (d *dialing) send(ctx context.Context, client *mail.Client, msg *mail.Msg) error {
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	if err := client.SendWithSMTPClient(session, msg); err != nil {
		return err
	}
	// The server has it. Whether it says goodbye changes nothing.
	_ = client.CloseWithSMTPClient(session)
	return nil
}

func (d *dialing) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.conn != nil {
		d.conn.Close()
	}
}
