package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley.im/parley/xmppd/visit/widget/chromium"
)

// alsoFor has the installation's certificate be for another name, too.
func alsoFor(t *testing.T, dir, name string) {
	t.Helper()
	ca, err := readAuthority(filepath.Join(dir, "tls"))
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := ca.issue(time.Now(), "desk.example", "*.desk.example", name)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, "tls", name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A clientFile is one that people send, of several chunks, with markers as its name and all through it.
type clientFile struct {
	name, path, sum string
	bytes           []byte
}

// makeFile makes a file that is what its name ends with, one of "pdf" and "png".
func makeFile(t *testing.T, m *markers, whose, kind string) clientFile {
	t.Helper()
	var b bytes.Buffer
	if kind == "pdf" {
		b.WriteString("%PDF-1.7\n")
	} else if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 96, 64))); err != nil {
		t.Fatal(err)
	}
	// What stands behind a picture's end is looked at by nobody who shows it.
	b.WriteString(strings.Repeat(m.make(spoken, "a file of "+whose)+" ", 6000))
	f := clientFile{name: m.make(spoken, "a file's name of "+whose) + "." + kind, bytes: b.Bytes()}
	f.path = filepath.Join(t.TempDir(), f.name)
	if err := os.WriteFile(f.path, f.bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(f.bytes)
	f.sum = hex.EncodeToString(sum[:])
	return f
}

// chosenFile has the visitor choose a picture on the page.
func chosenFile(p *chromium.Tab, f clientFile) {
	p.In(fmt.Sprintf(`{
		const d = new DataTransfer(), i = document.querySelector('#files');
		d.items.add(new File([Uint8Array.from(atob('%s'), (c) => c.charCodeAt(0))], '%s', {type: 'image/png'}));
		i.files = d.files;
		i.dispatchEvent(new Event('change'));
	}`, base64.StdEncoding.EncodeToString(f.bytes), f.name))
}

// pageGets waits until a file is on the page, a picture as such and all else by its name, and follows its link as the browser
// does.
func pageGets(t *testing.T, p *chromium.Tab, f clientFile) {
	t.Helper()
	link := fmt.Sprintf("document.querySelector('.file a[title=\"%s\"]')", f.name)
	shown := link + ".querySelector('.name').textContent === '" + f.name + "'"
	if strings.HasSuffix(f.name, ".png") {
		shown = link + ".querySelector('img').naturalWidth === 96"
	}
	p.Await(shown)
	got := p.Page(fmt.Sprintf(`fetch('%s').then((r) => r.arrayBuffer()).then((b) => crypto.subtle.digest('SHA-256', b)).then(
		(d) => Array.from(new Uint8Array(d), (n) => n.toString(16).padStart(2, '0')).join(''))`, p.In(link+".href")))
	if got != f.sum {
		t.Errorf("the page gets %s as %s, want %s", f.name, got, f.sum)
	}
}
