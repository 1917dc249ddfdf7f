package im

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/wire"
)

// A Query is an archive query as it was asked (XEP-0313 §4).
type Query struct {
	ID         string // queryid, repeated in each result
	With       string // a JID, or ""
	Start, End time.Time
	IDs        []string // only these; XEP-0313 §4.1.3
	AfterID    string   // the form's after-id
	BeforeID   string   // the form's before-id
	After      string   // RSM's after
	Before     string   // RSM's before
	Last       bool     // the last page was asked for
	Max        int      // -1 if not said
	Flip       bool     // results in reverse order
}

type queryXML struct {
	ID   string    `xml:"queryid,attr"`
	Node string    `xml:"node,attr"`
	Form *formXML  `xml:"jabber:x:data x"`
	Set  *rsmXML   `xml:"http://jabber.org/protocol/rsm set"`
	Flip *struct{} `xml:"urn:xmpp:mam:2 flip-page"`
}

type formXML struct {
	Type   string `xml:"type,attr"`
	Fields []struct {
		Var    string   `xml:"var,attr"`
		Values []string `xml:"value"`
	} `xml:"field"`
}

type rsmXML struct {
	Max    *string `xml:"max"`
	After  *string `xml:"after"`
	Before *string `xml:"before"`
	Index  *string `xml:"index"`
}

const (
	maxIDs     = 100 // of the ids field; each is looked up by itself
	maxQueryID = 256 // bytes; it is repeated in each result
)

// ParseQuery reads the payload of an archive query. What it refuses is a
// wire.StanzaError.
func ParseQuery(st *wire.Stanza, c *wire.Child) (Query, error) {
	var x queryXML
	q := Query{Max: -1}
	if err := st.Decode(c, &x); err != nil {
		return q, wire.StanzaError{Condition: wire.BadRequest}
	}
	switch q.ID, q.Flip = x.ID, x.Flip != nil; {
	case len(q.ID) > maxQueryID:
		return q, wire.StanzaError{Condition: wire.BadRequest, Text: "queryid: too long"}
	case x.Node != "":
		// XEP-0313 §6.1.3 keeps it for pubsub (XEP-0442).
		return q, wire.StanzaError{Condition: wire.FeatureNotImplemented, Text: "this archive has no nodes"}
	}
	if x.Form != nil {
		if err := q.form(x.Form); err != nil {
			return q, err
		}
	}
	if x.Set != nil {
		if err := q.page(x.Set); err != nil {
			return q, err
		}
	}
	return q, nil
}

// form reads the filters (XEP-0313 §4.1). A field without a value filters nothing.
func (q *Query) form(f *formXML) error {
	refuse := func(text string) error { return wire.StanzaError{Condition: wire.BadRequest, Text: text} }
	if f.Type != "" && f.Type != "submit" {
		return refuse("a form that isn't submitted")
	}
	said := make(map[string]bool)
	for _, field := range f.Fields {
		if said[field.Var] || len(field.Values) > 1 && field.Var != "ids" {
			return refuse(field.Var + ": more than one value")
		}
		said[field.Var] = true
		value := ""
		if len(field.Values) > 0 {
			value = strings.TrimSpace(field.Values[0])
		}
		known, err := q.field(field.Var, value, field.Values)
		if !known {
			// XEP-0313 §4.1.5: a field that we don't know would change what is meant.
			return wire.StanzaError{Condition: wire.FeatureNotImplemented, Text: "no such field: " + field.Var}
		}
		if err != nil {
			return refuse(field.Var + ": " + err.Error())
		}
	}
	if !said["FORM_TYPE"] {
		return refuse("FORM_TYPE: missing") // XEP-0313 §4.1
	}
	return nil
}

