package wire

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// parsed is an error element as a peer reads it.
type parsed struct {
	Type string `xml:"type,attr"`
	By   string `xml:"by,attr"`
	All  []struct {
		XMLName xml.Name
		Lang    string `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
		Text    string `xml:",chardata"`
	} `xml:",any"`
}

// awkward must be escaped everywhere.
const awkward = `a<b & 'c' "d" ]]>`

var streamConditions = []string{
	BadFormat, BadNamespacePrefix, Conflict, ConnectionTimeout, HostGone, HostUnknown, ImproperAddressing,
	InternalServerError, InvalidFrom, InvalidNamespace, InvalidXML, NotAuthorized, NotWellFormed, PolicyViolation,
	RemoteConnectionFailed, Reset, ResourceConstraint, RestrictedXML, SeeOtherHost, SystemShutdown,
	UndefinedCondition, UnsupportedEncoding, UnsupportedFeature, UnsupportedStanzaType, UnsupportedVersion,
}

func TestStreamErrorsCanBeRead(t *testing.T) {
	if len(streamConditions) != 25 {
		t.Fatalf("%d conditions, RFC 6120 §4.9.3 has 25", len(streamConditions))
	}
	for _, c := range streamConditions {
		for _, e := range []StreamError{
			{Condition: c},
			{Condition: c, Text: awkward},
			{Condition: c, Text: awkward, Host: awkward, App: "<x xmlns='urn:example:x'/>"},
		} {
			r := opened(t, strings.NewReader(string(e.AppendTo(nil))+StreamEnd), Limits{})
			s, err := r.Next()
			if err != nil || s.Name != "error" || s.Space != NSStream || s.Kind != Nonza {
				t.Fatalf("%+v: %v", e, err)
			}
			if got := s.Text(s.Child(NSStreams, c)); got != e.Host {
				t.Errorf("%+v: %q in the condition", e, got)
			}
			if got := s.Text(s.Child(NSStreams, "text")); got != e.Text {
				t.Errorf("%+v: text %q", e, got)
			}
			if (s.Child("urn:example:x", "x") != nil) != (e.App != "") {
				t.Errorf("%+v: application's element", e)
			}
		}
	}
}

// RFC 6120 §8.3.3, with the type that each condition usually has.
var stanzaConditions = map[string]string{
	BadRequest: Modify, Conflict: Cancel, FeatureNotImplemented: Cancel, Forbidden: Auth, Gone: Cancel,
	InternalServerError: Cancel, ItemNotFound: Cancel, JIDMalformed: Modify, NotAcceptable: Modify,
	NotAllowed: Cancel, NotAuthorized: Auth, PolicyViolation: Modify, RecipientUnavailable: Wait, Redirect: Modify,
	RegistrationRequired: Auth, RemoteServerNotFound: Cancel, RemoteServerTimeout: Wait, ResourceConstraint: Wait,
	ServiceUnavailable: Cancel, SubscriptionRequired: Auth, UndefinedCondition: Cancel, UnexpectedRequest: Wait,
}

func TestStanzaErrorsCanBeRead(t *testing.T) {
	if len(stanzaConditions) != 22 {
		t.Fatalf("%d conditions, RFC 6120 §8.3.3 has 22", len(stanzaConditions))
	}
	for c, usual := range stanzaConditions {
		for _, e := range []StanzaError{
			{Condition: c},
			{Condition: c, Type: Continue, Text: awkward, Address: awkward, By: awkward, App: "<x xmlns='urn:example:x'/>"},
		} {
			s := mustParse(t, "<iq>"+string(e.AppendTo(nil))+"</iq>")
			var got parsed
			if err := s.Decode(s.Child(NSClient, "error"), &got); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("{%s  [{{%s %s}  }]}", usual, NSStanzas, c)
			if e.Type != "" {
				want = fmt.Sprintf("{%s %s [{{%s %s}  %[2]s} {{%[3]s text} en %[2]s} {{urn:example:x x}  }]}", e.Type, awkward, NSStanzas, c)
			}
			if fmt.Sprint(got) != want {
				t.Errorf("%+v is read as\n%v, want\n%v", e, got, want)
			}
		}
	}
}

func TestErrorsWithoutACondition(t *testing.T) {
	if got := string(StreamError{}.AppendTo(nil)); !strings.Contains(got, "<undefined-condition ") {
		t.Error(got)
	}
	if got := string(StanzaError{}.AppendTo(nil)); !strings.Contains(got, "<undefined-condition ") {
		t.Error(got)
	}
}

func TestErrorTexts(t *testing.T) {
	for _, c := range []struct {
		in   error
		want string
	}{
		{StreamError{Condition: Reset}, "stream refused: reset"},
		{StreamError{Text: "why"}, "stream refused: undefined-condition: why"},
		{StanzaError{Condition: Gone, Text: "closed", App: "<secret/>"}, "stanza refused: gone: closed"},
	} {
		if got := c.in.Error(); got != c.want {
			t.Errorf("Error of %#v = %q, want %q", c.in, got, c.want)
		}
	}
	var e StanzaError
	if err := fmt.Errorf("keep message: %w", StanzaError{Condition: Gone}); !errors.As(err, &e) || e.Condition != Gone {
		t.Error("a wrapped StanzaError is not found")
	}
}
