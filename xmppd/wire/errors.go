package wire

// Conditions of stream errors (RFC 6120 §4.9.3) and of stanza errors (RFC 6120
// §8.3.3). Those above the line between them belong to streams, those below to
// stanzas, and those in the first group to both.
const (
	Conflict            = "conflict"              // RFC 6120 §4.9.3.3, §8.3.3.2
	InternalServerError = "internal-server-error" // RFC 6120 §4.9.3.8, §8.3.3.6
	NotAuthorized       = "not-authorized"        // RFC 6120 §4.9.3.12, §8.3.3.11
	PolicyViolation     = "policy-violation"      // RFC 6120 §4.9.3.14, §8.3.3.12
	ResourceConstraint  = "resource-constraint"   // RFC 6120 §4.9.3.17, §8.3.3.18
	UndefinedCondition  = "undefined-condition"   // RFC 6120 §4.9.3.21, §8.3.3.21

	BadFormat              = "bad-format"               // RFC 6120 §4.9.3.1
	BadNamespacePrefix     = "bad-namespace-prefix"     // RFC 6120 §4.9.3.2
	ConnectionTimeout      = "connection-timeout"       // RFC 6120 §4.9.3.4
	HostGone               = "host-gone"                // RFC 6120 §4.9.3.5
	HostUnknown            = "host-unknown"             // RFC 6120 §4.9.3.6
	ImproperAddressing     = "improper-addressing"      // RFC 6120 §4.9.3.7
	InvalidFrom            = "invalid-from"             // RFC 6120 §4.9.3.9
	InvalidNamespace       = "invalid-namespace"        // RFC 6120 §4.9.3.10
	InvalidXML             = "invalid-xml"              // RFC 6120 §4.9.3.11
	NotWellFormed          = "not-well-formed"          // RFC 6120 §4.9.3.13
	RemoteConnectionFailed = "remote-connection-failed" // RFC 6120 §4.9.3.15
	Reset                  = "reset"                    // RFC 6120 §4.9.3.16
	RestrictedXML          = "restricted-xml"           // RFC 6120 §4.9.3.18
	SeeOtherHost           = "see-other-host"           // RFC 6120 §4.9.3.19
	SystemShutdown         = "system-shutdown"          // RFC 6120 §4.9.3.20
	UnsupportedEncoding    = "unsupported-encoding"     // RFC 6120 §4.9.3.22
	UnsupportedFeature     = "unsupported-feature"      // RFC 6120 §4.9.3.23
	UnsupportedStanzaType  = "unsupported-stanza-type"  // RFC 6120 §4.9.3.24
	UnsupportedVersion     = "unsupported-version"      // RFC 6120 §4.9.3.25

	BadRequest            = "bad-request"             // RFC 6120 §8.3.3.1
	FeatureNotImplemented = "feature-not-implemented" // RFC 6120 §8.3.3.3
	Forbidden             = "forbidden"               // RFC 6120 §8.3.3.4
	Gone                  = "gone"                    // RFC 6120 §8.3.3.5
	ItemNotFound          = "item-not-found"          // RFC 6120 §8.3.3.7
	JIDMalformed          = "jid-malformed"           // RFC 6120 §8.3.3.8
	NotAcceptable         = "not-acceptable"          // RFC 6120 §8.3.3.9
	NotAllowed            = "not-allowed"             // RFC 6120 §8.3.3.10
	RecipientUnavailable  = "recipient-unavailable"   // RFC 6120 §8.3.3.13
	Redirect              = "redirect"                // RFC 6120 §8.3.3.14
	RegistrationRequired  = "registration-required"   // RFC 6120 §8.3.3.15
	RemoteServerNotFound  = "remote-server-not-found" // RFC 6120 §8.3.3.16
	RemoteServerTimeout   = "remote-server-timeout"   // RFC 6120 §8.3.3.17
	ServiceUnavailable    = "service-unavailable"     // RFC 6120 §8.3.3.19
	SubscriptionRequired  = "subscription-required"   // RFC 6120 §8.3.3.20
	UnexpectedRequest     = "unexpected-request"      // RFC 6120 §8.3.3.22
)

