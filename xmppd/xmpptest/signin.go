package xmpptest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mellium.im/sasl"
)

const header = "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='" + nsClient + "' xmlns:stream='" + nsStream + "'>"

// mechanisms are those that mellium.im/sasl has, best first.
var mechanisms = []sasl.Mechanism{sasl.ScramSha256Plus, sasl.ScramSha256, sasl.ScramSha1Plus, sasl.ScramSha1}

// signIn does all that stands between the connection and a session: RFC 6120
// §9.1 tells the same as an example.
func (d *device) signIn(ctx context.Context, s Server, starttls, bind bool) error {
	how := "tls"
	if starttls {
		how = "starttls"
	}
	if err := d.dial(ctx, s, how); err != nil {
		return err
	}
	if starttls {
		if err := d.starttls(ctx); err != nil {
			return fmt.Errorf("STARTTLS: %w", err)
		}
	}
	features, err := d.open()
	if err != nil {
		return err
	}
	if err := d.authenticate(features); err != nil {
		return fmt.Errorf("SASL: %w", err)
	}
	if _, err := d.open(); err != nil {
		return err
	}
	if bind {
		if err := d.bind(); err != nil {
			return fmt.Errorf("bind: %w", err)
		}
	}
	d.unasked = false
	return nil
}

// open sends a stream header and returns the features.
func (d *device) open() (*node, error) {
	d.send(fmt.Sprintf(header, d.person.Domain))
	it, err := d.next()
	if err != nil {
		return nil, fmt.Errorf("stream header: %w", err)
	}
	if it.kind != gotHeader {
		return nil, fmt.Errorf("want a stream header, got %s", it.raw)
	}
	return d.want(nsStream, "features")
}

// want is the next thing, which must be an element of that name.
func (d *device) want(space, local string) (*node, error) {
	it, err := d.next()
	if err != nil {
		return nil, fmt.Errorf("<%s>: %w", local, err)
	}
	if !it.is(space, local) {
		return nil, fmt.Errorf("want <%s>, got %s", local, it.raw)
	}
	return it.node, nil
}

func (d *device) starttls(ctx context.Context) error {
	if _, err := d.open(); err != nil {
		return err
	}
	d.send("<starttls xmlns='" + nsTLS + "'/>")
	if _, err := d.want(nsTLS, "proceed"); err != nil {
		return err
	}
	return d.secure(ctx)
}

func (d *device) authenticate(features *node) error {
	state, ok := d.tls()
	if !ok {
		return errors.New("not before TLS")
	}
	offered := offered(features)
	i := slices.IndexFunc(mechanisms, func(m sasl.Mechanism) bool { return slices.Contains(offered, m.Name) })
	if i < 0 {
		return fmt.Errorf("none of %q is of use", offered)
	}
	client := sasl.NewClient(mechanisms[i], sasl.TLSState(state), sasl.RemoteMechanisms(offered...),
		sasl.Credentials(func() (username, password, identity []byte) {
			return []byte(d.person.Name), []byte(d.person.Password), nil
		}))
	_, first, err := client.Step(nil)
	if err != nil {
		return err
	}
	d.send("<auth xmlns='" + nsSASL + "' mechanism='" + mechanisms[i].Name + "'>" + encode(first) + "</auth>")
	challenge, err := d.want(nsSASL, "challenge")
	if err != nil {
		return err
	}
	final, err := answer(client, challenge)
	if err != nil {
		return err
	}
	d.send("<response xmlns='" + nsSASL + "'>" + encode(final) + "</response>")
	success, err := d.want(nsSASL, "success")
	if err != nil {
		return err
	}
	// RFC 5802 §3: the server, too, has shown that it knows the password.
	_, err = answer(client, success)
	return err
}

// offered are the names of the mechanisms in the features.
func offered(features *node) []string {
	var names []string
	for _, list := range features.children(nsSASL, "mechanisms") {
		for _, m := range list.children(nsSASL, "mechanism") {
			names = append(names, strings.TrimSpace(m.text()))
		}
	}
	return names
}

func answer(client *sasl.Negotiator, n *node) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(n.text()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.tag(), err)
	}
	_, resp, err := client.Step(raw)
	return resp, err
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// bind asks for the resource that the talk names, or for any.
func (d *device) bind() error {
	resource := ""
	if d.resource != "" {
		resource = "<resource>" + d.resource + "</resource>"
	}
	d.send("<iq type='set' id='bind'><bind xmlns='" + nsBind + "'>" + resource + "</bind></iq>")
	iq, err := d.want(nsClient, "iq")
	if err != nil {
		return err
	}
	if iq.attr("type") != "result" || iq.attr("id") != "bind" {
		return errors.New("refused")
	}
	return nil
}
