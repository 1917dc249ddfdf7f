package conf

import (
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// set overrides an option in the tree: KEY=VALUE.
func (r *reader) set(tree map[string]any, assignment string) {
	key, text, ok := strings.Cut(assignment, "=")
	key = strings.TrimSpace(key)
	if !ok || key == "" {
		r.faults = append(r.faults, &Fault{At: "-set", Text: "want KEY=VALUE, such as log.level=debug"})
		return
	}
	parts := strings.Split(key, ".")
	for i, part := range parts[:len(parts)-1] {
		next := descend(tree, part, parts[i+1])
		if next == nil || next.skip && i+2 == len(parts) {
			r.faults = append(r.faults, &Fault{At: "-set", Key: key, Text: "no such option"})
			return
		}
		if next.skip {
			parts[i+1] = next.index
		}
		tree = next.tree
	}
	tree[parts[len(parts)-1]] = ParseValue(strings.TrimSpace(text))
	r.f.origin[strings.Join(parts, ".")] = "-set"
}

// A step is one part of a dotted name followed into the tree.
type step struct {
	tree  map[string]any
	skip  bool   // tree is the list itself, seen as a table by number
	index string // the number of the table that was meant
}

// descend follows part. In a list the next part names a table, by its id or its number.
func descend(tree map[string]any, part, next string) *step {
	switch under := tree[part].(type) {
	case nil:
		made := make(map[string]any)
		tree[part] = made
		return &step{tree: made}
	case map[string]any:
		return &step{tree: under}
	default:
		for i, t := range tables(under) {
			if number := strconv.Itoa(i); t["id"] == next || number == next {
				return &step{tree: map[string]any{number: t}, skip: true, index: number}
			}
		}
		return nil
	}
}

// ParseValue reads an option's value as TOML and, where it is none, takes it as text.
func ParseValue(text string) any {
	tree := make(map[string]any)
	if _, err := toml.Decode("x = "+text, &tree); err != nil || len(tree) != 1 {
		return text
	}
	return tree["x"]
}