// Types of stanza errors: what the sender may do about it (RFC 6120 §8.3.2).
const (
	Auth     = "auth"     // try again after providing credentials
	Cancel   = "cancel"   // do not try again
	Continue = "continue" // go on, it was only a warning
	Modify   = "modify"   // try again after changing what was sent
	Wait     = "wait"     // try again later
)

// A StreamError ends a stream (RFC 6120 §4.9). Its texts are written for a
// stranger.
type StreamError struct {
	Condition string // undefined-condition if empty
	Text      string // in English; may be empty
	Host      string // where to go, with see-other-host (RFC 6120 §4.9.3.19)
	App       string // an application's own element, ready to write (RFC 6120 §4.9.4)
}

// Error makes a StreamError an error.
func (e StreamError) Error() string { return complaint("stream", e.Condition, e.Text) }

// AppendTo appends the element <stream:error/>. It ends nothing: the closing
// tag of the stream is the caller's.
func (e StreamError) AppendTo(b []byte) []byte {
	b = append(b, "<stream:error>"...)
	b = appendCondition(b, e.Condition, NSStreams, e.Host)
	b = appendErrorText(b, NSStreams, e.Text)
	b = append(b, e.App...)
	return append(b, "</stream:error>"...)
}

// A StanzaError tells the sender of one stanza why it was refused; the stream
// lives on (RFC 6120 §8.3). Its texts are written for a stranger.
type StanzaError struct {
	Type      string // the condition's usual one if empty
	Condition string // undefined-condition if empty
	Text      string // in English; may be empty
	Address   string // the new address as a URI, with gone and redirect (RFC 6120 §8.3.3.5, §8.3.3.14)
	By        string // the JID of who refuses, if that is not the addressee (RFC 6120 §8.3.2)
	App       string // an application's own element, ready to write (RFC 6120 §8.3.4)
}

// Error makes a StanzaError an error.
func (e StanzaError) Error() string { return complaint("stanza", e.Condition, e.Text) }

// AppendTo appends the element <error/>, as it stands inside a stanza of type
// error.
func (e StanzaError) AppendTo(b []byte) []byte {
	b = append(b, "<error"...)
	if e.By != "" {
		b = AppendAttr(b, "by", e.By)
	}
	t := e.Type
	if t == "" {
		t = usualType(e.Condition)
	}
	b = AppendAttr(b, "type", t)
	b = append(b, '>')
	b = appendCondition(b, e.Condition, NSStanzas, e.Address)
	b = appendErrorText(b, NSStanzas, e.Text)
	b = append(b, e.App...)
	return append(b, "</error>"...)
}

// usualType is the error type that RFC 6120 §8.3.3 gives for a condition, or
// the first where it leaves a choice.
func usualType(condition string) string {
	switch condition {
	case Forbidden, NotAuthorized, RegistrationRequired, SubscriptionRequired:
		return Auth
	case BadRequest, JIDMalformed, NotAcceptable, PolicyViolation, Redirect:
		return Modify
	case RecipientUnavailable, RemoteServerTimeout, ResourceConstraint, UnexpectedRequest:
		return Wait
	}
	return Cancel
}

func complaint(what, condition, text string) string {
	if condition == "" {
		condition = UndefinedCondition
	}
	if text == "" {
		return what + " refused: " + condition
	}
	return what + " refused: " + condition + ": " + text
}

func appendCondition(b []byte, condition, space, content string) []byte {
	if condition == "" {
		condition = UndefinedCondition
	}
	b = append(b, '<')
	b = append(b, condition...)
	b = AppendAttr(b, "xmlns", space)
	if content == "" {
		return append(b, "/>"...)
	}
	b = append(b, '>')
	b = AppendText(b, content)
	b = append(b, "</"...)
	b = append(b, condition...)
	return append(b, '>')
}

func appendErrorText(b []byte, space, text string) []byte {
	if text == "" {
		return b
	}
	b = append(b, "<text"...)
	b = AppendAttr(b, "xmlns", space)
	b = append(b, " xml:lang='en'>"...)
	b = AppendText(b, text)
	return append(b, "</text>"...)
}
