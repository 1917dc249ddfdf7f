package im

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"parley.im/parley/xmppd/wire"
)

// parseQuery reads what stands inside <query/>.
func parseQuery(t testing.TB, attrs, inside string) (Query, error) {
	t.Helper()
	st, err := wire.Parse([]byte("<iq><query xmlns='urn:xmpp:mam:2'"+attrs+">"+inside+"</query></iq>"), wire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return ParseQuery(st, &st.Children[0])
}

// field is a field of a form with its values.
func field(name string, values ...string) string {
	var b strings.Builder
	for _, v := range values {
		b.WriteString("<value>" + v + "</value>")
	}
	return "<field var='" + name + "'>" + b.String() + "</field>"
}

var formType = field("FORM_TYPE", NSArchive)

func form(fields ...string) string {
	return "<x xmlns='jabber:x:data' type='submit'>" + strings.Join(fields, "") + "</x>"
}

func rsm(inside string) string { return "<set xmlns='" + nsRSM + "'>" + inside + "</set>" }

func TestQueries(t *testing.T) { // XEP-0313 §4, XEP-0059 §2, XEP-0082; rule 40
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		in   string
		want Query
	}{
		{"", Query{Max: -1}},
		{form(formType), Query{Max: -1}},
		{form(field("with", "bob@desk.example"), formType), Query{With: "bob@desk.example", Max: -1}},
		{form(formType, field("with", " bob@desk.example\n")), Query{With: "bob@desk.example", Max: -1}},
		{form(formType, field("after-id", "a"), field("before-id", "b")), Query{AfterID: "a", BeforeID: "b", Max: -1}},
		{form(formType, field("ids", "a", "b", "a")), Query{IDs: []string{"a", "b", "a"}, Max: -1}},
		{form(formType, field("include-groupchat", "true")), Query{Max: -1}},
		{form(formType, field("include-groupchat", "0")), Query{Max: -1}},
		// A client may send the whole form back, with nothing in most fields.
		{form(formType, field("with"), field("start", ""), field("end"), field("ids"), field("after-id", "")), Query{Max: -1}},
		{"<x xmlns='jabber:x:data'>" + formType + "</x>", Query{Max: -1}},
		{rsm(""), Query{Max: -1}},
		{rsm("<max>0</max>"), Query{}},
		{rsm("<max> 10 </max><after>a</after>"), Query{Max: 10, After: "a"}},
		{rsm("<before/>"), Query{Last: true, Max: -1}},
		{rsm("<before>b</before><after>a</after>"), Query{Before: "b", After: "a", Last: true, Max: -1}},
		{"<flip-page/>", Query{Flip: true, Max: -1}},
		{"<flip-page xmlns='urn:example:other'/>", Query{Max: -1}},
		{form(formType, field("start", "2026-03-01T12:00:00Z")), Query{Start: noon, Max: -1}},
		{form(formType, field("start", "2026-03-01T17:30:00+05:30")), Query{Start: noon, Max: -1}},
		{form(formType, field("end", "2026-03-01T07:00:00.000000000000-05:00")), Query{End: noon, Max: -1}},
		{form(formType, field("end", "2026-03-01T12:00:00.25Z")), Query{End: noon.Add(250 * time.Millisecond), Max: -1}},
	} {
		got, err := parseQuery(t, "", c.in)
		got.Start, got.End = inUTC(got.Start), inUTC(got.End)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v, want %+v", c.in, got, err, c.want)
		}
	}
	if q, err := parseQuery(t, " queryid='a&amp;b'", ""); err != nil || q.ID != "a&b" {
		t.Errorf("a queryid: %q, %v", q.ID, err)
	}
}

func inUTC(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

func TestQueriesThatAreRefused(t *testing.T) { // XEP-0313 §4.1, XEP-0059 §2.6; rule 40
	const bad, missing = wire.BadRequest, wire.FeatureNotImplemented
	var many []string
	for i := range maxIDs + 1 {
		many = append(many, fmt.Sprint(i))
	}
	for _, c := range []struct{ attrs, in, want string }{
		{"", form(field("with", "bob@desk.example")), bad}, // no FORM_TYPE
		{"", form(field("FORM_TYPE", "urn:xmpp:mam:1")), bad},
		{"", form(field("FORM_TYPE")), bad},
		{"", form(formType, formType), bad},
		{"", "<x xmlns='jabber:x:data' type='cancel'>" + formType + "</x>", bad},
		{"", form(formType, field("mood", "good")), missing},
		{"", form(formType, field("mood")), missing},
		{"", form(formType, field("", "")), missing},
		{"", form(formType, field("with", "a@desk.example", "b@desk.example")), bad},
		{"", form(formType, field("with", "a@desk.example"), field("with", "b@desk.example")), bad},
		{"", form(formType, field("start", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z")), bad},
		{"", form(formType, field("start", "yesterday")), bad},
		{"", form(formType, field("start", "2026-03-01")), bad},
		{"", form(formType, field("start", "2026-03-01T12:00:00")), bad}, // no zone
		{"", form(formType, field("end", "20260301T12:00:00Z")), bad},
		{"", form(formType, field("end", "2026-02-30T12:00:00Z")), bad},
		{"", form(formType, field("ids", many...)), bad},
		{"", form(formType, field("include-groupchat", "perhaps")), bad},
		{"", rsm("<max/>"), bad},
		{"", rsm("<max>-1</max>"), bad},
		{"", rsm("<max>ten</max>"), bad},
		{"", rsm("<max>99999999999</max>"), bad},
		{"", rsm("<index>10</index><max>5</max>"), missing},
		{" node='urn:example:node'", "", missing},
		{" queryid='" + strings.Repeat("q", maxQueryID+1) + "'", "", bad},
	} {
		_, err := parseQuery(t, c.attrs, c.in)
		var refused wire.StanzaError
		if !errors.As(err, &refused) || refused.Condition != c.want {
			t.Errorf("%s %s: %v, want %s", c.attrs, c.in, err, c.want)
		}
	}
}
