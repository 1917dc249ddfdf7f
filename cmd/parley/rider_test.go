package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// A rider is a client that costs little, so that many of them leave the machine to the
// server: it looks for signs in the bytes instead of reading XML, and hashes its password
// once, as clients do that keep what RFC 5802 calls SaltedPassword.
type rider struct {
	number int
	addr   string
	tls    *tls.Config
	from   net.Addr // where it calls from; nil is anywhere
	salted []byte   // after the first sign-in

	conn   *tls.Conn
	rest   []byte // came, and was not taken yet
	stream string // by which it can be resumed
}

const riderPassword = "correct horse"

func (r *rider) name() string { return fmt.Sprintf("rider%d", r.number) }

// take reads up to the n-th of these signs, and returns what that was.
func (r *rider) take(sign string, n int) (string, error) {
	from := 0
	for n > 0 {
		if i := bytes.Index(r.rest[from:], []byte(sign)); i >= 0 {
			from += i + len(sign)
			n--
			continue
		}
		from = max(from, len(r.rest)-len(sign))
		buf := make([]byte, 16<<10)
		k, err := r.conn.Read(buf)
		r.rest = append(r.rest, buf[:k]...)
		if err != nil && k == 0 {
			return "", fmt.Errorf("%s waits for %q: %w; it got %.200q", r.name(), sign, err, r.rest)
		}
	}
	taken := string(r.rest[:from])
	r.rest = r.rest[from:]
	return taken, nil
}

// ask sends something and reads up to a sign of its answer.
func (r *rider) ask(sign, format string, args ...any) (string, error) {
	if _, err := fmt.Fprintf(r.conn, format, args...); err != nil {
		return "", err
	}
	return r.take(sign, 1)
}

// arrive connects and signs in, up to where a resource is bound or a stream resumed.
func (r *rider) arrive() error {
	dialer := net.Dialer{LocalAddr: r.from}
	raw, err := dialer.Dial("tcp", r.addr)
	if err != nil {
		return err
	}
	if err := raw.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return err
	}
	r.conn, r.rest = tls.Client(raw, r.tls), nil
	if _, err := r.ask("</stream:features>", streamHeader, "desk.example"); err != nil {
		return err
	}
	if err := r.scram("</success>"); err != nil {
		return err
	}
	_, err = r.ask("</stream:features>", streamHeader, "desk.example")
	return err
}

// scram is SCRAM-SHA-256 (RFC 7677, RFC 5802 §3), up to the outcome that is expected.
func (r *rider) scram(outcome string) error {
	const sasl = "urn:ietf:params:xml:ns:xmpp-sasl"
	encode := base64.StdEncoding.EncodeToString
	bare := "n=" + r.name() + ",r=" + rand.Text()
	answer, err := r.ask("</challenge>", "<auth xmlns='%s' mechanism='SCRAM-SHA-256'>%s</auth>", sasl, encode([]byte("n,,"+bare)))
	if err != nil {
		return err
	}
	_, answer, _ = strings.Cut(strings.TrimSuffix(answer, "</challenge>"), ">")
	challenge, err := base64.StdEncoding.DecodeString(answer)
	if err != nil {
		return err
	}
	parts := strings.Split(string(challenge), ",")
	if len(parts) < 3 {
		return fmt.Errorf("no challenge: %q", challenge)
	}
	if r.salted == nil {
		salt, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(parts[1], "s="))
		rounds, wrong := strconv.Atoi(strings.TrimPrefix(parts[2], "i="))
		if err := errors.Join(err, wrong); err != nil {
			return err
		}
		if r.salted, err = pbkdf2.Key(sha256.New, riderPassword, salt, rounds, sha256.Size); err != nil {
			return err
		}
	}
	final := "c=biws," + parts[0]
	key := hash(r.salted, "Client Key")
	stored := sha256.Sum256(key)
	proof := hash(stored[:], bare+","+string(challenge)+","+final)
	subtle.XORBytes(proof, proof, key)
	_, err = r.ask(outcome, "<response xmlns='%s'>%s</response>", sasl, encode([]byte(final+",p="+encode(proof))))
	return err
}

func hash(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// cut cuts its line.
func (r *rider) cut() error { return r.conn.NetConn().Close() }

// begin binds the resource r and asks for a session that can be resumed.
func (r *rider) begin() error { return r.bind("r") }

func (r *rider) bind(resource string) error {
	_, err := r.ask("<enabled ", "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>%s</resource></bind></iq>"+
		"<enable xmlns='urn:xmpp:sm:3' resume='true'/>", resource)
	if err != nil {
		return err
	}
	answer, err := r.take("/>", 1)
	if err != nil {
		return err
	}
	_, answer, _ = strings.Cut(answer, " id='")
	r.stream, _, _ = strings.Cut(answer, "'")
	if r.stream == "" {
		return errors.New("not resumable")
	}
	return nil
}

// resume takes the stream up again after h stanzas.
func (r *rider) resume(h int) error {
	_, err := r.ask("<resumed ", "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", r.stream, h)
	return err
}
