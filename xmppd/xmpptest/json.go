package xmpptest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// dots stands in parsed patterns where the talk has "...".
const dots = "..."

// dotsToJSON makes the dots of a pattern a member or an element, so that the
// rest can be read as JSON.
func dotsToJSON(s string) string {
	var b strings.Builder
	var open []byte // the brackets around
	quoted := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quoted && c == '\\' && i+1 < len(s):
			b.WriteByte(c)
			i++
			c = s[i]
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			open = append(open, c)
		case (c == '}' || c == ']') && len(open) > 0:
			open = open[:len(open)-1]
		case strings.HasPrefix(s[i:], dots) && len(open) > 0:
			b.WriteString(`"` + dots + `"`)
			if open[len(open)-1] == '{' {
				b.WriteString(`:true`)
			}
			i += len(dots) - 1
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// json compares a JSON value with what the talk expects at that path.
func (v vars) json(path string, want, got any) error {
	switch w := want.(type) {
	case string:
		return v.jsonString(path, w, got)
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return mismatchf("%s: want an object, got %s", path, compact(got))
		}
		return v.jsonObject(path, w, g)
	case []any:
		g, ok := got.([]any)
		if !ok {
			return mismatchf("%s: want an array, got %s", path, compact(got))
		}
		return v.jsonArray(path, w, g)
	default:
		if want != got {
			return mismatchf("%s: want %s, got %s", path, compact(want), compact(got))
		}
		return nil
	}
}

// jsonString takes * and $name for values of every kind.
func (v vars) jsonString(path, want string, got any) error {
	text, ok := got.(string)
	if !ok && !wild.MatchString(want) {
		return mismatchf("%s: want %q, got %s", path, want, compact(got))
	}
	if !ok {
		text = compact(got)
	}
	if err := v.match(want, text); err != nil {
		return mismatchf("%s: %v", path, err)
	}
	return nil
}

func (v vars) jsonObject(path string, want, got map[string]any) error {
	_, open := want[dots]
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if name == dots {
			continue
		}
		value, ok := got[name]
		if !ok {
			return mismatchf("%s has no %q", path, name)
		}
		if err := v.json(path+"."+name, want[name], value); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok && !open {
			return mismatchf("%s has %q, which the talk does not say", path, name)
		}
	}
	return nil
}

func (v vars) jsonArray(path string, want, got []any) error {
	open := len(want) > 0 && want[len(want)-1] == dots
	if open {
		want = want[:len(want)-1]
	}
	if len(got) < len(want) || len(got) > len(want) && !open {
		return mismatchf("%s: want %d elements, got %d", path, len(want), len(got))
	}
	for i, w := range want {
		if err := v.json(path+"[]", w, got[i]); err != nil {
			return err
		}
	}
	return nil
}

// compact shows a JSON value. What was decoded can be encoded.
func compact(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return string(b)
}