func (q *Query) field(name, value string, values []string) (known bool, err error) {
	switch name {
	case "FORM_TYPE":
		if value != NSArchive {
			err = errors.New("not a form of this protocol")
		}
	case "with":
		q.With = value
	case "start":
		q.Start, err = parseTime(value)
	case "end":
		q.End, err = parseTime(value)
	case "after-id":
		q.AfterID = value
	case "before-id":
		q.BeforeID = value
	case "ids":
		if q.IDs = values; len(q.IDs) > maxIDs {
			err = errors.New("too many ids")
		}
	case "include-groupchat":
		// XEP-0313 §4.1.4: there are none, whichever is asked for.
		if value != "" {
			_, err = strconv.ParseBool(value)
		}
	default:
		return false, nil
	}
	return true, err
}

func (q *Query) page(s *rsmXML) error {
	if s.Index != nil {
		// XEP-0059 §2.6: no place in an archive is known by its number.
		return wire.StanzaError{Condition: wire.FeatureNotImplemented, Text: "pages are found by ids, not by an index"}
	}
	if s.Max != nil {
		n, err := strconv.ParseUint(strings.TrimSpace(*s.Max), 10, 31)
		if err != nil {
			return wire.StanzaError{Condition: wire.BadRequest, Text: "max: not a number"}
		}
		q.Max = int(n)
	}
	if s.After != nil {
		q.After = *s.After
	}
	if s.Before != nil {
		// XEP-0059 §2.5: an empty before asks for the last page.
		q.Before, q.Last = *s.Before, true
	}
	return nil
}

// parseTime reads a DateTime of XEP-0082 §3.2.
func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, errors.New("not a time as XEP-0082 has it")
	}
	return t, nil
}

// A Fin is the end of an answer to an archive query.
type Fin struct {
	Complete    bool
	First, Last string // archive ids, "" for an empty page
	Index       int    // of the first in all that matches; -1 if not known
	Count       int    // of all that matches; -1 if not counted
}

// AppendFin writes the payload that ends an archive query (XEP-0313 §4.3).
func AppendFin(b []byte, f Fin) []byte {
	b = append(b, "<fin xmlns='"+NSArchive+"'"...)
	if f.Complete {
		b = append(b, " complete='true'"...)
	}
	b = append(b, "><set xmlns='"+nsRSM+"'>"...)
	if f.First != "" {
		b = append(b, "<first"...)
		if f.Index >= 0 {
			b = wire.AppendAttr(b, "index", strconv.Itoa(f.Index))
		}
		b = append(b, '>')
		b = wire.AppendText(b, f.First)
		b = append(b, "</first><last>"...)
		b = wire.AppendText(b, f.Last)
		b = append(b, "</last>"...)
	}
	if f.Count >= 0 {
		b = append(b, "<count>"...)
		b = strconv.AppendInt(b, int64(f.Count), 10)
		b = append(b, "</count>"...)
	}
	return append(b, "</set></fin>"...)
}

// ArchiveForm is the answer to a request for the fields of a query (XEP-0313
// §4.1.5).
const ArchiveForm = "<query xmlns='" + NSArchive + "'><x xmlns='" + nsForm + "' type='form'>" +
	"<field type='hidden' var='FORM_TYPE'><value>" + NSArchive + "</value></field>" +
	"<field type='jid-single' var='with'/><field type='text-single' var='start'/><field type='text-single' var='end'/>" +
	"<field type='text-single' var='before-id'/><field type='text-single' var='after-id'/>" +
	"<field type='list-multi' var='ids'><validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'>" +
	"<open/></validate></field><field type='boolean' var='include-groupchat'/></x></query>"

// AppendMetadata writes the first and the last entry of an archive (XEP-0313 §5).
func AppendMetadata(b []byte, v *Viewer, first, last *store.Entry) []byte {
	if first == nil {
		return append(b, "<metadata xmlns='"+NSArchive+"'/>"...)
	}
	end := func(name string, e *store.Entry) {
		b = append(b, '<')
		b = append(b, name...)
		b = wire.AppendAttr(b, "id", v.ID(e.Ordinal))
		b = append(b, " timestamp='"...)
		b = AppendStamp(b, e.At)
		b = append(b, "'/>"...)
	}
	b = append(b, "<metadata xmlns='"+NSArchive+"'>"...)
	end("start", first)
	end("end", last)
	return append(b, "</metadata>"...)
}
