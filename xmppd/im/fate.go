package im

import "slices"

// A Kind is a kind of stanza, as far as routing tells them apart.
type Kind uint8

// The kinds of stanzas.
const (
	Chat Kind = iota
	Normal
	Headline
	Groupchat
	ErrorMessage
	Presence   // of no type, or unavailable
	Subscribe  // presence that asks
	Subscribed // presence that answers or takes back: subscribed, unsubscribe, unsubscribed
	Probe
	Request // an iq of type get or set
	Answer  // an iq of type result or error
	kinds
)

// A Place is where an address leads at a moment.
type Place uint8

// The places. A bare JID is the account; a full one names a device.
const (
	Malformed Place = iota // no JID
	Foreign                // another domain
	Blocked                // whom the sender has blocked (XEP-0191)
	Domain                 // the server itself
	Nobody                 // no such account
	Away                   // bare: no device is available
	Negative               // bare: all that are available have a negative priority
	Ready                  // bare: there is one with another priority
	Here                   // full: the device is connected, available or not
	Gone                   // full: it is not
	places
)

// A Fate is what becomes of a stanza.
type Fate uint8

// The fates.
const (
	Drop        Fate = iota // nobody hears of it
	Refuse                  // the sender gets an error
	Keep                    // it waits for a device
	ToDevice                // to that device
	ToReady                 // to all available devices with a priority that is not negative
	ToAvailable             // to all available devices
	ByServer                // the server answers it, or acts on it, for the account
	AsBare                  // as if the bare JID had been written
)

// fates is RFC 6121 §8.5 as one table: rules 18 to 22.
var fates = table()

// table is written with the letters of RFC 6121 §8.5.4, and three more. Over each
// column stands its section: within it, .1 is about messages, .2 about presence and .3
// about iqs. Before them are RFC 6120 §8.3.3.8 and §10.4, XEP-0191 §3.3, RFC 6120 §10.5.
//
// Where RFC 6121 leaves a choice: whoever writes to nobody is told, so that a mistyped
// colleague is noticed (§8.5.1), and so for a normal message to a device that is gone;
// what can be kept is kept (§8.5.2.2.1); all devices that may get what is for the bare
// JID do (§8.5.2.1.1); a probe of nobody has no answer.
func table() [kinds][places]Fate {
	const (
		S = Drop
		E = Refuse
		O = Keep
		D = ToDevice
		A = ToReady
		P = ToAvailable
		V = ByServer
		B = AsBare
	)
	return [kinds][places]Fate{
		//           ┌ Malformed
		//           │  ┌ Foreign
		//           │  │  ┌ Blocked
		//           │  │  │  ┌ Domain
		//           │  │  │  │  ┌ Nobody, §8.5.1
		//           │  │  │  │  │  ┌ Away, §8.5.2.2
		//           │  │  │  │  │  │  ┌ Negative, §8.5.2.1
		//           │  │  │  │  │  │  │  ┌ Ready, §8.5.2.1
		//           │  │  │  │  │  │  │  │  ┌ Here, §8.5.3.1
		//           │  │  │  │  │  │  │  │  │  ┌ Gone, §8.5.3.2
		Chat:         {E, E, E, E, E, O, O, A, D, B},
		Normal:       {E, E, E, E, E, O, O, A, D, E},
		Headline:     {E, E, E, E, E, S, S, A, D, S},
		Groupchat:    {E, E, E, E, E, E, E, E, D, E},
		ErrorMessage: {S, S, S, S, S, S, S, S, D, S},
		Presence:     {E, E, E, S, S, S, P, P, D, S},
		Subscribe:    {E, E, E, S, S, V, V, V, V, V}, // RFC 6121 §3.1.3
		Subscribed:   {E, E, E, S, S, V, V, V, V, S},
		Probe:        {S, S, E, S, S, V, V, V, V, V}, // RFC 6121 §4.3
		Request:      {E, E, E, V, E, V, V, V, D, E},
		Answer:       {S, S, S, S, S, S, S, S, D, S},
	}
}

// Fate is what becomes of a stanza of this kind there.
func (k Kind) Fate(p Place) Fate { return fates[k][p] }

// Welcome says that an account takes this kind wherever its devices are, so that
// nobody has to look for them first.
func (k Kind) Welcome() bool {
	row := fates[k][Away:]
	return !slices.Contains(row, Refuse) && !slices.Contains(row, Drop)
}

var messageTypes = [...]string{Chat: "chat", Normal: "normal", Headline: "headline", Groupchat: "groupchat", ErrorMessage: "error"}

// MessageKind is the kind of a message of that type. Normal is the default, also for
// a type that nobody knows (RFC 6121 §5.2.2).
func MessageKind(typ []byte) Kind {
	for k, t := range messageTypes {
		if string(typ) == t {
			return Kind(k)
		}
	}
	return Normal
}

// MessageType is the type of a message of that kind.
func (k Kind) MessageType() string { return messageTypes[k] }

// PresenceKind is the kind of presence of that type; Presence also for types that are
// none.
func PresenceKind(typ []byte) Kind {
	switch string(typ) {
	case "subscribe":
		return Subscribe
	case "subscribed", "unsubscribe", "unsubscribed":
		return Subscribed
	case "probe":
		return Probe
	}
	return Presence
}
