package xmppd

import (
	"bytes"
	"context"
	"log/slog"

	"parley.im/parley/xmppd/wire"
)

// A tracer logs what goes over the wire, at debug level: each element by direction,
// kind, type, id and size. With xml it logs the element as well, without anything
// that a person wrote and without secrets (I7).
type tracer struct {
	on, xml bool
}

func newTracer(c Config) tracer {
	return tracer{on: c.Log.Enabled(context.Background(), slog.LevelDebug), xml: c.LogWire}
}

// read logs what a peer sent.
func (t tracer) read(log *slog.Logger, st *wire.Stanza) {
	if t.on {
		t.element(log, "in", st.Name, st.Type, st.ID, st.Raw())
	}
}

// wrote logs each of the elements that are written to a peer together.
func (t tracer) wrote(log *slog.Logger, b []byte) {
	for t.on && len(b) > 0 {
		n := elementEnd(b)
		tag := b[:n]
		if i := bytes.IndexByte(tag, '>'); i >= 0 {
			tag = tag[:i]
		}
		t.element(log, "out", elementName(tag), attribute(tag, "type"), attribute(tag, "id"), b[:n])
		b = b[n:]
	}
}

func (t tracer) element(log *slog.Logger, way, kind string, typ, id, raw []byte) {
	args := []any{"way", way, "kind", kind, "bytes", len(raw)}
	if len(typ) > 0 {
		args = append(args, "type", string(typ))
	}
	if len(id) > 0 {
		args = append(args, "id", string(id))
	}
	if t.xml {
		args = append(args, "xml", string(blank(nil, raw)))
	}
	log.Debug("stanza", args...)
}

// elementEnd is where the first element of b ends. What b holds was checked or made
// here: its tags match.
func elementEnd(b []byte) int {
	depth := 0
	for at := 0; at < len(b); {
		from, end := nextTag(b, at)
		if from < 0 {
			break
		}
		switch {
		case b[from+1] == '/':
			depth--
		case b[from+1] == '!' || b[from+1] == '?' || b[end-2] == '/':
		default:
			depth++
		}
		if at = end; depth <= 0 && b[from+1] != '?' {
			return end
		}
	}
	return len(b)
}

// nextTag is where the next tag (or section of characters) begins and ends; -1 if
// there is none.
func nextTag(b []byte, at int) (from, end int) {
	i := bytes.IndexByte(b[at:], '<')
	if i < 0 || at+i+1 >= len(b) {
		return -1, len(b)
	}
	from = at + i
	if bytes.HasPrefix(b[from:], []byte("<![CDATA[")) {
		if n := bytes.Index(b[from:], []byte("]]>")); n >= 0 {
			return from, from + n + 3
		}
		return from, len(b)
	}
	for i, quote := from, byte(0); i < len(b); i++ {
		switch c := b[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '>':
			return from, i + 1
		}
	}
	return from, len(b)
}

func elementName(tag []byte) string {
	tag = bytes.TrimPrefix(tag, []byte("<"))
	if i := bytes.IndexAny(tag, " \t\r\n/>"); i >= 0 {
		tag = tag[:i]
	}
	return string(tag)
}

// attribute is a value in a start tag that was made here; nil if there is none.
func attribute(tag []byte, name string) []byte {
	_, v, ok := bytes.Cut(tag, []byte(" "+name+"='"))
	if !ok {
		return nil
	}
	v, _, _ = bytes.Cut(v, []byte("'"))
	return v
}

// plainAttributes are those whose values are logged inside of a stanza: none of them
// holds what a person wrote.
var plainAttributes = map[string]bool{
	"xmlns": true, "id": true, "by": true, "from": true, "to": true, "type": true, "stamp": true, "var": true,
	"node": true, "h": true, "mechanism": true, "queryid": true, "xml:lang": true,
}

// blank appends raw without its character data, and below its own tag without the
// values of attributes that may say something.
func blank(b, raw []byte) []byte {
	for at := 0; at < len(raw); {
		from, end := nextTag(raw, at)
		if from < 0 {
			return blankText(b, raw[at:])
		}
		b = blankText(b, raw[at:from])
		switch {
		case raw[from+1] == '!':
			b = append(b, "…"...)
		case at == 0:
			b = append(b, raw[from:end]...)
		default:
			b = blankTag(b, raw[from:end])
		}
		at = end
	}
	return b
}

// blankText appends a mark for text, and nothing for white space.
func blankText(b, text []byte) []byte {
	if len(bytes.TrimSpace(text)) == 0 {
		return b
	}
	return append(b, "…"...)
}

func blankTag(b, tag []byte) []byte {
	for len(tag) > 0 {
		q := bytes.IndexAny(tag, `'"`)
		if q < 0 {
			break
		}
		n := bytes.IndexByte(tag[q+1:], tag[q])
		if n < 0 {
			break
		}
		before := tag[:q+1]
		b = append(b, before...)
		name := bytes.TrimRight(before[:len(before)-1], " \t\r\n=")
		if i := bytes.LastIndexAny(name, " \t\r\n"); i >= 0 {
			name = name[i+1:]
		}
		if value := tag[q+1 : q+1+n]; plainAttributes[string(name)] || bytes.HasPrefix(name, []byte("xmlns:")) {
			b = append(b, value...)
		} else if n > 0 {
			b = append(b, "…"...)
		}
		b = append(b, tag[q])
		tag = tag[q+n+2:]
	}
	return append(b, tag...)
}
