package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	goversion "go/version"
	"io/fs"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"parley.im/parley/conf"
	"parley.im/parley/xmppd/wire"
)

// A source is the program itself: its files, and what each imports ("path"), names of
// other packages ("pkg.Name") and names at all (".Name").
type source map[string][]string

func readSource(t *testing.T) source {
	t.Helper()
	all := make(source)
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || testsOnly(path) {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			all[path] = append(all[path], name)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok {
					all[path] = append(all[path], x.Name+"."+s.Sel.Name)
				}
			}
			if s, ok := n.(*ast.Ident); ok {
				all[path] = append(all[path], "."+s.Name)
			}
			return true
		})
		return nil
	})
	if err != nil || len(all) < 100 {
		t.Fatalf("%d files: %v", len(all), err)
	}
	return all
}

// testsOnly are packages that are not part of the program.
func testsOnly(path string) bool {
	return strings.Contains(path, "/xmpptest/") || strings.Contains(path, "/storetest/")
}

// onlyIn fails the test where something is used in other files than those named.
func (s source) onlyIn(t *testing.T, what string, files ...string) {
	t.Helper()
	for path, used := range s {
		if slices.Contains(used, what) && !slices.Contains(files, strings.TrimPrefix(filepath.ToSlash(path), "../../")) {
			t.Errorf("%s uses %s, which is for %q", path, what, files)
		}
	}
}

// atLeast fails the test where a module is older than the version that is mended.
func atLeast(t *testing.T, module, mended string) {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", module).Output()
	if err != nil {
		t.Fatalf("go list -m %s: %v", module, err)
	}
	goes := strings.NewReplacer("v", "go", "\n", "") // Go's own versions are compared like that
	if v := string(out); goversion.Compare(goes.Replace(v), goes.Replace(mended)) < 0 {
		t.Errorf("%s is %s, want %s or newer", module, v, mended)
	}
}

// oneParser: CVE-2022-0217. What comes from outside as XML is checked by one parser.
func oneParser(t *testing.T) {
	s := readSource(t)
	s.onlyIn(t, "encoding/xml", "xmppd/wire/parse.go") // reads what was checked
	s.onlyIn(t, "wire.NewReader", "xmppd/negotiate.go")
}

// nothingIsReencoded: CVE-2020-29509, -29510, -29511. I9.
func nothingIsReencoded(t *testing.T) {
	s := readSource(t)
	for _, name := range []string{"xml.NewEncoder", "xml.Marshal", "xml.MarshalIndent", "xml.EscapeText", "xml.Escape", "xml.CopyToken", ".EncodeToken", ".RawToken"} {
		s.onlyIn(t, name)
	}
}

// secretsAreRandom: ejabberd 26.07, CVE-2016-1232. No token, nonce, key or id that somebody
// could profit from guessing comes from a generator that can be guessed: of resources and
// streams neither (rules 7 and 33).
func secretsAreRandom(t *testing.T) {
	s := readSource(t)
	s.onlyIn(t, "math/rand")
	s.onlyIn(t, "math/rand/v2", "xmppd/hook/retry.go") // spreads retries
}

// nothingHidden: CVE-2021-32919. No option changes what is checked but those that the
// sample and the commands tell of: nobody skips a check, and the environment has no say.
func nothingHidden(t *testing.T) {
	s := readSource(t)
	s.onlyIn(t, ".InsecureSkipVerify", "xmppd/visit/socket.go")                                    // a WebSocket's origin, which is looked at there
	s.onlyIn(t, "os.Getenv", "cmd/parley/call.go", "cmd/parley/serve.go", "cmd/parley/restore.go", // PARLEY_CONFIG, GOGC, keys for S3
		"cmd/parley/demopage.go", "xmppd/visit/widget/chromium/chromium.go", "xmppd/visit/widget/chromium/tab.go") // a screen; tests only
	s.onlyIn(t, "os.LookupEnv", "conf/secret.go", "store/keys/root.go", // the names that the configuration gives
		"xmppd/upload/look.go") // passed on to the operator's program, which looks at files
	s.onlyIn(t, "os.Environ")
	s.onlyIn(t, "net/http/pprof", "cmd/parley/profiles.go") // for the networks of [admin]
	s.onlyIn(t, "expvar")
}

// comparedInConstantTime: CVE-2021-32921. Where a proof is compared, nothing compares byte
// by byte.
func comparedInConstantTime(t *testing.T) {
	compares := false
	for path, used := range readSource(t) {
		if !strings.Contains(path, "/auth/scram/") {
			continue
		}
		for _, quick := range []string{"bytes.Equal", "bytes.Compare", "slices.Equal", "reflect.DeepEqual"} {
			if slices.Contains(used, quick) {
				t.Errorf("%s uses %s", path, quick)
			}
		}
		compares = compares || slices.Contains(used, "subtle.ConstantTimeCompare") || slices.Contains(used, "hmac.Equal")
	}
	if !compares {
		t.Error("nothing in auth/scram compares in constant time")
	}
}

// limitsAreOn: CVE-2021-32918. What nobody has configured is bounded.
func limitsAreOn(t *testing.T) {
	_, config := quickstarted(t, "desk.example")
	f, err := conf.Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := xmppLimits(f)
	v := reflect.ValueOf(l)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if v.Field(i).IsZero() && name != "StanzasPerSecond" { // bytes are bounded
			t.Errorf("%s has no bound", name)
		}
	}
	for name, l := range map[string]wire.Limits{"before login": l.BeforeLogin, "afterwards": l.Stanza} {
		if l.Bytes == 0 || l.Depth == 0 || l.Attrs == 0 || l.Children == 0 {
			t.Errorf("stanzas %s: %+v", name, l)
		}
	}
}

// onlyAddressesOfMellium: CVE-2022-24968, whose library Parley uses for addresses alone.
func onlyAddressesOfMellium(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "parley.im/parley/cmd/parley").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for path := range strings.Lines(string(out)) {
		switch path = strings.TrimSpace(path); path {
		case "mellium.im/xmpp", "mellium.im/xmpp/dial", "mellium.im/xmpp/websocket", "mellium.im/xmpp/s2s", "mellium.im/sasl":
			t.Errorf("the program has %s in it", path)
		}
	}
}

// nameOf is the name of a test of the table, "" for none.
func nameOf(f func(*testing.T)) string {
	if f == nil {
		return ""
	}
	return runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
}
