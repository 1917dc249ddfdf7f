package im

import (
	"time"

	"parley.im/parley/xmppd/wire"
)

// Namespaces of what the server tells of itself and its accounts.
const (
	NSPing     = "urn:xmpp:ping"      // XEP-0199
	NSTime     = "urn:xmpp:time"      // XEP-0202
	NSVersion  = "jabber:iq:version"  // XEP-0092
	NSLast     = "jabber:iq:last"     // XEP-0012
	NSRegister = "jabber:iq:register" // XEP-0077
)

// Features of the server and of an agent's account, as XEP-0030 §3 lists them: what
// each of them answers, and no more.
var (
	ServerFeatures = []string{
		NSCaps,
		NSDiscoInfo,
		NSDiscoItems,
		NSLast,
		NSPrivate,
		NSVersion,
		"msgoffline", // XEP-0160 §4
		NSBlocking,   // XEP-0191 §3.1
		nsCarbons,    // XEP-0280 §4
		// XEP-0313 §7 has it with the account alone; but clients such as Profanity look for
		// it here, and then ask their own accounts.
		NSArchive,
		NSPing,
		NSTime,
		NSCard, // XEP-0054 §4
	}
	AccountFeatures = []string{
		NSDiscoInfo,
		NSDiscoItems,
		NSLast,
		NSPrivate,
		NSVersion,
		NSBlocking,
		NSArchive,
		NSArchive + "#extended",
		NSArchive + "#groupchat-field",
		NSPing,
		nsStanzaID,
		NSTime,
		NSCard,
	}
)

// Version is the answer to XEP-0092: the name alone, since a version number helps
// an attacker more than anyone else (WCP-17).
const Version = "<query xmlns='" + NSVersion + "'><name>Parley</name><version>-</version></query>"

// AppendRegistered writes what is on file of an agent, and that a new password can be
// given (XEP-0077 §3.1).
func AppendRegistered(b []byte, name string) []byte {
	b = append(b, "<query xmlns='"+NSRegister+"'><registered/><username>"...)
	b = wire.AppendText(b, name)
	return append(b, "</username><password/></query>"...)
}

// AppendTime writes the answer to XEP-0202 §2: the server lives in UTC, and where it
// stands is nobody's business.
func AppendTime(b []byte, now time.Time) []byte {
	b = append(b, "<time xmlns='"+NSTime+"'><tzo>+00:00</tzo><utc>"...)
	b = now.UTC().AppendFormat(b, "2006-01-02T15:04:05Z")
	return append(b, "</utc></time>"...)
}
