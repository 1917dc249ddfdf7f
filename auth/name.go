package auth

import (
	"fmt"

	"mellium.im/xmpp/jid"
)

// PrepareName brings a name into the form in which names are stored and compared:
// the local part of a JID (RFC 7622 §3.3). It returns ErrName for what can't be one.
func PrepareName(s string) (string, error) {
	j, err := jid.New(s, "localhost", "")
	if err != nil {
		return "", fmt.Errorf("%w: %v", ErrName, err)
	}
	name := j.Localpart()
	if name == "" {
		return "", fmt.Errorf("%w: empty", ErrName)
	}
	// A few strings change again when prepared twice (RFC 8264 §7). What is stored has
	// to be what a second preparation finds.
	if name != s {
		again, err := jid.New(name, "localhost", "")
		if err != nil || again.Localpart() != name {
			return "", fmt.Errorf("%w: no stable form", ErrName)
		}
	}
	return name, nil
}
