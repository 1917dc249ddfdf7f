package conf

import (
	"slices"
	"testing"
)

// What waits for a restart is told by name, however it was given; what does not is not told, nor
// is what says the same in other words.
func TestWaiting(t *testing.T) {
	load := func(text string) *File {
		t.Helper()
		f, err := Parse("/etc/parley.toml", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	running := load("[auth]\nlockout_failures = 7\n[mail]\nserver = 'mail.example:465'\nfrom = 'a@b.example'\nto = 'c@b.example'\n")
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"the defaults in full", "data = '/etc/data'\n[listen]\ntls = ['[::]:5223']\n[auth]\nlockout_failures = 7\n" +
			"[mail]\nserver = 'mail.example:465'\nfrom = 'a@b.example'\nto = ['c@b.example']\n", nil},
		{"what SIGHUP takes", "[auth]\nlockout_failures = 8\n[limits]\ndepth = 9\n" +
			"[mail]\nserver = 'mail.example:465'\nfrom = 'a@b.example'\nto = 'c@b.example'\n", nil},
		{"all kinds", "root_key = { env = 'ROOT' }\n[listen]\ntls = '[::]:5224'\n[[listener]]\naddress = '[::]:443'\nfor = 'any'\n[auth]\npassword_change = false\n" +
			"[hosts]\napi = 'https://api.b.example'\nfiles = 'https://files.b.example'\n[log]\nwire = true\n[resume]\nfor = '1m'\n",
			[]string{"root_key", "listen.tls", "listener", "resume.for", "auth.password_change", "hosts.api", "mail.server", "mail.from", "mail.to", "log.wire"}},
	} {
		if got := load(c.text).Waiting(running); !slices.Equal(got, c.want) {
			t.Errorf("%s: Waiting = %q, want %q", c.name, got, c.want)
		}
	}
}
