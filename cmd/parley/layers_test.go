package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// layers is the table of docs/map.md: a package imports only from layers below its
// own.
var layers = map[string]int{
	"store":              0,
	"xmppd/wire":         1,
	"auth/scram":         1,
	"store/seal":         1,
	"conf":               2,
	"xmppd/panics":       1,
	"xmppd/desk":         1,
	"xmppd/visit/widget": 1, // its chromium is for tests only
	"store/storetest":    1, // tests only
	"store/sqlite/conn":  1,
	"store/keys":         2,
	"store/audit":        2,
	"store/sqlite":       3,
	"store/people":       3,
	"auth":               4,
	"store/backup":       4,
	"xmppd/im":           5,
	"xmppd/hook":         5,
	"xmppd/web":          5,
	"xmppd/contact":      4,
	"xmppd/upload":       4,
	"xmppd/visit":        5,
	"xmppd/notify":       5,
	"xmppd":              6,
	"xmppd/xmpptest":     6, // tests only
	"cmd/parley":         7,
}

const module = "parley.im/parley/"

func TestLayers(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		layer, known := layers[outer(name)]
		if !known {
			t.Errorf("%s has no line in the table of layers: add it here and to docs/map.md", name)
			continue
		}
		for _, i := range p.Imports {
			other, ours := strings.CutPrefix(i, module)
			if !ours || outer(other) == outer(name) {
				continue
			}
			if layers[outer(other)] >= layer {
				t.Errorf("%s (layer %d) imports %s (layer %d): a package imports only downward", name, layer, other, layers[outer(other)])
			}
		}
	}
}

// outer is the package in the table that a package of its own inner workings
// (store/sqlite/conn) belongs to.
func outer(name string) string {
	for {
		if _, ok := layers[name]; ok {
			return name
		}
		i := strings.LastIndex(name, "/")
		if i < 0 {
			return name
		}
		name = name[:i]
	}
}
