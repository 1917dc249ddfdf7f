package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// probeMax bounds what a probe reads from one listener: a page of figures, or the beginning
// of a stream.
const probeMax = 1 << 20

// xmpp begins a stream, with TLS, up to where somebody could sign in (RFC 6120 §4.3.2).
func (p *probing) xmpp(ctx context.Context, t target) error {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", t.addr)
	if err != nil {
		return plainDial(err)
	}
	defer raw.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := raw.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if t.kind == "starttls" {
		if err := p.offer(raw, "<starttls"); err != nil {
			return err
		}
		if _, err := io.WriteString(raw, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"); err != nil {
			return err
		}
		if err := until(raw, "<proceed"); err != nil {
			return err
		}
	}
	over, err := p.secure(ctx, raw, "xmpp-client")
	if err != nil {
		return err
	}
	if err := p.offer(over, "<mechanisms"); err != nil {
		return err
	}
	_, err = io.WriteString(over, "</stream:stream>")
	return err
}

// offer opens a stream and waits until the server offers something.
func (p *probing) offer(conn net.Conn, what string) error {
	_, err := fmt.Fprintf(conn, "<stream:stream to='%s' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", escaped(p.host))
	if err != nil {
		return err
	}
	return until(conn, what)
}

func escaped(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", "'", "&apos;").Replace(text)
}

// until reads byte by byte, since what follows may be TLS.
func until(conn net.Conn, what string) error {
	var got []byte
	one := make([]byte, 1)
	for !strings.Contains(string(got), what) || got[len(got)-1] != '>' {
		if len(got) >= 16<<10 {
			return fmt.Errorf("no %s> in what the server says", what)
		}
		n, err := conn.Read(one)
		got = append(got, one[:n]...)
		switch {
		case strings.Contains(string(got), "</stream:error>"):
			_, reason, _ := strings.Cut(string(got), "<stream:error><")
			reason, _, _ = strings.Cut(reason, " ")
			return fmt.Errorf("the server refuses the stream: %s", reason)
		case err != nil:
			return fmt.Errorf("no %s> before the end: %w", what, err)
		}
	}
	return nil
}

// https asks the pages for operators.
func (p *probing) https(ctx context.Context, addr string) error {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			raw, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, plainDial(err)
			}
			over, err := p.secure(ctx, raw, "http/1.1")
			if err != nil {
				raw.Close()
				return nil, err
			}
			return over, nil
		},
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(path string) (status int, body string, err error) {
		_, port, _ := net.SplitHostPort(addr)
		req, err := http.NewRequestWithContext(ctx, "GET", "https://"+net.JoinHostPort(p.host, port)+path, nil)
		if err != nil {
			return 0, "", err
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(io.LimitReader(resp.Body, probeMax))
		return resp.StatusCode, string(text), err
	}
	status, body, err := get("/readyz")
	switch {
	case err != nil:
		var inner interface{ Unwrap() error }
		if errors.As(err, &inner) && inner.Unwrap() != nil {
			err = inner.Unwrap() // without the URL
		}
		return err
	case status == http.StatusServiceUnavailable:
		first, _, _ := strings.Cut(body, "\n")
		p.found(probeCritical, "not ready: %s", first)
	case status == http.StatusNotFound:
		p.found(probeUnknown, "/readyz is not for this machine: [admin] networks of the server say for whom it is")
		return nil
	case status != http.StatusOK:
		return fmt.Errorf("/readyz answers %d", status)
	}
	if status, body, err = get("/metrics"); err != nil || status != http.StatusOK {
		return fmt.Errorf("/metrics answers %d: %w", status, err)
	}
	p.figures(body)
	return nil
}

// figures takes from the metrics what people want to see drawn, and how old backups are.
func (p *probing) figures(text string) {
	oldest, where := -1.0, ""
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		i := strings.LastIndexByte(lines.Text(), ' ')
		if i < 0 {
			continue
		}
		name := lines.Text()[:i]
		value, err := strconv.ParseFloat(lines.Text()[i+1:], 64)
		if err != nil {
			continue
		}
		switch name {
		case "parley_sessions":
			p.perf = append(p.perf, fmt.Sprintf("sessions=%.0f", value))
		case "parley_messages_total":
			p.perf = append(p.perf, fmt.Sprintf("messages=%.0fc", value))
		case "parley_stores_unavailable":
			p.perf = append(p.perf, fmt.Sprintf("unavailable=%.0f;;0", value))
		}
		if labels, ok := strings.CutPrefix(name, "parley_backup_age_seconds"); ok && value > oldest {
			oldest, where = value, labels
		}
	}
	if oldest < 0 {
		if p.copies {
			p.found(probeWarning, "the server makes no copies, although they are configured: start it again")
		}
		return
	}
	p.perf = append(p.perf, fmt.Sprintf("backup=%.0fs;%.0f;%.0f", oldest, p.backups[0].Seconds(), p.backups[1].Seconds()))
	age := time.Duration(oldest * float64(time.Second)).Truncate(time.Second)
	switch {
	case age > p.backups[1]:
		p.found(probeCritical, "the newest backup %s is %v old", where, age)
	case age > p.backups[0]:
		p.found(probeWarning, "the newest backup %s is %v old", where, age)
	default:
		p.good = append(p.good, fmt.Sprintf("backups %v old", age))
	}
}

// plainDial is an error of connecting without the addresses, which stand before it.
func plainDial(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}
