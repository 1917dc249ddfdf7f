package conf

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Options are options of a table by their names in parley.toml, with values as TOML has them:
// durations are texts, and whole numbers are int64.
type Options map[string]any

// UnmarshalJSON reads options from JSON, where whole numbers are no kind of their own.
func (o *Options) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var tree map[string]any
	if err := d.Decode(&tree); err != nil {
		return err
	}
	*o, _ = whole(tree).(map[string]any)
	return nil
}

// whole puts int64 and float64 in place of a json.Number, everywhere in v.
func whole(v any) any {
	switch x := v.(type) {
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return n
		}
		n, _ := x.Float64()
		return n
	case map[string]any:
		for name, value := range x {
			x[name] = whole(value)
		}
	case []any:
		for i, value := range x {
			x[i] = whole(value)
		}
	}
	return v
}

// With is the desk with some options otherwise: as the file is read, with the same faults.
func (d Desk) With(own Options) (Desk, error) { return with("desk", d, own, (*Desk).check) }

// WithAgents is the desk with something else set for single agents.
func (d Desk) WithAgents(list []Skilled) (Desk, error) {
	d.Agents = list
	return with("desk", d, nil, (*Desk).check)
}

// With is the widget with some options otherwise.
func (w Widget) With(own Options) (Widget, error) { return with("widget", w, own, (*Widget).check) }

func with[T any](table string, v T, own Options, check func(*T, faultFunc)) (T, error) {
	r := &reader{f: new(File)}
	r.table(table, own, reflect.ValueOf(&v).Elem())
	if len(r.faults) == 0 {
		check(&v, func(option, hint string, err error) {
			if err != nil {
				r.fault(table+"."+option, hint, "%v", err)
			}
		})
	}
	if len(r.faults) > 0 {
		r.faults.sort()
		return v, r.faults
	}
	return v, nil
}

// OptionsOf are the options of a table such as a Desk.
func OptionsOf(table any) Options {
	all := make(Options)
	for field, value := range options(reflect.ValueOf(table)) {
		all[field.Tag.Get("toml")] = shown(value)
	}
	return all
}

// shown is a value as a file could have it.
func shown(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case time.Duration:
		text := x.String()
		for _, none := range []string{"m0s", "h0m"} { // Go writes 2m0s
			if strings.HasSuffix(text, none) {
				text = text[:len(text)-2]
			}
		}
		return text
	case int:
		return int64(x)
	case []string:
		return append([]string{}, x...) // none is a list, too
	}
	if v.Kind() == reflect.Slice {
		list := make([]Options, v.Len())
		for i := range list {
			list[i] = OptionsOf(v.Index(i).Interface())
		}
		return list
	}
	return v.Interface()
}

// A Kind is what is known of an option without its value.
type Kind struct {
	Name    string
	Type    reflect.Type // string, bool, int, time.Duration, []string, or a list of tables
	Choices []string     // of a text
	Min     string       // the least value; "" is any
	Table   []Kind       // of each table of a list
}

// KindsOf are the kinds of the options of a table.
func KindsOf(table reflect.Type) (list []Kind) {
	for field, value := range options(reflect.New(table).Elem()) {
		k := Kind{Name: field.Tag.Get("toml"), Type: field.Type, Choices: strings.Fields(field.Tag.Get("one")), Min: field.Tag.Get("min")}
		if value.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct {
			k.Table = KindsOf(field.Type.Elem())
		}
		list = append(list, k)
	}
	return slices.Clip(list)
}
