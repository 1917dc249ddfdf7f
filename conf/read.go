package conf

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// A reader fills a File from a tree of TOML values and gathers the faults.
type reader struct {
	f      *File
	faults Faults
}

func (r *reader) fault(key, hint, format string, args ...any) {
	r.faults = append(r.faults, r.f.Fault(key, hint, format, args...))
}

func (r *reader) read(tree map[string]any) {
	v := reflect.ValueOf(r.f).Elem()
	r.defaults(v)
	r.table("", tree, v)
}

// defaults fills in what stands in the tags of v and the structs inside it.
func (r *reader) defaults(v reflect.Value) {
	for field, value := range options(v) {
		if text, ok := field.Tag.Lookup("default"); ok {
			r.value("", mustValue(text), field, value)
		} else if section(value) {
			r.defaults(value)
		}
	}
}

// mustValue reads a default, which is a constant.
func mustValue(text string) any {
	tree := make(map[string]any)
	if _, err := toml.Decode("x = "+text, &tree); err != nil {
		panic(fmt.Sprintf("default %s: %v", text, err))
	}
	return tree["x"]
}

// options yields the fields of v that are options.
func options(v reflect.Value) func(func(reflect.StructField, reflect.Value) bool) {
	return func(yield func(reflect.StructField, reflect.Value) bool) {
		t := v.Type()
		for i := range t.NumField() {
			if _, ok := t.Field(i).Tag.Lookup("toml"); ok && !yield(t.Field(i), v.Field(i)) {
				return
			}
		}
	}
}

// section says whether v is a table of options.
func section(v reflect.Value) bool {
	return v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[Secret]()
}

