package xmpptest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// words are what braces may hold in a line of a talk. Other braces stand for
// themselves.
var words = regexp.MustCompile(`\{(?:base64: |repeat (\d+): |proof\}|signature\}|tls-exporter\})`)

// expand fills in what a line leaves to the runner: $names and {words}.
func (p *player) expand(d *device, text string) (string, error) {
	text, err := p.names(text)
	if err != nil {
		return "", err
	}
	return d.words(text)
}

// names fills in every $name.
func (p *player) names(text string) (string, error) {
	var err error
	text = variable.ReplaceAllStringFunc(text, func(name string) string {
		value, ok := p.vars[name]
		if !ok {
			err = fmt.Errorf("nothing has been kept as %s", name)
		}
		return value
	})
	return text, err
}

// words fills in every {word} from the inside out.
func (d *device) words(text string) (string, error) {
	var b strings.Builder
	for {
		m := words.FindStringSubmatchIndex(text)
		if m == nil {
			b.WriteString(text)
			return b.String(), nil
		}
		b.WriteString(text[:m[0]])
		head := text[m[0]:m[1]]
		text = text[m[1]:]
		if strings.HasSuffix(head, "}") {
			value, err := d.word(head, b.String())
			if err != nil {
				return "", err
			}
			b.WriteString(value)
			continue
		}
		end := closing(text)
		if end < 0 {
			return "", errors.New("a brace that is never closed")
		}
		inner, err := d.words(text[:end])
		if err != nil {
			return "", err
		}
		text = text[end+1:]
		if head == "{base64: " {
			b.WriteString(base64.StdEncoding.EncodeToString([]byte(inner)))
			continue
		}
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(head, "{repeat "), ": "))
		if err != nil {
			return "", err
		}
		b.WriteString(strings.Repeat(inner, n))
	}
}

// word is the value of a word without text of its own; before is what stands
// before it.
func (d *device) word(word, before string) (string, error) {
	switch word {
	case "{proof}":
		return d.scram.proof(before)
	case "{signature}":
		return d.scram.signature()
	}
	state, ok := d.tls()
	if !ok {
		return "", errors.New("no TLS to bind to")
	}
	// RFC 9266 §2: this label, no context, 32 bytes.
	key, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	return string(key), err
}

// closing is where the brace that was opened before text is closed, or -1.
func closing(text string) int {
	depth := 0
	for i, c := range text {
		switch c {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}
