package im

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"

	"parley.im/parley/xmppd/wire"
)

// Namespaces of what an agent has of her own.
const (
	NSCard    = "vcard-temp"        // XEP-0054
	NSPrivate = "jabber:iq:private" // XEP-0049
)

// NoCard is the vCard of whoever has none (XEP-0054 §3.1).
const NoCard = "<vCard xmlns='" + NSCard + "'/>"

// AppendCard writes the vCard of somebody of whom nothing is known but a name (XEP-0054 §3.1).
func AppendCard(b []byte, name string) []byte {
	b = append(b, "<vCard xmlns='"+NSCard+"'><FN>"...)
	return append(wire.AppendText(b, name), "</FN></vCard>"...)
}

// An Activity is when an agent was available last, and what she said when she went.
type Activity struct {
	At     time.Time
	Status string
}

// maxStatus bounds what is kept of a status, in bytes.
const maxStatus = 1024

// AppendActivity appends a's encoding to b: milliseconds, then the status.
func AppendActivity(b []byte, a Activity) []byte {
	b = binary.AppendVarint(b, a.At.UnixMilli())
	if len(a.Status) > maxStatus {
		a.Status = strings.ToValidUTF8(a.Status[:maxStatus], "")
	}
	return append(b, a.Status...)
}

// ParseActivity undoes AppendActivity.
func ParseActivity(b []byte) (Activity, error) {
	at, n := binary.Varint(b)
	if n <= 0 {
		return Activity{}, errors.New("not an activity")
	}
	return Activity{At: time.UnixMilli(at), Status: string(b[n:])}, nil
}

// AppendLast writes the answer to XEP-0012: how long ago something was, in whole seconds,
// and what was said then.
func AppendLast(b []byte, ago time.Duration, status string) []byte {
	b = append(b, "<query xmlns='"+NSLast+"' seconds='"...)
	b = strconv.AppendInt(b, max(0, int64(ago/time.Second)), 10)
	b = append(b, "'>"...)
	b = wire.AppendText(b, status)
	return append(b, "</query>"...)
}

// AppendLeft writes in presence what somebody said who has left, and when (RFC 6121
// §4.3.2, XEP-0203 §4); nothing if that is not known.
func AppendLeft(b []byte, a Activity, server string) []byte {
	if a.Status != "" {
		b = append(wire.AppendText(append(b, "<status>"...), a.Status), "</status>"...)
	}
	if !a.At.IsZero() {
		b = AppendDelay(b, server, a.At)
	}
	return b
}
