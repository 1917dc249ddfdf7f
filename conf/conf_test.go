package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLoadFindsAccountsBesideTheFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "parley.toml"), "[[account]]\nid = \"desk\"\ndomain = \"desk.example\"\n")
	write(t, filepath.Join(dir, "accounts.d", "shop.toml"), "id = \"shop\"\ndomain = \"shop.example\"\nprofile = \"plus\"\nsha1 = false\n")
	f, err := Load(filepath.Join(dir, "parley.toml"), []string{"account.shop.retention=30d", "account.0.disabled=true"})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Accounts) != 2 {
		t.Fatalf("accounts = %v, want two", f.Accounts)
	}
	desk, shop := f.Accounts[0], f.Accounts[1]
	if !desk.Sealed() || !desk.Disabled || !f.OffersSHA1(desk) {
		t.Errorf("desk = %+v, want it sealed, disabled and with SHA-1", desk)
	}
	if shop.Sealed() || shop.Retention != 30*24*time.Hour || f.OffersSHA1(shop) {
		t.Errorf("shop = %+v, want it in clear, kept for 30 days, without SHA-1", shop)
	}
	if want := filepath.Join(dir, "data"); f.Data != want {
		t.Errorf("Data = %q, want %q", f.Data, want)
	}
	if want := filepath.Join(dir, "root.key"); f.RootKey.File() != want {
		t.Errorf("root key in %q, want %q", f.RootKey.File(), want)
	}
	if want := filepath.Join(dir, "data", "control.sock"); f.Listen.Control != want {
		t.Errorf("Control = %q, want %q", f.Listen.Control, want)
	}
}

func TestLoadTellsFaultsOfAllFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "parley.toml")
	write(t, path, "[log]\nlevel = \"loud\"\n")
	write(t, filepath.Join(dir, "accounts.d", "a.toml"), "id = \"A\"\ndomain = \"a.example\"\n")
	write(t, filepath.Join(dir, "accounts.d", "b.toml"), "\nid = \n")
	_, err := Load(path, []string{"limits.depth=1", "limits"})
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 5 {
		t.Fatalf("Load: %v, want five faults", err)
	}
	got := strings.ReplaceAll(err.Error(), dir+"/", "")
	for _, want := range []string{
		"-set: limits.depth: too small: at least 8",
		"-set: want KEY=VALUE",
		"accounts.d/a.toml:1: account.id: not 1 to 32 of",
		"accounts.d/b.toml:2: not TOML: ",
		"parley.toml:2: log.level: \"loud\" is none of debug, info, warn, error",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant in it %s", got, want)
		}
	}
}

func TestSet(t *testing.T) {
	f, err := Parse("parley.toml", []byte("[limits]\ndepth = 32\n"), []string{
		"limits.depth=16", "auth.iterations=10000", "listen.tls=", "listen.https=[\"127.0.0.1:0\", \"[::1]:0\"]",
		"log.level=debug", "limits.stanza=64 KiB", "webhook.allow=127.0.0.1", "root_key={ env = \"ROOT\" }",
	})
	if err != nil {
		t.Fatal(err)
	}
	if f.Limits.Depth != 16 || f.Auth.Iterations != 10000 || len(f.Listen.TLS) != 0 || len(f.Listen.HTTPS) != 2 ||
		f.Log.Level != "debug" || f.Limits.Stanza != 64<<10 || f.RootKey.Env() != "ROOT" ||
		f.Webhook.Allow[0] != netip.MustParsePrefix("127.0.0.1/32") {
		t.Errorf("got %+v", f)
	}
}

// The shorter of a profile's time and the account's own holds. VIV-8
func TestKeep(t *testing.T) {
	f := &File{Retention: Retention{Plus: 10 * time.Hour}}
	for _, c := range []struct {
		profile string
		own     time.Duration
		want    time.Duration
	}{
		{"plus", 0, 10 * time.Hour},
		{"plus", 2 * time.Hour, 2 * time.Hour},
		{"plus", 20 * time.Hour, 10 * time.Hour},
		{"solo", 0, 0},
		{"enterprise", 20 * time.Hour, 20 * time.Hour},
	} {
		if got := f.Keep(Account{Profile: c.profile, Retention: c.own}); got != c.want {
			t.Errorf("Keep(%s, %v) = %v, want %v", c.profile, c.own, got, c.want)
		}
	}
}

