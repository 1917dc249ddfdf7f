package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"mellium.im/sasl"
)

const (
	nsManage  = "urn:xmpp:sm:3"
	nsArchive = "urn:xmpp:mam:2"
)

// An element is anything that came, as encoding/xml reads it.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []*element `xml:",any"`
	Text     string     `xml:",chardata"`
}

func (e *element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// at is the first element at the end of a path of names below e; an empty one if
// there is none.
func (e *element) at(path ...string) *element {
	for _, name := range path {
		next := &element{}
		for _, c := range e.Children {
			if c.XMLName.Local == name {
				next = c
				break
			}
		}
		e = next
	}
	return e
}

// kinds is what the children are, for errors.
func (e *element) kinds() string {
	var list []string
	for _, c := range e.Children {
		list = append(list, strings.TrimSpace(c.XMLName.Local+" "+c.Text))
	}
	return strings.Join(list, ", ")
}

// A stream is a client's connection. It knows nothing of the server's code.
type stream struct {
	conn *tls.Conn
	dec  *xml.Decoder
}

// streamPatience is how long a sign-in or an answer may take.
const streamPatience = 20 * time.Second

// dialStream signs in, up to the point where a resource is bound or a session resumed.
func dialStream(addr string, roots *x509.CertPool, jid, password string) (s *stream, err error) {
	name, domain, _ := strings.Cut(jid, "@")
	ctx, cancel := context.WithTimeout(context.Background(), streamPatience)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	s = &stream{conn: tls.Client(raw, &tls.Config{ServerName: domain, RootCAs: roots, NextProtos: []string{"xmpp-client"}})}
	defer func() {
		if err != nil {
			raw.Close()
		}
	}()
	if err := s.conn.SetDeadline(time.Now().Add(streamPatience)); err != nil {
		return nil, err
	}
	if err := s.conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	if err := s.open(domain); err != nil {
		return nil, err
	}
	if err := s.authenticate(name, password); err != nil {
		return nil, err
	}
	if err := s.open(domain); err != nil {
		return nil, err
	}
	return s, s.conn.SetDeadline(time.Time{})
}

// open begins a stream and reads the server's header and features.
func (s *stream) open(domain string) error {
	if err := s.send("<?xml version='1.0'?><stream:stream to='" + domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"); err != nil {
		return err
	}
	s.dec = xml.NewDecoder(s.conn)
	for {
		t, err := s.dec.Token()
		if err != nil {
			return err
		}
		if _, ok := t.(xml.StartElement); ok {
			_, err := s.want("features")
			return err
		}
	}
}

func (s *stream) send(text string) error {
	_, err := io.WriteString(s.conn, text)
	return err
}

// next is the next element; io.EOF at the end of the stream.
func (s *stream) next() (*element, error) {
	for {
		t, err := s.dec.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			e := new(element)
			return e, s.dec.DecodeElement(e, &t)
		case xml.EndElement:
			return nil, io.EOF
		}
	}
}

// want is the next element, which must have that name.
func (s *stream) want(name string) (*element, error) {
	e, err := s.next()
	if err == nil && e.XMLName.Local != name {
		err = fmt.Errorf("got <%s> %v, want <%s>", e.XMLName.Local, e.Attrs, name)
	}
	return e, err
}

func (s *stream) authenticate(name, password string) error {
	const mechanism = "SCRAM-SHA-256-PLUS"
	client := sasl.NewClient(sasl.ScramSha256Plus, sasl.TLSState(s.conn.ConnectionState()), sasl.RemoteMechanisms(mechanism),
		sasl.Credentials(func() (username, pass, identity []byte) { return []byte(name), []byte(password), nil }))
	_, said, err := client.Step(nil)
	if err != nil {
		return err
	}
	start, end := "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='"+mechanism+"'>", "</auth>"
	for _, answer := range []string{"challenge", "success"} {
		if err := s.send(start + base64.StdEncoding.EncodeToString(said) + end); err != nil {
			return err
		}
		e, err := s.want(answer)
		if err != nil {
			return err
		}
		heard, err := base64.StdEncoding.DecodeString(e.Text)
		if err != nil {
			return err
		}
		if _, said, err = client.Step(heard); err != nil {
			return err
		}
		start, end = "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>", "</response>"
	}
	return nil
}

// bind binds a resource.
func (s *stream) bind(resource string) error {
	if err := s.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>"); err != nil {
		return err
	}
	e, err := s.want("iq")
	if err == nil && e.attr("type") != "result" {
		err = fmt.Errorf("bind %s: %v", resource, e.Attrs)
	}
	return err
}

// enable switches stream management on (XEP-0198 §3) and answers the id to resume with.
func (s *stream) enable(resume bool) (id string, err error) {
	if err := s.send("<enable xmlns='" + nsManage + "' resume='" + strconv.FormatBool(resume) + "'/>"); err != nil {
		return "", err
	}
	e, err := s.want("enabled")
	if err != nil {
		return "", err
	}
	return e.attr("id"), nil
}

// acknowledged asks what was handled (XEP-0198 §4) and answers that count, passing
// over whatever else comes.
func (s *stream) acknowledged() (h string, err error) {
	if err := s.send("<r xmlns='" + nsManage + "'/>"); err != nil {
		return "", err
	}
	for {
		e, err := s.next()
		if err != nil {
			return "", err
		}
		if e.XMLName.Space == nsManage && e.XMLName.Local == "a" {
			return e.attr("h"), nil
		}
	}
}

// archived reads an agent's whole archive, page by page (XEP-0313 §4, XEP-0059 §2.2),
// and calls each with the id of every message.
func (s *stream) archived(each func(id string, message *element)) error {
	after := ""
	for page := 0; ; page++ {
		from := ""
		if after != "" {
			from = "<after>" + after + "</after>"
		}
		if err := s.send(fmt.Sprintf("<iq type='set' id='page%d'><query xmlns='%s'><set xmlns='http://jabber.org/protocol/rsm'><max>200</max>%s</set></query></iq>",
			page, nsArchive, from)); err != nil {
			return err
		}
		for {
			e, err := s.next()
			if err != nil {
				return err
			}
			if r := e.at("result"); r.XMLName.Space == nsArchive {
				each(r.attr("id"), r.at("forwarded", "message"))
				continue
			}
			if e.XMLName.Local != "iq" {
				continue
			}
			fin := e.at("fin")
			if e.attr("type") != "result" || fin.XMLName.Space != nsArchive {
				return fmt.Errorf("the archive answers %v", e.Attrs)
			}
			after = fin.at("set", "last").Text
			if fin.attr("complete") == "true" {
				return nil
			}
			break
		}
	}
}
