package conf

import "testing"

func TestIsOrigin(t *testing.T) {
	for in, want := range map[string]bool{
		"https://desk.example":       true,
		"https://desk.example:8443":  true,
		"https://[2001:db8::1]:8443": true,
		"http://desk.example":        false,
		"https://desk.example/":      false,
		"https://me@desk.example":    false,
		"https://Desk.example":       false,
		"https://desk.example?":      false,
		"https://desk.example#":      false,
		"https://desk.example:":      false,
		"https://desk.example:99999": false,
		"https://desk.example\"":     false,
		"https://desk.example\n":     false,
		"https://":                   false,
		"desk.example":               false,
	} {
		if got := isOrigin(in); got != want {
			t.Errorf("isOrigin(%q) = %v, want %v", in, got, want)
		}
	}
}
