package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"testing"
)

// I9: many clients read with expat, and must read what was accepted here as
// encoding/xml and this package do.
func TestI9ExpatReadsTheSame(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("python3, whose expat this package is compared with, is missing")
		}
		t.Skip("python3, whose expat this package is compared with, is missing")
	}
	docs := expatDocs(t)
	// What clients put between namespace and name differs.
	for _, separator := range []string{" ", "\n", "|", "}"} {
		cmd := exec.Command(python, "testdata/expat.py", separator)
		cmd.Stdin = bytes.NewReader(jsonLines(t, docs))
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("expat.py: %v", err)
		}
		answers := bufio.NewScanner(bytes.NewReader(out))
		answers.Buffer(nil, 1<<20)
		for _, doc := range docs {
			if !answers.Scan() {
				t.Fatal("expat.py answered too little")
			}
			compareWithExpat(t, doc, answers.Bytes())
		}
	}
}

// expatDocs is the corpus, and what fuzzing found, as far as it is accepted,
// each element behind a header of its own.
func expatDocs(t *testing.T) (docs []string) {
	for _, in := range append(lines(t, "good.txt"), fuzzed(t)...) {
		r := opened(t, bytes.NewReader([]byte(in)), Limits{})
		if s, err := r.Next(); err == nil {
			docs = append(docs, header+string(s.raw))
		}
	}
	if len(docs) < len(lines(t, "good.txt")) {
		t.Fatal("some of good.txt is not good")
	}
	return docs
}

var fuzzLine = regexp.MustCompile(`(?m)^string\((".*")\)$`)

// fuzzed is what testdata/fuzz has for FuzzReader, without headers.
func fuzzed(t *testing.T) (all []string) {
	files, err := filepath.Glob("testdata/fuzz/FuzzReader/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fuzzLine.FindAllSubmatch(text, -1) {
			in, err := strconv.Unquote(string(m[1]))
			if err != nil {
				t.Fatal(err)
			}
			_, behind, _ := bytes.Cut([]byte(in), []byte(header))
			all = append(all, string(behind))
		}
	}
	return all
}

func jsonLines(t *testing.T, docs []string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, doc := range docs {
		if err := enc.Encode(doc); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func compareWithExpat(t *testing.T, doc string, answer []byte) {
	t.Helper()
	var got struct {
		Error string
		Tree  []node
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	if got.Error != "" {
		t.Errorf("expat refuses %q: %s", doc, got.Error)
		return
	}
	want, err := trees([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	// expat keeps white space that came as references.
	spaceOut(got.Tree)
	if !reflect.DeepEqual(got.Tree, want) {
		t.Errorf("expat reads %q as\n%q, want\n%q", doc, got.Tree, want)
	}
}

func spaceOut(all []node) {
	for k := range all {
		for j, a := range all[k].Attrs {
			all[k].Attrs[j] = spaces.Replace(a)
		}
		spaceOut(all[k].Inner)
	}
}
