package scram

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// readVector reads a file of "key: value" lines.
func readVector(t testing.TB, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("%s: %q is no key and value", path, line)
		}
		v[key] = value
	}
	return v
}

func vectorServer(t testing.TB, v map[string]string) *Server {
	t.Helper()
	ch := Channel{Exporter: []byte(v["exporter"])}
	if v["tls"] != "" {
		n, err := strconv.ParseUint(v["tls"], 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		ch.Version = uint16(n)
	}
	offer := Offer{Mechanisms: strings.Fields(v["mechanisms"]), Bindings: strings.Fields(v["bindings"])}
	s, err := New(v["mechanism"], ch, offer, func() string { return v["server-nonce"] })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The published examples, letter by letter; rule 13 (XEP-0474, XEP-0515) among them.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob("../../testdata/vectors/scram-*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("found %d vectors: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			runVector(t, readVector(t, file))
		})
	}
}

func runVector(t *testing.T, v map[string]string) {
	s := vectorServer(t, v)
	name, authzid, err := s.First([]byte(v["client-first"]))
	if err != nil || name != v["name"] || authzid != "" {
		t.Fatalf("First = %q, %q, %v, want %q", name, authzid, err, v["name"])
	}
	salt, err := base64.StdEncoding.DecodeString(v["salt"])
	if err != nil {
		t.Fatal(err)
	}
	iterations, err := strconv.Atoi(v["iterations"])
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Challenge(salt, iterations)
	if err != nil || string(first) != v["server-first"] {
		t.Fatalf("Challenge = %q, %v, want %q", first, err, v["server-first"])
	}
	keys, err := Derive(s.Hash(), v["password"], salt, iterations)
	if err != nil {
		t.Fatal(err)
	}
	index, final, err := s.Final([]byte(v["client-final"]), []Keys{{}, keys, {}})
	if err != nil || index != 1 || string(final) != v["server-final"] {
		t.Fatalf("Final = %d, %q, %v, want 1, %q", index, final, err, v["server-final"])
	}
}
