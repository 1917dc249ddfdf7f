package web

import (
	"encoding/json"
	"testing"
)

func TestStrictJSON(t *testing.T) {
	for in, want := range map[string]bool{
		`{"a":1,"b":{"a":2},"c":[{"a":1},{"a":2}]}`: true,
		`"a"`:                        true,
		`{"a":1,"a":2}`:              false,
		`{"a":1,"A":2}`:              false,
		`{"a":[{"b":1,"B":2}]}`:      false,
		`{"a":1}{"b":2}`:             false,
		`{"a":1`:                     false,
		``:                           false,
		`{"label":1,"\u006cabel":2}`: false,
	} {
		var v any
		if err := strictJSON([]byte(in), &v); (err == nil) != want {
			t.Errorf("strictJSON(%s): %v, want that it is read: %v", in, err, want)
		}
	}
}

func FuzzStrictJSON(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":[true,null,"x"]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var strict, lax any
		if strictJSON(in, &strict) == nil && json.Unmarshal(in, &lax) != nil {
			t.Errorf("%q is read, and no JSON", in)
		}
	})
}