// However a secret is printed, it does not show.
func TestSecretIsHidden(t *testing.T) {
	t.Setenv("ROOT", " hush\n")
	s := Secret{env: "ROOT"}
	if got := fmt.Sprintf("%v %+v %s %#v", s, s, s, s); strings.Contains(got, "hush") || strings.Contains(got, "ROOT") {
		t.Errorf("printed: %s", got)
	}
	if got, err := s.Reveal(); got != "hush" || err != nil {
		t.Errorf("Reveal = %q, %v, want the value without white space", got, err)
	}
	path := filepath.Join(t.TempDir(), "key")
	write(t, path, "hush\n")
	if got, err := (Secret{file: path}).Reveal(); got != "hush" || err != nil {
		t.Errorf("Reveal = %q, %v, want the file's text", got, err)
	}
	if _, err := (Secret{env: "PARLEY_NOT_SET"}).Reveal(); err == nil {
		t.Error("a variable that is not set was revealed")
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Size
		ok   bool
	}{
		{"256 KiB", 256 << 10, true}, {"1MB", 1e6, true}, {"12", 12, true}, {"0", 0, true}, {"1 B", 1, true},
		{"-1", 0, false}, {"KiB", 0, false}, {"9999999999 GiB", 0, false}, {"1.5 MiB", 0, false},
	} {
		got, err := parseSize(c.in)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("parseSize(%q) = %v, %v, want %v", c.in, got, err, c.want)
		}
	}
}

// Lines are found past strings, lists and comments that look like keys.
func TestKeyLines(t *testing.T) {
	text := `a = "x # y" # b = 1
"q.r" = '''
[no]
c = 1 ''''
list = [ # ]
  "d = 1", { e = 2 },
]
x.y = 1
[t . 'u']
v = """\"""" # w
[[account]]
id = 1
[account.deep]
k = 1
[[account]]

id = 2
`
	got := keyLines(text)
	for key, want := range map[string]int{
		"a": 1, "q.r": 2, "list": 5, "x.y": 8, "t.u": 9, "t.u.v": 10, "account.0": 11, "account.0.id": 12,
		"account.0.deep.k": 14, "account.1": 15, "account.1.id": 17,
	} {
		if got[key] != want {
			t.Errorf("line of %s = %d, want %d", key, got[key], want)
		}
		delete(got, key)
	}
	delete(got, "account.0.deep")
	if len(got) > 0 {
		t.Errorf("also found %v", got)
	}
}

// TestComplaints holds each file of testdata/conf: a configuration and the exact
// complaint about it.
func TestComplaints(t *testing.T) {
	files, err := filepath.Glob("../testdata/conf/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			parts := sections(t, path)
			_, err := Parse("parley.toml", []byte(parts["parley.toml"]), strings.Fields(parts["set"]))
			var got strings.Builder
			var faults Faults
			if errors.As(err, &faults) {
				for _, f := range faults {
					fmt.Fprintln(&got, f)
					if f.Hint != "" {
						fmt.Fprintln(&got, "hint: "+f.Hint)
					}
				}
			}
			if got.String() != parts["complaint"] {
				t.Errorf("got\n%s\nwant\n%s", &got, parts["complaint"])
			}
		})
	}
}

// sections splits a file at its lines "-- name --".
func sections(t *testing.T, path string) map[string]string {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts, name := make(map[string]string), ""
	for l := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(l), "-- "); ok {
			name = strings.TrimSuffix(rest, " --")
			continue
		}
		parts[name] += l
	}
	return parts
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// FuzzParse: no text makes Parse panic, and every fault says where.
func FuzzParse(f *testing.F) {
	f.Add(Sample(), "log.level=debug")
	files, _ := filepath.Glob("../testdata/conf/*.txtar")
	for _, path := range files {
		if text, err := os.ReadFile(path); err == nil {
			f.Add(string(text), "account.0.id=x")
		}
	}
	f.Fuzz(func(t *testing.T, text, set string) {
		_, err := Parse("parley.toml", []byte(text), []string{set})
		var faults Faults
		if err != nil && !errors.As(err, &faults) {
			t.Fatalf("not faults: %v", err)
		}
		for _, fault := range faults {
			if fault.At == "" || fault.Text == "" {
				t.Errorf("a fault without a place or a text: %+v", fault)
			}
		}
	})
}
