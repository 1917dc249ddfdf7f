package notify

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"text/template"
	"time"
	"unicode"
)

//go:embed templates
var files embed.FS

// An alert is all that one mail tells: what happened of one kind in one account.
type alert struct {
	Host    string
	Account string
	Domain  string
	Event   string
	Count   int         // of what happened
	Events  []happening // the newest of it
}

// A happening is one event.
type happening struct {
	At   time.Time
	Data any // as encoding/json has it
}

// listed is how many happenings a mail lists; the others are counted.
const listed = 20

// functions are what templates may call besides their own.
var functions = template.FuncMap{"clean": clean, "lines": lines, "more": func(a alert) int { return a.Count - len(a.Events) }}

// render makes a mail of the template for an event, or of the general one. The template's
// first line is the subject.
func render(name string, data any) (Mail, error) {
	file := path.Join("templates", name+".txt")
	text, err := files.ReadFile(file)
	if err != nil {
		file = "templates/event.txt"
		if text, err = files.ReadFile(file); err != nil {
			return Mail{}, err
		}
	}
	t, err := template.New(file).Funcs(functions).Option("missingkey=zero").Parse(string(text))
	if err != nil {
		return Mail{}, err
	}
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return Mail{}, fmt.Errorf("mail of %s: %w", name, err)
	}
	subject, body, _ := strings.Cut(b.String(), "\n")
	return Mail{Subject: clean(subject), Text: strings.TrimLeft(body, "\n")}, nil
}

// fieldMax is the most of one value that a mail shows, in runes.
const fieldMax = 300

// clean makes one line of a value: what a stranger chose, such as the name of a sign-in,
// must not add lines or headers.
func clean(v any) string {
	var b strings.Builder
	n := 0
	for _, r := range fmt.Sprint(v) {
		if n++; n > fieldMax {
			b.WriteString("…")
			break
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
	}
	return b.String()
}

// lines are an event's values, one a line under its name: "login.name: anna".
func lines(v any) []string { return appendLines(nil, "", v) }

func appendLines(list []string, name string, v any) []string {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			full := key
			if name != "" {
				full = name + "." + key
			}
			list = appendLines(list, full, v[key])
		}
		return list
	case []any:
		for _, one := range v {
			list = appendLines(list, name, one)
		}
		return list
	}
	return append(list, clean(name)+": "+clean(v))
}

// parse reads an event's data.
func parse(data []byte) any {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return map[string]any{}
	}
	return v
}
