package conf

import "reflect"

// Waiting are the dotted names of the options that f has otherwise than running, and that a
// server which was started with running takes over when it is started again, not before.
func (f *File) Waiting(running *File) []string {
	return waiting("", reflect.ValueOf(f).Elem(), reflect.ValueOf(running).Elem(), false)
}

func waiting(path string, is, was reflect.Value, restart bool) (names []string) {
	for field, value := range options(is) {
		name, before := join(path, field.Tag.Get("toml")), was.FieldByIndex(field.Index)
		waits := restart || field.Tag.Get("changes") == "restart"
		if section(value) {
			names = append(names, waiting(name, value, before, waits)...)
		} else if waits && !reflect.DeepEqual(value.Interface(), before.Interface()) {
			names = append(names, name)
		}
	}
	return names
}