func (r *reader) table(path string, tree map[string]any, v reflect.Value) {
	known := make(map[string]bool)
	for field, value := range options(v) {
		name := field.Tag.Get("toml")
		known[name] = true
		if given, ok := tree[name]; ok {
			r.value(join(path, name), given, field, value)
		}
	}
	for name := range tree {
		if !known[name] {
			r.fault(join(path, name), hintFor(path, name, known), "unknown option")
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// hintFor helps who wrote an option that there is not.
func hintFor(path, name string, known map[string]bool) string {
	for _, word := range []string{"plain", "insecure", "cleartext", "http", "tls", "ssl"} {
		if strings.Contains(name, word) {
			// VIV-1
			return "every listener speaks TLS, and no option turns it off; see [listen] in 'parley sample'"
		}
	}
	best, distance := "", 3
	for k := range known {
		if d := editDistance(name, k); d < distance || d == distance && k < best {
			best, distance = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %s?", spoken(join(path, best)))
	}
	return "'parley sample' prints every option"
}

// editDistance is the number of letters to change, add or leave out.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// value puts given into v, the field of the option called key.
func (r *reader) value(key string, given any, field reflect.StructField, v reflect.Value) {
	if section(v) {
		tree, ok := given.(map[string]any)
		if !ok {
			r.fault(key, "", "want a table, [%s], not %s", key, describe(given))
			return
		}
		r.table(key, tree, v)
		return
	}
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct && v.Type().Elem() != reflect.TypeFor[netip.Prefix]() {
		r.tables(key, given, v)
		return
	}
	x, err := convert(given, v.Type())
	if err == nil {
		err = bounds(x, field)
	}
	if err != nil {
		r.fault(key, "", "%v", err)
		return
	}
	v.Set(reflect.ValueOf(x))
}

// tables reads a list of tables, [[key]].
func (r *reader) tables(key string, given any, v reflect.Value) {
	list := tables(given)
	if list == nil {
		r.fault(key, "", "want a list of tables, [[%s]], not %s", key, describe(given))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
	for i, tree := range list {
		r.defaults(v.Index(i))
		r.table(element(key, i), tree, v.Index(i))
	}
}

// tables is a list of tables in either of the forms that the decoder makes; nil if
// given is something else.
func tables(given any) []map[string]any {
	switch given := given.(type) {
	case []map[string]any:
		return given
	case []any:
		list := make([]map[string]any, 0, len(given))
		for _, g := range given {
			t, ok := g.(map[string]any)
			if !ok {
				return nil
			}
			list = append(list, t)
		}
		return list
	}
	return nil
}

func describe(given any) string {
	switch given := given.(type) {
	case string:
		return strconv.Quote(given)
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return fmt.Sprint(given)
}

// convert makes a value of type t of a TOML value.
func convert(given any, t reflect.Type) (any, error) {
	switch t {
	case reflect.TypeFor[string]():
		return plain[string](given, "text in quotation marks")
	case reflect.TypeFor[bool]():
		return plain[bool](given, "true or false")
	case reflect.TypeFor[*bool]():
		b, err := plain[bool](given, "true or false")
		return &b, err
	case reflect.TypeFor[int]():
		n, err := plain[int64](given, "a whole number")
		return int(n), err
	case reflect.TypeFor[time.Duration]():
		return fromText(given, `a duration such as "30s" or "90d"`, parseDuration)
	case reflect.TypeFor[Size]():
		if n, ok := given.(int64); ok {
			given = strconv.FormatInt(n, 10)
		}
		return fromText(given, `a size such as "256 KiB"`, parseSize)
	case reflect.TypeFor[Secret]():
		return secret(given)
	case reflect.TypeFor[[]string]():
		return list(given, func(g any) (string, error) { return plain[string](g, "text in quotation marks") })
	case reflect.TypeFor[[]int]():
		return list(given, func(g any) (int, error) {
			n, err := plain[int64](g, "a whole number")
			return int(n), err
		})
	case reflect.TypeFor[[]netip.Prefix]():
		return list(given, prefix)
	}
	panic("no option has type " + t.String())
}

func plain[T any](given any, want string) (T, error) {
	x, ok := given.(T)
	if !ok {
		return x, fmt.Errorf("want %s, not %s", want, describe(given))
	}
	return x, nil
}

func fromText[T any](given any, want string, parse func(string) (T, error)) (x T, err error) {
	text, err := plain[string](given, want)
	if err != nil {
		return x, err
	}
	return parse(text)
}

// list reads a list, or a single value as a list of one; "" is the empty list.
func list[T any](given any, one func(any) (T, error)) ([]T, error) {
	all, ok := given.([]any)
	if !ok && given != "" {
		all = []any{given}
	}
	xs := make([]T, 0, len(all))
	for _, g := range all {
		x, err := one(g)
		if err != nil {
			return nil, err
		}
		xs = append(xs, x)
	}
	return xs, nil
}

func prefix(given any) (netip.Prefix, error) {
	text, err := plain[string](given, `a network such as "10.1.0.0/16"`)
	if err != nil {
		return netip.Prefix{}, err
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("not a network such as \"10.1.0.0/16\": %q", text)
	}
	return p.Masked(), nil
}

// secret never repeats what was given: somebody may have written the secret itself.
func secret(given any) (s Secret, err error) {
	if given == "" {
		return s, nil // none; where one is needed, check says so
	}
	tree, ok := given.(map[string]any)
	if ok && len(tree) == 1 {
		s.env, _ = tree["env"].(string)
		s.file, _ = tree["file"].(string)
	}
	if s.env == "" && s.file == "" {
		return s, fmt.Errorf(`want { file = "path" } or { env = "NAME" }`)
	}
	return s, nil
}

// bounds holds x to the field's tags: min is the least value, one the choices.
func bounds(x any, field reflect.StructField) error {
	if choices := field.Tag.Get("one"); choices != "" {
		if !slices.Contains(strings.Fields(choices), x.(string)) {
			return fmt.Errorf("%q is none of %s", x, strings.Join(strings.Fields(choices), ", "))
		}
	}
	text, ok := field.Tag.Lookup("min")
	if !ok {
		return nil
	}
	var low bool
	switch x := x.(type) {
	case int:
		n, _ := strconv.Atoi(text)
		low = x < n
	case Size:
		n, _ := parseSize(text)
		low, text = x < n, n.String()
	case time.Duration:
		d, _ := parseDuration(text)
		low = x < d
	}
	if low {
		return fmt.Errorf("too small: at least %s", text)
	}
	return nil
}
