package im

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"parley.im/parley/xmppd/wire"
	"parley.im/parley/xmppd/xmpptest"
)

// What a client may put into an archive query that is no query, or none that can be
// answered: the form (XEP-0004), the page (XEP-0059), the query itself (XEP-0313 §4).
var oddQueries = []struct{ in, want string }{
	{"", ""},
	{"<x xmlns='jabber:x:data'/>", wire.BadRequest},
	{form(formType, "<field/>"), wire.FeatureNotImplemented},
	{form(formType, field("body", "a")), wire.FeatureNotImplemented},
	{form(formType, field("ids", strings.Split(strings.Repeat("a", maxIDs), "")...)), ""},
	{form(formType, field("ids", strings.Split(strings.Repeat("a", maxIDs+1), "")...)), wire.BadRequest},
	{form(formType, field("after-id", "' OR 1=1 --")), ""},
	{"<set xmlns='http://jabber.org/protocol/rsm'/>", ""},
	{"<set xmlns='http://jabber.org/protocol/rsm'><max/></set>", wire.BadRequest},
	{"<set xmlns='http://jabber.org/protocol/rsm'><max>-1</max></set>", wire.BadRequest},
	{"<set xmlns='http://jabber.org/protocol/rsm'><max>1e3</max></set>", wire.BadRequest},
	{"<set xmlns='http://jabber.org/protocol/rsm'><max>99999999999999999999</max></set>", wire.BadRequest},
	{"<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><index>0</index></set>", wire.FeatureNotImplemented}, // XEP-0059 §2.6
	{"<set xmlns='http://jabber.org/protocol/rsm'><before/><after/></set>", ""},
	{"<set xmlns='urn:other'><max>-1</max></set>", ""},
	{"<flip-page/><flip-page/>", ""},
}

func TestOddQueries(t *testing.T) {
	for _, c := range oddQueries {
		_, err := parsed(t, "<query xmlns='urn:xmpp:mam:2'>"+c.in+"</query>")
		var refused wire.StanzaError
		errors.As(err, &refused)
		if refused.Condition != c.want {
			t.Errorf("ParseQuery(%s) = %v, want %q", c.in, err, c.want)
		}
	}
}

// parsed is ParseQuery of the payload of an iq.
func parsed(t *testing.T, payload string) (Query, error) {
	t.Helper()
	st, err := wire.Parse([]byte("<iq type='set' id='1'>"+payload+"</iq>"), wire.Limits{})
	if err != nil || len(st.Children) == 0 {
		t.Skip("no payload")
	}
	return ParseQuery(st, &st.Children[0])
}

// FuzzParseQuery reads queries, forms and pages: nothing panics, what is refused is
// refused for a reason that the peer may hear, and what was understood means the same
// when it is written again.
func FuzzParseQuery(f *testing.F) {
	for _, c := range oddQueries {
		f.Add("<query xmlns='urn:xmpp:mam:2'>" + c.in + "</query>")
	}
	paths, err := filepath.Glob("../../testdata/talks/*.talk")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no talks: %v", err)
	}
	for _, path := range paths {
		talk, err := xmpptest.Load(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, text := range talk.Sent() {
			st, err := wire.Parse([]byte(text), wire.Limits{})
			if err == nil && len(st.Children) == 1 && string(st.Children[0].Space) == NSArchive {
				f.Add(string(st.Bytes(&st.Children[0])))
			}
		}
	}
	f.Fuzz(func(t *testing.T, payload string) {
		q, err := parsed(t, payload)
		if err != nil {
			var refused wire.StanzaError
			if !errors.As(err, &refused) || refused.Condition != wire.BadRequest && refused.Condition != wire.FeatureNotImplemented {
				t.Errorf("ParseQuery(%s) = %v", payload, err)
			}
			return
		}
		if q.Max < -1 || len(q.IDs) > maxIDs || q.Before != "" && !q.Last {
			t.Errorf("ParseQuery(%s) = %+v", payload, q)
		}
		text := written(&q)
		again, err := parsed(t, text)
		if err != nil || !same(&again, &q) {
			t.Errorf("ParseQuery(%s) = %+v,\nwritten as %s it is %+v, %v", payload, q, text, again, err)
		}
	})
}

// same compares queries, and times as what they mean.
func same(a, b *Query) bool {
	x, y := *a, *b
	equal := x.Start.Equal(y.Start) && x.End.Equal(y.End)
	x.Start, x.End, y.Start, y.End = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return equal && reflect.DeepEqual(x, y)
}

// written is a query as a client would send it.
func written(q *Query) string {
	text := func(s string) string { return string(wire.AppendText(nil, s)) }
	field := func(name string, values ...string) (b string) {
		for _, v := range values {
			b += "<value>" + text(v) + "</value>"
		}
		return "<field var='" + name + "'>" + b + "</field>"
	}
	b := string(wire.AppendAttr([]byte("<query xmlns='"+NSArchive+"'"), "queryid", q.ID)) + "><x xmlns='jabber:x:data' type='submit'>" +
		field("FORM_TYPE", NSArchive) + field("with", q.With) + field("after-id", q.AfterID) + field("before-id", q.BeforeID)
	if q.IDs != nil {
		b += field("ids", q.IDs...)
	}
	for name, at := range map[string]time.Time{"start": q.Start, "end": q.End} {
		if !at.IsZero() {
			b += field(name, at.Format(time.RFC3339Nano))
		}
	}
	b += "</x><set xmlns='" + nsRSM + "'>"
	if q.Max >= 0 {
		b += fmt.Sprintf("<max>%d</max>", q.Max)
	}
	if q.After != "" {
		b += "<after>" + text(q.After) + "</after>"
	}
	if q.Last {
		b += "<before>" + text(q.Before) + "</before>"
	}
	b += "</set>"
	if q.Flip {
		b += "<flip-page/>"
	}
	return b + "</query>"
}
