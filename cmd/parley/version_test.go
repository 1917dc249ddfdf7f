package main

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httputil"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionTellsHowItWasBuilt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		release string
		in      debug.BuildInfo
		want    string
	}{
		{"without anything", "", debug.BuildInfo{}, "parley devel (" + runtime.Version() + ", SQLite 3."},
		{"from a working copy", "", debug.BuildInfo{
			Main: debug.Module{Version: "(devel)"},
			Settings: []debug.BuildSetting{
				{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.time", Value: "2026-11-28T00:00:00Z"}, {Key: "vcs.modified", Value: "true"},
			},
		}, "parley devel (0123456789ab of 2026-11-28, modified, " + runtime.Version()},
		{"by go install", "", debug.BuildInfo{Main: debug.Module{Version: "v0.2.0"}}, "parley v0.2.0 ("},
		{"a release", "v0.3.0", debug.BuildInfo{Main: debug.Module{Version: "v0.2.0"}}, "parley v0.3.0 ("},
	} {
		t.Run(c.name, func(t *testing.T) {
			release = c.release
			defer func() { release = "" }()
			if got := newBuild(&c.in).String(); !strings.HasPrefix(got, c.want) {
				t.Errorf("version is %q, want %q and so on", got, c.want)
			}
		})
	}
}

func TestVersionForPrograms(t *testing.T) {
	t.Parallel()
	out, _, err := typed(t, "", "version", "-json")
	var b build
	if err == nil {
		err = json.Unmarshal([]byte(out), &b)
	}
	if err != nil || b.Version == "" || b.Go != runtime.Version() || !strings.HasPrefix(b.SQLite, "3.") || b.Modules["mellium.im/xmpp"] == "" {
		t.Errorf("version -json: %v\n%s", err, out)
	}
}

// Nobody but the operator is told which version runs: neither agents who ask, nor
// whoever looks at a page or its headers. WCP-17
func TestVersionIsForOperators(t *testing.T) {
	t.Parallel()
	d := healthy(t)
	secrets := []string{runtime.Version(), newBuild(new(debug.BuildInfo)).SQLite}
	j := d.login("anna", "correct horse 42", "desk").in(t)
	answer := j.ask("get", "desk.example", "<query xmlns='jabber:iq:version'/>")
	if got := answer.child("query").child("name").text(); got != "Parley" {
		t.Errorf("the server's name is %q:\n%s", got, answer)
	}
	if answer.child("query").child("os") != nil {
		t.Errorf("the server tells what it runs on:\n%s", answer)
	}
	told := answer.String()

	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: d.roots(), ServerName: "desk.example"}}}
	for _, path := range []string{"/", "/healthz", "/version", "/nowhere"} {
		resp, err := client.Get("https://" + d.https + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := httputil.DumpResponse(resp, true)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.Header.Get("Server") != "" || resp.Header.Get("X-Powered-By") != "" {
			t.Errorf("%s: a banner: %v", path, resp.Header)
		}
		told += string(text)
	}
	for _, s := range secrets {
		if strings.Contains(told, s) {
			t.Errorf("a stranger is told %s:\n%s", s, told)
		}
	}
}
